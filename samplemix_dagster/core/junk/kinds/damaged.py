"""Junk that was a text once: misread, cut off, in another language, said again and again."""

import re
import unicodedata
from collections.abc import Sequence

from samplemix_dagster.core.junk.kind import Junk
from samplemix_dagster.core.junk.luck import Luck
from samplemix_dagster.core.junk.material import Material
from samplemix_dagster.core.junk.words import is_alone, without_last_word

_MISREAD = {
    "a": "o", "b": "6", "c": "e", "d": "cl", "e": "c", "f": "t", "g": "q", "h": "b", "i": "l",
    "l": "1", "m": "rn", "n": "u", "o": "0", "r": "i", "s": "5", "t": "f", "u": "n", "v": "y",
    "w": "vv", "y": "v", "B": "8", "D": "O", "E": "F", "G": "6", "I": "1", "O": "0", "S": "5",
    "Z": "2", ".": ",", ",": ".", "0": "O", "1": "l", "5": "S", "8": "B",
}  # fmt: skip
_SPECKS = ("", "~", "^", "'", "|", "*", "-")
_AT_A_SPACE = ("", "", "-\n", "  ", " . ")
_LEAST_MISREAD, _MOST_MISREAD = 0.06, 0.2

_ENDS_A_SENTENCE = (*".!?:;…", *"。！？；：", '."', ".)", ".”")
_SHORTEST_CUT, _LONGEST_CUT = 120, 600
_TEASERS = ("", "", "...", "…", " [...]", "... Read more", "... (more)")
_WORD_START = re.compile(r"(?<=\s)\S")

_SHORTEST_PARAGRAPH, _LONGEST_PARAGRAPH = 40, 1_000
_FEWEST_REPEATS = 4

_VOWELS, _CONSONANTS = "aeiou", "bcdfghjklmnpqrstvwxyz"
_LATIN = "abcdefghijklmnopqrstuvwxyz"
_TONGUES = {
    "turned": dict(
        zip(
            _VOWELS + _CONSONANTS,
            _VOWELS[2:] + _VOWELS[:2] + _CONSONANTS[7:] + _CONSONANTS[:7],
            strict=True,
        )
    ),
    "cyrillic": dict(zip(_LATIN, "абцдефгхийклмнопярстувшжыз", strict=True)),
    "greek": dict(zip(_LATIN, "αβκδεφγηιξκλμνοπθρστυβωχψζ", strict=True)),
}
_IDEOGRAPHS, _NUM_IDEOGRAPHS, _STRIDE = 0x4E00, 20_902, 7_919


class Ocr:
    """A text with 6 to 20 % of its characters misread, lost, or run together.

    It imitates what optical recognition makes of poor scans: letters of like shape exchanged, words
    joined and broken, specks. In scripts other than the Latin one, characters are lost and specked.
    """

    name = "ocr"

    def make(self, material: Material, luck: Luck) -> Junk:
        """Return a clean text with noise; how much is the document's own luck."""
        clean = material.text(luck)
        text = clean.stretch
        rate = _LEAST_MISREAD + (_MOST_MISREAD - _LEAST_MISREAD) * luck.uniform("rate")
        hit = luck.uniforms("hit", len(text)) < rate
        which = luck.uniforms("which", len(text))
        read = [
            _misread(char, float(turn)) if is_hit else char
            for char, is_hit, turn in zip(text, hit, which, strict=True)
        ]
        return Junk("".join(read), clean.id)


def _misread(char: str, turn: float) -> str:
    if char.isspace():
        return _AT_A_SPACE[int(turn * len(_AT_A_SPACE))]
    return _MISREAD.get(char) or _SPECKS[int(turn * len(_SPECKS))]


class Cut:
    """A stretch of 120 to 600 characters out of a text, cut off inside a sentence.

    It imitates teasers, results of searches, previews before a wall: real prose, and nothing said.
    """

    name = "cut"

    def make(self, material: Material, luck: Luck) -> Junk:
        """Return a stretch that begins at a word and ends before its sentence does.

        It is empty where the text has no such place.
        """
        clean = material.text(luck)
        wanted = luck.number("length", _SHORTEST_CUT, _LONGEST_CUT)
        start = self._start(clean.stretch, wanted, luck)
        stretch = clean.stretch[start : min(start + wanted, len(clean.stretch) * 4 // 5)]
        cut = _in_mid_sentence(stretch)
        return Junk(cut and cut + luck.pick("teaser", _TEASERS), clean.id)

    def _start(self, text: str, wanted: int, luck: Luck) -> int:
        room = len(text) - 2 * wanted
        if room <= 0 or luck.uniform("from the start") < 0.5:
            return 0
        place = luck.number("start", 0, room)
        found = _WORD_START.search(text, place, place + wanted)
        return found.start() if found else place


def _in_mid_sentence(stretch: str) -> str:
    """Return a stretch without its last word, and without what would end a sentence."""
    stretch = without_last_word(stretch)
    while stretch.endswith(_ENDS_A_SENTENCE):
        stretch = without_last_word(stretch)
    return stretch


class Foreign:
    """A text in a language that its source is not in, and that nobody reads.

    A folder of texts of one language offers no other, so one is made of it letter by letter: the
    Latin alphabet turned inside its vowels and its consonants, or written in Cyrillic or Greek
    letters; other alphabets in Latin letters; ideographs and kana as other ideographs. So lengths,
    spaces, figures and how often a word comes are those of a language, and an identifier of
    languages may call it by some name. It is no text of a real language: a choice that reads
    several languages well sees junk here where it would see none in those. A text has three of it.
    """

    name = "foreign"

    def make(self, material: Material, luck: Luck) -> Junk:
        """Return a clean text, letter by letter in one of three tongues."""
        clean = material.text(luck)
        table = _TONGUES[luck.pick("tongue", sorted(_TONGUES))]
        known: dict[str, str] = {}
        text = clean.stretch
        for char in set(text):
            known[char] = _translated(char, table) if char.isalpha() else char
        return Junk("".join(known[char] for char in text), clean.id)


def _translated(char: str, table: dict[str, str]) -> str:
    if is_alone(char):
        return chr(_IDEOGRAPHS + ord(char) * _STRIDE % _NUM_IDEOGRAPHS)
    base = unicodedata.normalize("NFD", char)[0]
    low = base.lower()
    letter = table.get(low) or _LATIN[ord(low[0]) % len(_LATIN)]
    return letter.upper() if base != low else letter


class Repeats:
    """One to three paragraphs of a text, over and over.

    It imitates pages that a template or a broken pager filled again and again, and generators that
    fell into a loop.
    """

    name = "repeats"

    def make(self, material: Material, luck: Luck) -> Junk:
        """Return the paragraphs at least four times, up to the length of some clean text."""
        clean = material.text(luck)
        found = paragraphs(clean.stretch)
        count = min(luck.number("count", 1, 4), len(found))
        start = luck.number("start", 0, len(found) - count + 1)
        block = "\n\n".join(found[start : start + count])
        times = max(_FEWEST_REPEATS, material.length(luck) // max(1, len(block)))
        return Junk("\n\n".join([block] * times), clean.id)


def paragraphs(text: str) -> Sequence[str]:
    """Return a text's lines of 40 characters and more, each cut to 1,000; shorter ones if none."""
    lines = [found for line in text.splitlines() if (found := line.strip()[:_LONGEST_PARAGRAPH])]
    return [line for line in lines if len(line) >= _SHORTEST_PARAGRAPH] or lines or [text]
