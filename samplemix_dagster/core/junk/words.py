"""Words as junk takes them: runs without white space, and each character of a spaceless script.

Punctuation stays with its word, as ``str.split`` leaves it. Neither the words of topics nor those
of n-grams are meant here (``core/diversity``): those lose what a text is put together from again.
"""

import re
from collections.abc import Iterable, Sequence

from samplemix_dagster.core.diversity.words import SPACELESS_RANGES

_SPACELESS = "".join(f"{chr(first)}-{chr(last)}" for first, last in SPACELESS_RANGES)
_WORD = re.compile(f"[{_SPACELESS}]|[^\\s{_SPACELESS}]+")
_LAST_WORD = re.compile(f"\\s*(?:{_WORD.pattern})\\s*$")
_ALONE = re.compile(f"[{_SPACELESS}]")


def split_words(text: str) -> list[str]:
    """Return a text's words in order; joined by :func:`join_words` they are the same words."""
    return _WORD.findall(text)


def is_alone(word: str) -> bool:
    """Whether a word is a character of a script that puts no spaces between words."""
    return _ALONE.match(word) is not None


def join_words(words: Sequence[str]) -> str:
    """Return words as a text of one line: a space between two, but not beside a spaceless one."""
    return "".join(_placed(words))


def lay_out(text: str, words: Sequence[str]) -> str:
    """Return a text with its words replaced in order; its spaces and lines stay as they are.

    Args:
        text: The text whose layout it is.
        words: As many words as the text has.
    """
    parts: list[str] = []
    last, end = "", 0
    for place, word in zip(_WORD.finditer(text), words, strict=True):
        parts += [text[end : place.start()] or _between(last, word), word]
        last, end = word, place.end()
    return "".join([*parts, text[end:]])


def without_last_word(text: str) -> str:
    """Return a text without its last word and the spaces around that."""
    return _LAST_WORD.sub("", text)


def _placed(words: Iterable[str]) -> Iterable[str]:
    last = ""
    for word in words:
        yield _between(last, word)
        yield word
        last = word


def _between(last: str, word: str) -> str:
    return "" if not last or is_alone(last) or is_alone(word) else " "
