"""What each character is to the measures of a text: a letter, a digit, a stop, a bracket."""

import unicodedata
from functools import cache

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.diversity.words import SPACELESS_RANGES

(
    OTHER,
    SPACE,
    LINE,
    LETTER,
    CAPITAL,
    DIGIT,
    ALONE,
    STOP,
    COMMA,
    BRACKET,
    SYMBOL,
    QUOTE,
    MARK,
) = range(13)
"""``ALONE`` is a letter of a script without spaces, a word by itself; ``MARK`` goes with a letter.
"""
NUM_KINDS = 13

_SPECIAL = {
    LINE: "\n\r\x0b\x0c\x85\u2028\u2029",
    STOP: ".!?…。！？؟।",
    COMMA: ",;:，、；：،؛",
    BRACKET: "<>{}[]=/\\_|#*^~`@&%$+",
    OTHER: "()",
    QUOTE: "\"'",
    SYMBOL: "•‣◦▪●»›·",
}
_BY_CATEGORY = {
    "Lu": CAPITAL,
    "Lt": CAPITAL,
    "Ps": BRACKET,
    "Pe": BRACKET,
    "Pi": QUOTE,
    "Pf": QUOTE,
}
_BY_FIRST_LETTER = {"L": LETTER, "M": MARK, "N": DIGIT, "S": SYMBOL, "Z": SPACE}
_LAST_LOOKED_AT = 0x1FFFF
_NUM_CODES = 0x110000


@cache
def character_kinds() -> npt.NDArray[np.uint8]:
    """Return the kind of each code point; beyond plane 1 all but spaceless scripts are letters."""
    kinds = np.full(_NUM_CODES, LETTER, dtype=np.uint8)
    kinds[: _LAST_LOOKED_AT + 1] = [_kind(chr(code)) for code in range(_LAST_LOOKED_AT + 1)]
    for first, last in SPACELESS_RANGES:
        kinds[first : last + 1] = ALONE
    for kind, characters in _SPECIAL.items():
        kinds[[ord(character) for character in characters]] = kind
    kinds.flags.writeable = False
    return kinds


def _kind(character: str) -> int:
    category = unicodedata.category(character)
    if character.isspace():
        return SPACE
    return _BY_CATEGORY.get(category, _BY_FIRST_LETTER.get(category[0], OTHER))


@cache
def folded_codes() -> npt.NDArray[np.uint32]:
    """Return the code point as which each one counts: lower case, and any digit as ``0``."""
    codes = np.arange(_NUM_CODES, dtype=np.uint32)
    kinds = character_kinds()
    for code in np.flatnonzero(kinds == CAPITAL):
        lower = chr(code).lower()
        if len(lower) == 1:
            codes[code] = ord(lower)
    codes[kinds == DIGIT] = ord("0")
    codes.flags.writeable = False
    return codes


def codes_of(text: str) -> npt.NDArray[np.uint32]:
    """Return a text's code points; a lone surrogate is a question mark."""
    return np.frombuffer(text.encode("utf-32-le", "replace"), dtype="<u4")
