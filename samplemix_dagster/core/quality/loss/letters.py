"""How long a text is in letters, so that bits mean the same in every alphabet.

UTF-8 spends one byte on a Latin letter, two on a Cyrillic or Greek one and three on most others. So
the same bits are half as many to a byte, and what is compared by bytes seems twice as
predictable in Cyrillic. What a text in one language takes beside the same text in another is
bytes a character times characters a text (Arnett, Chang & Bergen 2024, "A Bit of a Problem:
Measurement Disparities in Dataset Sizes Across Languages", arXiv 2403.00686); of alphabets the
first factor is what differs, and of ideographs the two cancel, as three bytes stand for
what takes several letters.
"""

import re

_LETTERS_OF_A_WIDE_ONE = 3
_WIDE = re.compile(
    "["
    "\u2e80-\u2fdf"  # radicals
    "\u3005-\u3007"  # ideographic repetition, closing and zero
    "\u3041-\u30ff\u31f0-\u31ff"  # kana
    "\u3400-\u4dbf\u4e00-\u9fff"  # ideographs
    "\uac00-\ud7a3"  # syllables of Hangul
    "\uf900-\ufaff"  # ideographs, compatibility
    "\U00020000-\U0003ffff"  # ideographs, extensions B and later
    "]+"
)


def num_letters(text: str) -> int:
    """Return the length of a text in letters.

    A character is one, and an ideograph, a kana or a syllable of Hangul is three: what they have
    in bytes. So a text in ASCII or in ideographs has as many letters as bytes.
    """
    if text.isascii():
        return len(text)
    num_wide = sum(map(len, _WIDE.findall(text)))
    return len(text) + (_LETTERS_OF_A_WIDE_ONE - 1) * num_wide
