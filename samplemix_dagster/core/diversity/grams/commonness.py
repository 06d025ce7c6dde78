"""How common a document's n-grams are in the corpus: the likelier, the commoner.

The commonness of SoftDedup (He et al. 2024, arXiv 2407.06654, §3): the geometric mean of the
probabilities of a document's n-grams, here of those that are kept (:mod:`.ngrams`), each with the
document's own occurrences taken out and one added to every count.

Length letters: N = documents, G = distinct grams of each document, together, U = distinct grams.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.diversity.grams.ngrams import DocumentGrams, Hashes

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class GramCounts:
    """How often each gram stands in a set of documents.

    Attributes:
        grams: Sorted and distinct: (U,).
        counts: Of each: (U,).
    """

    grams: Hashes
    counts: npt.NDArray[np.int64]


def gram_counts(parts: Sequence[GramCounts | DocumentGrams]) -> GramCounts:
    """Return the counts of all parts together; their order does not matter."""
    grams = np.concatenate([np.empty(0, dtype=np.uint64), *(part.grams for part in parts)])
    counts = np.concatenate([np.empty(0, dtype=np.int64), *(part.counts for part in parts)])
    order = np.argsort(grams, kind="stable")
    grams, counts = grams[order], counts[order].astype(np.int64)
    if not len(grams):
        return GramCounts(grams=grams, counts=counts)
    first = np.flatnonzero(np.concatenate(([True], grams[1:] != grams[:-1])))
    return GramCounts(grams=grams[first], counts=np.add.reduceat(counts, first))


def log_commonness(grams: DocumentGrams, known: GramCounts) -> FloatArray:
    """Return the mean log probability of each document's grams, in nats: (N,); NaN without grams.

    Args:
        grams: Of N documents, which the counts may know or not.
        known: Counts of the corpus, with the ``n`` and ``sample_bits`` of the grams.
    """
    counts = np.zeros(len(grams.grams), dtype=np.int64)
    if len(known.grams):
        at = np.minimum(np.searchsorted(known.grams, grams.grams), len(known.grams) - 1)
        counts = np.where(known.grams[at] == grams.grams, known.counts[at], 0)
    own = grams.counts.astype(np.int64)
    elsewhere = np.maximum(counts - own, 0)
    total = float(known.counts.sum()) + 1.0
    logs = own * (np.log(elsewhere + 1.0) - np.log(total))
    documents = np.repeat(np.arange(grams.num_documents), grams.num_distinct)
    sums = np.bincount(documents, weights=logs, minlength=grams.num_documents)
    with np.errstate(invalid="ignore"):
        return np.where(grams.num_positions > 0, sums / np.maximum(grams.num_positions, 1), np.nan)
