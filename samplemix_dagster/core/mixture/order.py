"""The order of a mixture's draws: every window of it is close to the whole mixture.

A low-discrepancy order: inside each stratum (cluster x quality band) the k-th of n draws gets the
key (k + u) / n, and draws are sorted by key. So an interval of keys holds each stratum's share to
within two draws, and a window of draws, wherever it begins and however long it is, one with the
share p of all draws to within 2 + 2 S p of them, with S strata. A shuffle is off by the root of the
window.

Ranks by luck and keys both grow with what they are sorted by, so that draws can be ranked range by
range of luck and sorted range by range of keys, with memory for one range.

Shape letters: D = draws, 2 = the two halves of a document id.
"""

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.beta.plane import bins_of
from samplemix_dagster.core.hashing import keyed_hashes, mix64

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]

NUM_QUALITY_BANDS = 4
_QUARTER_SHIFT, _TWO = np.uint64(62), np.uint64(2)
_JITTER_BITS = 22  # so that rank + jitter is exact for ranks below 2^30, and the key below 1


def strata_of(
    cluster: npt.NDArray[np.integer], quality: Floats, num_bands: int = NUM_QUALITY_BANDS
) -> Integers:
    """Return the stratum of each draw: cluster x quality band of equal width.

    Args:
        cluster: D cluster numbers, -1 for noise.
        quality: D scores in [0, 1].
        num_bands: Bands of quality.

    Raises:
        ValueError: A cluster is below -1, or a score outside [0, 1].
    """
    if cluster.size and int(cluster.min()) < -1:
        msg = f"a cluster is -1 (noise) or a number from 0, not {int(cluster.min())}"
        raise ValueError(msg)
    if not ((quality >= 0.0) & (quality <= 1.0)).all():
        msg = "quality lies in [0, 1]"
        raise ValueError(msg)
    return (cluster.astype(np.int64) + 1) * num_bands + bins_of(quality, num_bands)


def order_luck(
    words_D2: Words, copy: Integers, num_copies: Integers, seed: int, *, shuffles: bool = False
) -> Words:
    """Return 64 bits of luck for each draw; the copies of one document are spread evenly.

    Copy j of c has the luck (j + u) / c, u = hash(seed, ``order``, document id): uniform, and two
    copies of one document stand a c-th of their stratum apart. So documents with as many copies
    come in the same order in each pass. Where passes are shuffled, only the quarter of the pass is
    the document's, and its place in the quarter is a hash of the copy's: then two copies in a row
    stand between three and five quarters of a c-th apart.

    Args:
        words_D2: Document id of each draw.
        copy: Which copy it is, from 0.
        num_copies: How often its document is drawn.
        seed: The mixture's seed.
        shuffles: Whether each pass has an order of its own.

    Raises:
        ValueError: A copy is not in [0, num_copies).
    """
    if not ((copy >= 0) & (copy < num_copies)).all():
        msg = "a draw's copy counts from 0 to one below its document's num_copies"
        raise ValueError(msg)
    count = num_copies.astype(np.uint64)
    width = np.uint64(0xFFFFFFFFFFFFFFFF) // np.maximum(count, np.uint64(1))
    own = keyed_hashes(words_D2, seed, "order")
    if shuffles:
        own = (own >> _QUARTER_SHIFT << _QUARTER_SHIFT) | (_of_copies(words_D2, copy, seed) >> _TWO)
    luck: Words = own // np.maximum(count, np.uint64(1))
    luck += copy.astype(np.uint64) * width
    return luck


def _of_copies(words_D2: Words, copy: Integers, seed: int) -> Words:
    """Return a hash of each draw's document and of which copy it is."""
    found = np.empty(copy.size, dtype=np.uint64)
    for number in np.unique(copy).tolist():
        own = copy == number
        found[own] = keyed_hashes(words_D2[own], seed, f"order of copy {number}")
    return found


def order_keys(strata: Integers, luck: Words, words_D2: Words, copy: Integers) -> Floats:
    """Return the key of each draw, in [0, 1); draws are exported in the order of their keys.

    Equal keys of different strata are the caller's to break, by document id and copy.

    Args:
        strata: D stratum numbers, from :func:`strata_of`.
        luck: D words, from :func:`order_luck`: k is the rank by luck.
        words_D2: Document ids, which break ties of luck.
        copy: Copy numbers, which break the rest.

    Returns:
        (k + u) / n, with u from another hash of the same luck.
    """
    sizes = np.bincount(strata) if strata.size else np.empty(0, dtype=np.int64)
    return keys_of_ranks(stratum_ranks(strata, luck, words_D2, copy), sizes[strata], luck)


