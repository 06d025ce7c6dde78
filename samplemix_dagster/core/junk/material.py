"""What junk is made from: the clean texts of one source, their words and their lengths.

A source has at least one text. Everything here is worked out once, when it is first asked for.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.diversity.words import count_words
from samplemix_dagster.core.junk.luck import Luck
from samplemix_dagster.core.junk.words import is_alone, split_words

MOST_CHARACTERS = 50_000
"""The longest stretch of a text that junk is made from, so that no book is all the junk there is.
"""
SHORTEST_MADE, LONGEST_MADE = 300, 20_000
"""Bounds, in characters, on the length of a document that is made up."""
_STATISTICS_CHARACTERS = 20_000_000
_CONTENT_CHARACTERS = 2_000_000
_STOP_WORDS = 100
_CONTENT_WORDS = 2_000


@dataclass(frozen=True, slots=True)
class CleanText:
    """One clean text of a source, and the id that it has in the pool."""

    id: str
    text: str

    @property
    def stretch(self) -> str:
        """Its beginning, of 50,000 characters at most, cut at a space where one is near."""
        if len(self.text) <= MOST_CHARACTERS:
            return self.text
        cut = self.text[:MOST_CHARACTERS]
        return cut[: max(cut.rfind(" "), cut.rfind("\n"), MOST_CHARACTERS - 200)]


@dataclass(frozen=True, slots=True)
class Words:
    """The words of a source as numbers, and what follows each of them.

    Attributes:
        vocabulary: V distinct words, in the order of their first place.
        running: The number of each running word: (T,).
        counts: How often each stands there: (V,).
        follower_starts: The followers of word w are ``followers[follower_starts[w]:
            follower_starts[w + 1]]``: (V + 1,).
        followers: The words behind each place of a word, in the same text.
    """

    vocabulary: Sequence[str]
    running: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]
    follower_starts: npt.NDArray[np.int64]
    followers: npt.NDArray[np.int64]

    @classmethod
    def of(cls, texts: Sequence[str]) -> "Words":
        """Return the words of some texts; nothing follows the last word of a text."""
        numbers: dict[str, int] = {}
        by_text = [
            np.array([numbers.setdefault(w, len(numbers)) for w in split_words(text)], np.int64)
            for text in texts
        ]
        first = np.concatenate([found[:-1] for found in by_text])
        second = np.concatenate([found[1:] for found in by_text])
        running = np.concatenate(by_text)
        follows = np.bincount(first, minlength=len(numbers))
        return cls(
            vocabulary=list(numbers),
            running=running,
            counts=np.bincount(running, minlength=len(numbers)),
            follower_starts=np.concatenate(([0], np.cumsum(follows))),
            followers=second[np.argsort(first, kind="stable")],
        )

    def at(self, uniform: float) -> int:
        """Return the number of the running word at a place in [0, 1)."""
        return int(self.running[int(uniform * self.running.size)])

    def after(self, word: int, uniform: float) -> int:
        """Return a word that follows one, as often as it does; any where none does."""
        start, stop = self.follower_starts[word], self.follower_starts[word + 1]
        if start == stop:
            return self.at(uniform)
        return int(self.followers[start + int(uniform * (stop - start))])


class Material:
    """The clean texts of one source, in an order of luck."""

    def __init__(self, texts: Sequence[CleanText], luck: Luck) -> None:
        """Take the texts and the source's luck; the order of the texts is part of the result."""
        self.texts = texts
        self.luck = luck

    @cached_property
    def words(self) -> Words:
        """The words of the source's first 20 million characters."""
        return Words.of(list(self._up_to(_STATISTICS_CHARACTERS)))

    @cached_property
    def few(self) -> Sequence[CleanText]:
        """A twenty-fifth of the texts, and five where there are as many."""
        return self.texts[: max(5, len(self.texts) // 25)]

    @cached_property
    def content_words(self) -> Sequence[str]:
        """Up to 2,000 frequent words of letters alone, in lower case, without the most frequent.

        Scripts without spaces give pairs of characters. No language's stop words are known here: of
        many words the hundred most frequent are left out. A source without letters gives its words
        as they are.
        """
        counted: Counter[str] = Counter()
        for clean in self._up_to(_CONTENT_CHARACTERS):
            counted.update(dict(zip(*count_words(clean), strict=True)))
        long = [word for word in counted if word.isalpha() and (len(word) > 3 or is_alone(word))]
        ranked = sorted(long, key=lambda word: (-counted[word], word))
        skipped = min(_STOP_WORDS, len(ranked) // 10)
        return ranked[skipped:][:_CONTENT_WORDS] or self.words.vocabulary[:_CONTENT_WORDS]

    def _up_to(self, num_characters: int) -> Iterator[str]:
        """Yield texts until they have so many characters together."""
        for clean in self.texts:
            yield clean.text
            num_characters -= len(clean.text)
            if num_characters <= 0:
                return

    def text(self, luck: Luck) -> CleanText:
        """Return one of the texts."""
        return luck.pick("text", self.texts)

    def length(self, luck: Luck) -> int:
        """Return the length for a document that is made up: that of some clean text, in bounds.

        So length alone does not tell the two apart.
        """
        return min(LONGEST_MADE, max(SHORTEST_MADE, len(luck.pick("length", self.texts).text)))
