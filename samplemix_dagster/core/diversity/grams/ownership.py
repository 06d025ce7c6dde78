"""Which documents say what others say too: owners of n-grams, and shares of a document's grams.

Each gram is owned by one of the documents that have it: the one with the smallest hash. So of
several copies one keeps its grams and the others lose them, as deduplication should have it. An
index of owners merges over shards by a minimum.

Not here: what a gram is (:mod:`.ngrams`), and where an index is stored.

Length letters: N = documents, G = distinct grams of each document, together, U = distinct grams of
an index.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.diversity.grams.ngrams import DocumentGrams, Hashes

FloatArray = npt.NDArray[np.float64]

_BUCKET_GRAMS = 1 << 21


@dataclass(frozen=True, slots=True, kw_only=True)
class GramIndex:
    """Who owns each gram of a set of documents.

    Attributes:
        grams: Sorted and distinct: (U,).
        owners: The smallest hash of a document that has the gram: (U,).
        is_shared: Whether a second document has it: (U,).
    """

    grams: Hashes
    owners: Hashes
    is_shared: npt.NDArray[np.bool_]


def gram_index(grams: DocumentGrams, document_hashes: Hashes) -> GramIndex:
    """Index the grams of N documents by owner.

    Args:
        grams: Of the documents.
        document_hashes: (N,) hashes that name the documents; documents with one hash are one.

    Raises:
        ValueError: There are not N hashes.
    """
    _check_hashes(grams, document_hashes)
    parts = []
    for part, hashes in _chunks(grams, document_hashes):
        is_shared = np.zeros(len(part.grams), dtype=np.bool_)
        parts.append(_reduce(part.grams, part.per_gram(hashes), is_shared))
    return merge_indexes(parts)


def merge_indexes(indexes: Sequence[GramIndex]) -> GramIndex:
    """Return the index of all documents of the given ones; the order and repeats do not matter.

    Merging goes from one range of grams to the next, so that beside its input and its output it
    needs little memory.
    """
    indexes = [index for index in indexes if len(index.grams)]
    if not indexes:
        empty = np.empty(0, dtype=np.uint64)
        return GramIndex(grams=empty, owners=empty, is_shared=np.empty(0, dtype=np.bool_))
    if len(indexes) == 1:
        return indexes[0]
    longest = max((index.grams for index in indexes), key=len)
    num_buckets = -(-sum(len(index.grams) for index in indexes) // _BUCKET_GRAMS)
    edges = longest[np.arange(1, num_buckets) * len(longest) // num_buckets]
    bounds = [
        [0, *np.searchsorted(index.grams, edges).tolist(), len(index.grams)] for index in indexes
    ]
    buckets = []
    for k in range(num_buckets):
        pieces = [
            (index, slice(at[k], at[k + 1])) for index, at in zip(indexes, bounds, strict=True)
        ]
        buckets.append(
            _reduce(
                np.concatenate([index.grams[piece] for index, piece in pieces]),
                np.concatenate([index.owners[piece] for index, piece in pieces]),
                np.concatenate([index.is_shared[piece] for index, piece in pieces]),
            )
        )
    return GramIndex(
        grams=np.concatenate([bucket.grams for bucket in buckets]),
        owners=np.concatenate([bucket.owners for bucket in buckets]),
        is_shared=np.concatenate([bucket.is_shared for bucket in buckets]),
    )


def _reduce(grams: Hashes, owners: Hashes, is_shared: npt.NDArray[np.bool_]) -> GramIndex:
    """Sort entries by gram and make one of those that are equal."""
    if len(grams) == 0:
        return GramIndex(grams=grams, owners=owners, is_shared=is_shared)
    order = np.argsort(grams)
    grams, owners = grams[order], owners[order]
    first = np.flatnonzero(np.concatenate(([True], grams[1:] != grams[:-1])))
    least = np.minimum.reduceat(owners, first)
    # Shared before, or by two that have different smallest documents.
    is_mixed = np.maximum.reduceat(owners, first) != least
    is_shared = np.logical_or.reduceat(is_shared[order], first) | is_mixed
    return GramIndex(grams=grams[first], owners=least, is_shared=is_shared)


@dataclass(frozen=True, slots=True, kw_only=True)
class GramScores:
    """Shares of N documents' gram positions, each in [0, 1].

    Attributes:
        ownership: Distinct grams that the document owns / positions; high = says what is its own.
        overlap: Positions whose gram another document has / positions.
        novelty: Distinct grams that no other document has / positions; at most the ownership.
        repetition: 1 - distinct grams / positions.
        num_positions: Kept positions. Where there is none, ownership and novelty are 1/2, overlap
            and repetition 0.
    """

    ownership: FloatArray
    overlap: FloatArray
    novelty: FloatArray
    repetition: FloatArray
    num_positions: npt.NDArray[np.int64]


def gram_scores(grams: DocumentGrams, document_hashes: Hashes, index: GramIndex) -> GramScores:
    """Score documents against an index, which may know them or not.

    A gram that the index lacks is owned and novel: so a document that came after the index was
    frozen is compared with the documents in it, and not with others that came after.

    Args:
        grams: Of N documents, with the ``n`` and ``sample_bits`` of the index.
        document_hashes: (N,) hashes that name them, as when the index was made.
        index: Of the corpus.

    Raises:
        ValueError: There are not N hashes.
    """
    _check_hashes(grams, document_hashes)
    parts = [_shares(part, hashes, index) for part, hashes in _chunks(grams, document_hashes)]
    ownership, overlap, novelty, repetition = (
        np.concatenate(arrays) for arrays in zip(*parts, strict=True)
    )
    return GramScores(
        ownership=ownership,
        overlap=overlap,
        novelty=novelty,
        repetition=repetition,
        num_positions=grams.num_positions,
    )


def _shares(
    grams: DocumentGrams, hashes: Hashes, index: GramIndex
) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    is_own, is_novel = _is_own_and_novel(grams, hashes, index)

    def share(numbers: npt.NDArray[np.generic], where_none: float) -> FloatArray:
        totals = np.concatenate(([0], np.cumsum(numbers, dtype=np.int64)))[grams.offsets]
        positions = grams.num_positions
        return np.where(positions > 0, np.diff(totals) / np.maximum(positions, 1), where_none)

    return (
        share(is_own, 0.5),
        share(grams.counts * ~is_novel, 0.0),
        share(is_novel, 0.5),
        share(grams.counts - np.uint32(1), 0.0),
    )


def _is_own_and_novel(
    grams: DocumentGrams, hashes: Hashes, index: GramIndex
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    if len(index.grams) == 0:
        everything = np.ones(len(grams.grams), dtype=np.bool_)
        return everything, everything
    # Sorted first: neighbouring searches then read neighbouring memory.
    order = np.argsort(grams.grams)
    at = np.empty(len(order), dtype=np.int64)
    at[order] = np.searchsorted(index.grams, grams.grams[order])
    at = np.minimum(at, len(index.grams) - 1)
    is_unknown = index.grams[at] != grams.grams
    is_owner = index.owners[at] == grams.per_gram(hashes)
    return is_unknown | is_owner, is_unknown | (is_owner & ~index.is_shared[at])


def component(
    ownership: FloatArray, *, power: float = 1.0, lowest: float = 0.01, highest: float = 0.999
) -> FloatArray:
    """Return ownership as a part of the diversity score: clipped, then raised to a power.

    Args:
        ownership: Or novelty: shares in [0, 1].
        power: Above 0. 1 is a mild penalty on repeated text; 4 to 6 selected better in trials.
        lowest: Shares below count as this.
        highest: Shares above count as this.

    Raises:
        ValueError: ``power`` is not above 0, or not 0 < lowest < highest < 1.
    """
    if not (power > 0.0 and 0.0 < lowest < highest < 1.0):
        msg = f"power > 0 and 0 < lowest < highest < 1 must hold: {power}, {lowest}, {highest}"
        raise ValueError(msg)
    return np.clip(ownership, lowest, highest) ** power


def sample_error(ownership: FloatArray, num_positions: npt.NDArray[np.int64]) -> FloatArray:
    """Return the standard error of an ownership (or novelty) that was taken from a hash sample.

    The standard deviation of the share given what was seen, sqrt(p (1 - p) / (m + 3)) with
    p = (k + 1) / (m + 2) for k of m kept positions (a Beta(k + 1, m - k + 1), from a flat prior):
    never 0, and 0.29 where nothing was kept. It treats positions as drawn one by one, so a document
    with much-repeated grams errs by more.

    Args:
        ownership: As :func:`gram_scores` gave it for sampled grams.
        num_positions: Kept positions, likewise.
    """
    kept = num_positions.astype(np.float64)
    p = (ownership * kept + 1.0) / (kept + 2.0)
    return np.asarray(np.sqrt(p * (1.0 - p) / (kept + 3.0)), dtype=np.float64)


def _check_hashes(grams: DocumentGrams, document_hashes: Hashes) -> None:
    if document_hashes.shape != (grams.num_documents,):
        msg = f"{grams.num_documents} documents need as many hashes, not {document_hashes.shape}"
        raise ValueError(msg)


def _chunks(
    grams: DocumentGrams, document_hashes: Hashes
) -> Iterator[tuple[DocumentGrams, Hashes]]:
    """Yield runs of documents with some two million grams each, to bound memory."""
    chunk = grams.offsets[:-1] // _BUCKET_GRAMS
    starts = np.flatnonzero(np.diff(chunk, prepend=-1)).tolist() or [0]
    for start, stop in zip(starts, [*starts[1:], grams.num_documents], strict=True):
        yield grams.select(start, stop), document_hashes[start:stop]
