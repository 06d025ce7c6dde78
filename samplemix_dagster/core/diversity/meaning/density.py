"""How densely the corpus lies around a document, by a kernel over micro-centroids.

    density(x) = sum_m w_m exp(kappa (cos(x, m) - 1)),  kappa = 1 / median(1 - cos to the nearest)

with the micro-centroids m of the clusters (:mod:`.clusters`), each weighing as many documents of
the sample as are nearest to it: a von Mises-Fisher kernel whose width is the usual distance to a
micro-centroid. The form is ours.

Shape letters: N = documents, E = embedding width, M = micro-centroids.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from samplemix_dagster.core.diversity.meaning.spherical import nearest, own_cosines, unit_rows

FloatArray = npt.NDArray[np.float64]

_LEAST_DISTANCE = 1e-6
_CHUNK = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class Kernel:
    """What a density is made of.

    Attributes:
        centroids_ME: Unit vectors.
        weights: Documents of each: (M,), some may be 0.
        kappa: The concentration: the reciprocal of a distance in 1 - cosine.
    """

    centroids_ME: npt.NDArray[np.float32]
    weights: FloatArray
    kappa: float

    def log_density(self, embeddings_NE: npt.NDArray[np.floating[Any]]) -> FloatArray:
        """Return the log density at each document: (N,); NaN at an embedding of zero.

        Each is a sum over centroids in one order, so that it does not depend on the batch.
        """
        unit_NE = unit_rows(embeddings_NE)
        found = np.full(len(unit_NE), np.nan)
        exact_EM = self.centroids_ME.astype(np.float64).T
        for start in range(0, len(unit_NE), _CHUNK):
            part = unit_NE[start : start + _CHUNK].astype(np.float64)
            away_NM = self.kappa * (part @ exact_EM - 1.0)
            found[start : start + _CHUNK] = special.logsumexp(away_NM, axis=1, b=self.weights)
        found[~unit_NE.any(axis=1)] = np.nan
        return found


def fit_kernel(
    sample_NE: npt.NDArray[np.floating[Any]], centroids_ME: npt.NDArray[np.float32]
) -> Kernel:
    """Return the kernel of a sample of documents over micro-centroids.

    Args:
        sample_NE: N embeddings; those of zero take no part.
        centroids_ME: Unit rows, at least 1.
    """
    unit_NE = unit_rows(sample_NE)
    unit_NE = unit_NE[unit_NE.any(axis=1)]
    if not len(unit_NE):
        return Kernel(centroids_ME=centroids_ME, weights=np.ones(len(centroids_ME)), kappa=1.0)
    members = nearest(unit_NE, centroids_ME)
    distance = float(np.median(1.0 - own_cosines(unit_NE, centroids_ME, members)))
    return Kernel(
        centroids_ME=centroids_ME,
        weights=np.bincount(members, minlength=len(centroids_ME)).astype(np.float64),
        kappa=1.0 / max(distance, _LEAST_DISTANCE),
    )
