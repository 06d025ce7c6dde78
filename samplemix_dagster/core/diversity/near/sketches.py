"""MinHash sketches: the share of equal entries of two estimates the overlap of their n-grams.

Broder (1997), "On the resemblance and containment of documents": under a random order of all grams
two sets have the same least one with a chance of their Jaccard index, |A and B| / |A or B|. A
sketch has :data:`NUM_HASHES` such least ones, of which 16 bits are kept: Li & König (2010), "b-bit
minwise hashing"; two that differ agree in those by chance once in 65,536.

Shape letters: N = documents, K = hashes of a sketch.
"""

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.diversity.grams.ngrams import DocumentGrams
from samplemix_dagster.core.hashing import keyed_hashes

NUM_HASHES = 128
"""A similarity of s is met with a standard error of sqrt(s (1 - s) / 128): .044 at most."""

Sketches = npt.NDArray[np.uint16]


def sketches_of(grams: DocumentGrams) -> Sketches:
    """Return the sketch of each document: shape (N, K); all 0 where it has no gram.

    A document's sketch depends on its set of grams alone.

    Args:
        grams: Of N documents; of sampled ones, the sketches are of the sample.
    """
    from samplemix_dagster.core.diversity.near.kernel import least_hashes

    sketches_NK = least_hashes(grams.grams, grams.offsets, _keys())
    sketches_NK[grams.num_distinct == 0] = 0
    return sketches_NK


def similarity(first_NK: Sketches, second_NK: Sketches) -> npt.NDArray[np.float64]:
    """Return the share of equal entries of each pair: shape (N,), in [0, 1]."""
    return np.asarray((first_NK == second_NK).mean(axis=1), dtype=np.float64)


def _keys() -> npt.NDArray[np.uint64]:
    """Return what each hash of a sketch is keyed by: shape (K,)."""
    names_K2 = np.zeros((NUM_HASHES, 2), dtype=np.uint64)
    names_K2[:, 1] = np.arange(NUM_HASHES)
    return keyed_hashes(names_K2, 0, "minhash")
