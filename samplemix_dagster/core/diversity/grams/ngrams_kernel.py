"""The compiled loops that turn UTF-8 bytes into hashed word n-grams.

Imported only where it runs (:mod:`.ngrams`), because it imports numba. What a word is, and what the
hashes are for, is said there. The table of what separates words is here.
"""

from functools import cache

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.compiled import compiled
from samplemix_dagster.core.diversity.words import SPACELESS_RANGES

SEPARATOR = 0
WORD = 1
ALONE = 2

Words = npt.NDArray[np.uint64]
Hashed = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Words, npt.NDArray[np.uint32]]

_SEPARATOR_RANGES = (
    (0x0000, 0x002F),  # ASCII, but for digits and letters
    (0x003A, 0x0040),
    (0x005B, 0x0060),
    (0x007B, 0x00A9),  # ... and Latin-1 punctuation, but for the letters a, mu and o
    (0x00AB, 0x00B4),
    (0x00B6, 0x00B9),
    (0x00BB, 0x00BF),
    (0x00D7, 0x00D7),
    (0x00F7, 0x00F7),
    (0x0589, 0x058A),  # Armenian, Arabic, Devanagari and Ogham punctuation
    (0x060C, 0x060C),
    (0x061B, 0x061F),
    (0x06D4, 0x06D4),
    (0x0964, 0x0965),
    (0x1680, 0x1680),
    (0x2000, 0x206F),  # general punctuation and spaces
    (0x20A0, 0x20CF),  # currency
    (0x2190, 0x2BFF),  # arrows, mathematics, boxes, dingbats
    (0x2E00, 0x2E7F),  # supplemental punctuation
    (0x3000, 0x303F),  # CJK punctuation; what stands for an ideograph there is put back
    (0x30A0, 0x30A0),
    (0x30FB, 0x30FB),
    (0xD800, 0xF8FF),  # surrogates and private use
    (0xFE00, 0xFE6F),  # variation selectors, vertical and small forms
    (0xFEFF, 0xFEFF),
    (0xFF00, 0xFF0F),  # full-width punctuation
    (0xFF1A, 0xFF20),
    (0xFF3B, 0xFF40),
    (0xFF5B, 0xFF65),
    (0x1F000, 0x1FAFF),  # pictographs
)

_SEED = np.uint64(0xCBF29CE484222325)
_CHARACTER_FACTOR = np.uint64(0x100000001B3)
_WORD_FACTOR = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)


@cache
def character_kinds() -> npt.NDArray[np.uint8]:
    """Return ``SEPARATOR``, ``WORD`` or ``ALONE`` for each code point; not to be written to."""
    kinds = np.full(0x110000, WORD, dtype=np.uint8)
    for ranges, kind in ((_SEPARATOR_RANGES, SEPARATOR), (SPACELESS_RANGES, ALONE)):
        for first, last in ranges:
            kinds[first : last + 1] = kind
    kinds.flags.writeable = False
    return kinds


@compiled
def _mix(word: np.uint64) -> np.uint64:
    """Return the SplitMix64 finaliser of a word (Steele, Lea & Flood 2014, figure 16)."""
    word = (word ^ (word >> np.uint64(30))) * _MIX_1
    word = (word ^ (word >> np.uint64(27))) * _MIX_2
    return word ^ (word >> np.uint64(31))


@compiled
def _character(octets: npt.NDArray[np.uint8], at: int) -> tuple[np.int64, int]:
    """Return the code point that starts at a byte, ASCII letters lower-cased, and its bytes."""
    lead = np.int64(octets[at])
    if lead < 0x80:
        return (lead + 32 if 0x41 <= lead <= 0x5A else lead), 1
    if lead < 0xE0:
        length, code = 2, lead & 0x1F
    elif lead < 0xF0:
        length, code = 3, lead & 0x0F
    else:
        length, code = 4, lead & 0x07
    for k in range(1, length):
        code = (code << 6) | (np.int64(octets[at + k]) & 0x3F)
    return code, length