def stratum_ranks(strata: Integers, luck: Words, words_D2: Words, copy: Integers) -> Integers:
    """Return each draw's rank by luck in its stratum, from 0, among the draws that are given.

    Of a range of luck, its rank among all is this and the draws of its stratum in ranges below.
    """
    order = np.lexsort((luck, strata))
    sorted_strata, sorted_luck = strata[order], luck[order]
    is_tie = (sorted_strata[1:] == sorted_strata[:-1]) & (sorted_luck[1:] == sorted_luck[:-1])
    if is_tie.any():
        order = np.lexsort((copy, words_D2[:, 1], words_D2[:, 0], luck, strata))
        sorted_strata = strata[order]
    is_first = np.ones(strata.size, dtype=np.bool_)
    is_first[1:] = sorted_strata[1:] != sorted_strata[:-1]
    starts = np.flatnonzero(is_first)
    sizes = np.diff(np.append(starts, strata.size))
    ranks = np.empty(strata.size, dtype=np.int64)
    ranks[order] = np.arange(strata.size) - np.repeat(starts, sizes)
    return ranks


def keys_of_ranks(ranks: Integers, sizes: Integers, luck: Words) -> Floats:
    """Return (k + u) / n of draws with the rank k in a stratum of n draws."""
    jitter = (mix64(luck) >> np.uint64(64 - _JITTER_BITS)).astype(np.float64) * 2.0**-_JITTER_BITS
    keys: Floats = (ranks + jitter) / sizes
    return keys


def luck_ranges(luck: Words, num_ranges: int) -> Integers:
    """Return in which of so many equal ranges of luck each draw lies."""
    high = (luck >> np.uint64(32)) * np.uint64(num_ranges) >> np.uint64(32)
    return high.astype(np.int64)


def key_ranges(keys: Floats, num_ranges: int) -> Integers:
    """Return in which of so many equal ranges of keys each draw lies."""
    found: Integers = np.minimum((keys * num_ranges).astype(np.int64), num_ranges - 1)
    return found


class Cutter:
    """Gives draws their file, stretch by stretch of their order: parts of near-equal tokens."""

    def __init__(self, num_tokens: int, num_files: int, *, holds_out: bool = False) -> None:
        """Take what all stretches come to.

        Args:
            num_tokens: Tokens of all draws that are not held out.
            num_files: How many files there are.
            holds_out: Whether draws are held out: they stand in the last file, and no others do.
        """
        self._num_tokens = max(1, num_tokens)
        self._last = num_files - 1
        self._num_files = self._last if holds_out else num_files
        self._before = 0

    def files(self, tokens: Integers, is_held: Flags | None = None) -> Integers:
        """Return the file of each draw of the next stretch."""
        if is_held is not None:
            file = np.full(tokens.size, self._last, dtype=np.int64)
            file[~is_held] = self.files(tokens[~is_held])
            return file
        before = self._before + np.cumsum(tokens) - tokens
        self._before += int(tokens.sum())
        found: Integers = before * self._num_files // self._num_tokens
        return found


class HeldOut:
    """Which draws are of documents that are held out; all copies of one, or none.

    At least one document is, where there are some: that with the smallest hash. So all draws are
    added before one is asked for.
    """

    def __init__(self, seed: int, share: float) -> None:
        """Take the mixture's seed, and the expected share of documents in (0, 1)."""
        self._seed = seed
        self._bound = int(share * 2.0**64)
        self._least = 1 << 64
        self._least_tokens = 0
        self._tokens = 0

    def add(self, words_D2: Words, tokens: Integers) -> None:
        """Take document ids and tokens of D draws."""
        if not tokens.size:
            return
        luck = keyed_hashes(words_D2, self._seed, "held_out")
        self._tokens += int(tokens[luck < np.uint64(self._bound)].sum())
        least = int(luck.min())
        if least < self._least:
            self._least, self._least_tokens = least, 0
        self._least_tokens += int(tokens[luck == np.uint64(self._least)].sum())

    @property
    def num_tokens(self) -> int:
        """Tokens of all that is held out."""
        return self._tokens if self._least < self._bound else self._least_tokens

    def of(self, words_D2: Words) -> Flags:
        """Return which draws are held out, by their document ids."""
        luck = keyed_hashes(words_D2, self._seed, "held_out")
        is_held: Flags = luck < np.uint64(self._bound)
        return is_held | (luck == np.uint64(self._least)) if luck.size else is_held
