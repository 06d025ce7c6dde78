"""The order of a mixture's draws: every window of it is close to the whole mixture.

A low-discrepancy order: inside each stratum (cluster x quality band) the k-th of n draws gets the
key (k + u) / n, and draws are sorted by key. A window of the keys then holds each stratum's share
to within one draw, where a shuffle is off by the root of the draws.

Shape letters: D = draws, 2 = the two halves of a document id.
"""

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.beta.plane import bins_of
from samplemix_dagster.core.hashing import keyed_hashes, mix64

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

NUM_QUALITY_BANDS = 4
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


def order_luck(words_D2: Words, copy: Integers, num_copies: Integers, seed: int) -> Words:
    """Return 64 bits of luck for each draw; the copies of one document are spread evenly.

    Copy j of c has the luck (j + u) / c, u = hash(seed, ``order``, document id): uniform, and two
    copies of one document stand a c-th of their stratum apart.

    Args:
        words_D2: Document id of each draw.
        copy: Which copy it is, from 0.
        num_copies: How often its document is drawn.
        seed: The mixture's seed.

    Raises:
        ValueError: A copy is not in [0, num_copies).
    """
    if not ((copy >= 0) & (copy < num_copies)).all():
        msg = "a draw's copy counts from 0 to one below its document's num_copies"
        raise ValueError(msg)
    count = num_copies.astype(np.uint64)
    width = np.uint64(0xFFFFFFFFFFFFFFFF) // np.maximum(count, np.uint64(1))
    luck: Words = keyed_hashes(words_D2, seed, "order") // np.maximum(count, np.uint64(1))
    luck += copy.astype(np.uint64) * width
    return luck


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
    ranks = np.arange(strata.size) - np.repeat(starts, sizes)
    bits = mix64(luck[order]) >> np.uint64(64 - _JITTER_BITS)
    jitter = bits.astype(np.float64) * 2.0**-_JITTER_BITS
    keys = np.empty(strata.size)
    keys[order] = (ranks + jitter) / np.repeat(sizes, sizes)
    return keys


def files_of(
    tokens: Integers, num_files: int, is_held: npt.NDArray[np.bool_] | None = None
) -> Integers:
    """Return the file of each draw: parts of near-equal numbers of tokens, in order.

    Args:
        tokens: Tokens of D draws, in their order.
        num_files: How many files there are.
        is_held: Which draws are held out: they stand in the last file, and no others do.
    """
    if is_held is None:
        before = np.cumsum(tokens) - tokens
        file: Integers = before * num_files // max(1, int(tokens.sum()))
        return file
    file = np.full(tokens.size, num_files - 1, dtype=np.int64)
    file[~is_held] = files_of(tokens[~is_held], num_files - 1)
    return file


def held_out_draws(words_D2: Words, seed: int, share: float) -> npt.NDArray[np.bool_]:
    """Return which draws are of documents that are held out; all copies of one, or none.

    At least one document is, where there are some: that with the smallest hash.

    Args:
        words_D2: Document id of each draw.
        seed: The mixture's seed.
        share: The expected share of documents, in (0, 1).
    """
    luck = keyed_hashes(words_D2, seed, "held_out")
    is_held: npt.NDArray[np.bool_] = luck < np.uint64(int(share * 2.0**64))
    return is_held | (luck == luck.min()) if luck.size else is_held