@compiled
def _word_hashes(octets: npt.NDArray[np.uint8], kinds: npt.NDArray[np.uint8], words: Words) -> int:
    """Write the hash of each word of one document, and return their number."""
    num_words = 0
    is_in_word = False
    word = _SEED
    at = 0
    while at < octets.size:
        code, length = _character(octets, at)
        at += length
        kind = kinds[code]
        if is_in_word and kind != WORD:
            words[num_words] = _mix(word)
            num_words += 1
            is_in_word = False
        if kind == SEPARATOR:
            continue
        before = word if is_in_word else _SEED
        word = (before ^ np.uint64(code)) * _CHARACTER_FACTOR
        word ^= word >> np.uint64(29)
        is_in_word = kind == WORD
        if kind == ALONE:
            words[num_words] = _mix(word)
            num_words += 1
    if is_in_word:
        words[num_words] = _mix(word)
        num_words += 1
    return num_words


@compiled
def _gram_hashes(words: Words, n: int, mask: np.uint64, found: Words) -> int:
    """Write the hashes of each n words in a row that have no bit of the mask; return how many.

    A hash is the mixed value of a polynomial in the word hashes modulo 2^64 (Karp & Rabin 1987).
    """
    leaving = np.uint64(1)
    for _ in range(n):
        leaving *= _WORD_FACTOR
    rolling = np.uint64(0)
    num_found = 0
    for i in range(words.size):
        rolling = rolling * _WORD_FACTOR + words[i]
        if i >= n:
            rolling -= words[i - n] * leaving
        gram = _mix(rolling)
        if i >= n - 1 and (gram & mask) == np.uint64(0):
            found[num_found] = gram
            num_found += 1
    return num_found


@compiled
def _distinct(grams: Words, counts: npt.NDArray[np.uint32]) -> int:
    """Collapse sorted hashes to the distinct ones, in place, with their counts; return how many."""
    num_distinct = 0
    for i in range(grams.size):
        if num_distinct > 0 and grams[num_distinct - 1] == grams[i]:
            counts[num_distinct - 1] += np.uint32(1)
        else:
            grams[num_distinct] = grams[i]
            counts[num_distinct] = np.uint32(1)
            num_distinct += 1
    return num_distinct


@compiled
def hash_documents(
    octets: npt.NDArray[np.uint8],
    bounds: npt.NDArray[np.int64],
    kinds: npt.NDArray[np.uint8],
    n: int,
    mask: np.uint64,
) -> Hashed:
    """Return each document's distinct n-gram hashes, sorted, one document after another.

    Args:
        octets: The N documents' valid UTF-8, one after another.
        bounds: N + 1 byte offsets.
        kinds: For each code point, ``SEPARATOR``, ``WORD`` or ``ALONE`` (a word by itself).
        n: Words in a gram, at least 1.
        mask: A hash is kept if it has none of these bits.

    Returns:
        For each document its kept positions and its distinct hashes (numbers), then all hashes, and
        how often each stands in its document.
    """
    num_documents = bounds.size - 1
    num_positions = np.zeros(num_documents, dtype=np.int64)
    num_distinct = np.zeros(num_documents, dtype=np.int64)
    longest = 0
    for i in range(num_documents):
        longest = max(longest, bounds[i + 1] - bounds[i])
    words = np.empty(longest, dtype=np.uint64)
    # An ASCII word and what ends it take 2 bytes, a character that is a word by itself at least 3:
    # so there are no more words than half the bytes, and one.
    grams = np.empty(octets.size // 2 + num_documents, dtype=np.uint64)
    counts = np.empty(grams.size, dtype=np.uint32)
    used = 0
    for i in range(num_documents):
        num_words = _word_hashes(octets[bounds[i] : bounds[i + 1]], kinds, words)
        found = _gram_hashes(words[:num_words], n, mask, grams[used:])
        grams[used : used + found].sort()
        num_positions[i] = found
        num_distinct[i] = _distinct(grams[used : used + found], counts[used:])
        used += num_distinct[i]
    return num_positions, num_distinct, grams[:used].copy(), counts[:used].copy()
