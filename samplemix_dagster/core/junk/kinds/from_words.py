"""Junk that has the right words in the wrong places, or nearly the right ones."""

from samplemix_dagster.core.junk.kind import Junk
from samplemix_dagster.core.junk.luck import Luck
from samplemix_dagster.core.junk.material import Material
from samplemix_dagster.core.junk.words import is_alone, join_words, lay_out, split_words

_CHANGED_SHARE = 0.04
_SENTENCE_END = (".", "!", "?", "。", "！", "？")
_PARAGRAPH_SHARE = 0.2


class Salad:
    """A text's words in an order of luck, between the spaces and line ends of the text.

    It imitates pages of spun or scraped words: the words of real prose, no sentence.
    """

    name = "salad"

    def make(self, material: Material, luck: Luck) -> Junk:
        """Return a text with exactly the words of a clean one."""
        clean = material.text(luck)
        words = split_words(clean.stretch)
        order = luck.order("words", len(words))
        return Junk(lay_out(clean.stretch, [words[place] for place in order]), clean.id)


class Babble:
    """A walk over the source's words: each follows the one before it somewhere in the source.

    It imitates text of weak generators (Markov chains of spammers, small language models): any two
    words belong together, no sentence means anything. A fifth of its sentences end a paragraph.
    """

    name = "babble"

    def make(self, material: Material, luck: Luck) -> Junk:
        """Return a text of which each pair of words stands in the source, but at a text's end."""
        words = material.words
        wanted = material.length(luck)
        turns = luck.uniforms("turns", wanted)
        breaks = luck.uniforms("breaks", turns.size)
        paragraphs: list[list[str]] = [[]]
        word, length = words.at(luck.uniform("start")), 0
        for turn, ends in zip(turns, breaks, strict=True):
            paragraphs[-1].append(words.vocabulary[word])
            length += len(words.vocabulary[word]) + (not is_alone(words.vocabulary[word]))
            if length >= wanted:
                break
            if paragraphs[-1][-1].endswith(_SENTENCE_END) and ends < _PARAGRAPH_SHARE:
                paragraphs.append([])
            word = words.after(word, float(turn))
        return Junk("\n\n".join(join_words(part) for part in paragraphs if part))


class Near:
    """A copy of one of few texts, with about 4 % of its words changed to others of the source.

    It imitates what deduplication of exact texts leaves: mirrors, press releases, texts filled into
    one form. The text that was copied stands in the pool as clean.
    """

    name = "near"

    def make(self, material: Material, luck: Luck) -> Junk:
        """Return a near-copy; at least one word is another place's word."""
        clean = luck.pick("text", material.few)
        words = split_words(clean.stretch)
        changes = luck.uniforms("changed", len(words))
        others = luck.uniforms("others", len(words))
        bound = max(_CHANGED_SHARE, float(changes.min(initial=1.0)))
        vocabulary = material.words.vocabulary
        changed = [
            vocabulary[material.words.at(float(other))] if change <= bound else word
            for word, change, other in zip(words, changes, others, strict=True)
        ]
        return Junk(lay_out(clean.stretch, changed), clean.id)
