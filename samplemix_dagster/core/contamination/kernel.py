"""The compiled loop that finds hashed word n-grams in documents, and where each begins.

Imported only where it runs (:mod:`.search`), because it imports numba. Words and hashes are of
:mod:`samplemix_dagster.core.diversity.grams.ngrams_kernel`.
"""

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.compiled import compiled
from samplemix_dagster.core.diversity.grams.ngrams_kernel import (
    SEPARATOR,
    WORD,
    Words,
    _character,
    _gram_hashes,
    _word_hashes,
)

Integers = npt.NDArray[np.int64]


@compiled
def _word_starts(
    octets: npt.NDArray[np.uint8], kinds: npt.NDArray[np.uint8], starts: Integers
) -> int:
    """Write the byte at which each word begins, and behind them where the last ends."""
    num_words, at, end = 0, 0, 0
    is_in_word = False
    while at < octets.size:
        code, length = _character(octets, at)
        kind = kinds[code]
        if kind != SEPARATOR:
            if kind != WORD or not is_in_word:
                starts[num_words] = at
                num_words += 1
            end = at + length
        is_in_word = kind == WORD
        at += length
    starts[num_words] = end
    return num_words


@compiled
def find_grams(
    octets: npt.NDArray[np.uint8],
    bounds: Integers,
    kinds: npt.NDArray[np.uint8],
    grams: Words,
    lengths: Integers,
    filter_bits: int,
) -> tuple[Integers, Integers, Integers, Integers]:
    """Return every place of N documents at which a wanted gram stands.

    Args:
        octets: The documents' valid UTF-8, one after another.
        bounds: N + 1 byte offsets.
        kinds: For each code point what it is, as the n-grams' kernel has it.
        grams: W distinct hashes, ascending.
        lengths: Words in each of them.
        filter_bits: A table of 2^b bits tells most other hashes at one look.

    Returns:
        For each place the document, the gram's number, and the bytes of the document at which it
        begins and at which its last word begins.
    """
    shift = np.uint64(64 - filter_bits)
    marks = np.zeros(1 << (filter_bits - 6), dtype=np.uint64)
    for gram in grams:
        mark = gram >> shift
        marks[np.int64(mark >> np.uint64(6))] |= np.uint64(1) << (mark & np.uint64(63))
    longest = 0
    for i in range(bounds.size - 1):
        longest = max(longest, bounds[i + 1] - bounds[i])
    words = np.empty(longest + 1, dtype=np.uint64)
    hashes = np.empty(longest + 1, dtype=np.uint64)
    starts = np.empty(longest + 2, dtype=np.int64)
    found = np.empty((4, 256), dtype=np.int64)
    num_found = 0
    wanted = np.unique(lengths)
    for i in range(bounds.size - 1):
        own = octets[bounds[i] : bounds[i + 1]]
        num_words = _word_hashes(own, kinds, words)
        has_starts = False
        for n in wanted:
            num_grams = _gram_hashes(words[:num_words], n, np.uint64(0), hashes)
            for k in range(num_grams):
                mark = hashes[k] >> shift
                bits = marks[np.int64(mark >> np.uint64(6))] >> (mark & np.uint64(63))
                if bits & np.uint64(1) == np.uint64(0):
                    continue
                place = np.searchsorted(grams, hashes[k])
                if place == grams.size or grams[place] != hashes[k] or lengths[place] != n:
                    continue
                if not has_starts:
                    _word_starts(own, kinds, starts)
                    has_starts = True
                if num_found == found.shape[1]:
                    more = np.empty((4, 2 * num_found), dtype=np.int64)
                    more[:, :num_found] = found
                    found = more
                found[0, num_found] = i
                found[1, num_found] = place
                found[2, num_found] = starts[k]
                found[3, num_found] = starts[k + n - 1]
                num_found += 1
    return found[0, :num_found], found[1, :num_found], found[2, :num_found], found[3, :num_found]
