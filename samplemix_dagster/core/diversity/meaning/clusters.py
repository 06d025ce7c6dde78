"""Group documents by meaning, and score each by how spread out and how remote its cluster is.

A fit: weighted micro-centroids (spherical k-means) -> UMAP to 5 dimensions -> HDBSCAN on the
micro-centroids -> one unit centroid for each cluster. HDBSCAN on the documents themselves calls
half of them noise, or most of them one cluster; on micro-centroids its cost is flat, too.
A score: C_x = distance of a document to its own centroid x separation of that cluster, the
per-document form of C_j = d_inter x d_intra of Density-Based Pruning (Abbas et al. 2024,
arXiv 2401.04578): the mean of C_x over a cluster is its compactness x its separation.

Not here: where embeddings come from, and the names of clusters (:mod:`.words`).

Shape letters: N = documents, E = embedding width, M = micro-centroids, C = clusters.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special

from samplemix_dagster.core.diversity.meaning.micro_clusters import (
    FloatArray,
    IntArray,
    Method,
    label_micro,
)
from samplemix_dagster.core.diversity.meaning.spherical import (
    mean_directions,
    nearest,
    own_cosines,
    spherical_kmeans,
    unit_rows,
)
from samplemix_dagster.errors import DegenerateSampleError

_NEAREST_CENTROIDS = 5
_MIN_DOCUMENTS = 10
_MIN_DISTANCE = 1e-6
_MARGIN = 1e-5  # outlives rounding to five significant digits


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterModel:
    """A frozen fit: what :func:`apply_clusters` needs to know.

    Attributes:
        micro_centroids_ME: Unit vectors, float32.
        micro_clusters: The cluster of each micro-centroid; for noise, the nearest cluster.
        micro_is_noise: Whether HDBSCAN called the micro-centroid noise.
        centroids_CE: Unit mean of each cluster's documents without noise, float32; cluster 0 has
            the most documents.
        separations: Mean of 1 - cosine to the 5 nearest other centroids, in [0, 2]; 1 for an only
            cluster.
        log_median: Median of log C_x on the fitting sample.
        log_scale: 1.4826 x the median absolute deviation of the same; 1 where that is 0.
        method: What found the clusters; :func:`fit_clusters` says when it is which.
    """

    micro_centroids_ME: npt.NDArray[np.float32]
    micro_clusters: IntArray
    micro_is_noise: npt.NDArray[np.bool_]
    centroids_CE: npt.NDArray[np.float32]
    separations: FloatArray
    log_median: float
    log_scale: float
    method: Method

    @property
    def num_clusters(self) -> int:
        """C."""
        return len(self.centroids_CE)

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return the fit as named arrays, for a file of arrays; text becomes UTF-8 bytes."""
        arrays = {f.name: np.asarray(getattr(self, f.name)) for f in fields(self)}
        arrays["method"] = np.frombuffer(self.method.encode(), dtype=np.uint8)
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> "ClusterModel":
        """Return the fit that :meth:`to_arrays` took apart, without loss.

        Raises:
            KeyError: An array is missing.
        """
        values: dict[str, Any] = {f.name: arrays[f.name] for f in fields(cls)}
        values["log_median"] = float(arrays["log_median"])
        values["log_scale"] = float(arrays["log_scale"])
        values["method"] = arrays["method"].tobytes().decode()
        return cls(**values)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterScores:
    """N documents against a :class:`ClusterModel`.

    Attributes:
        cluster: Cluster numbers, int32, in [0, C).
        is_noise: Whether the nearest micro-centroid is noise, or the embedding is zero. Such a
            document still belongs to a cluster, the nearest.
        distance: 1 - cosine to the own cluster's centroid, in [0, 2].
        spread: C_x = distance x separation of the cluster.
        score: logistic(asinh(robust z of log C_x)), kept 1e-5 away from 0 and 1; 1/2 at the
            median.
    """

    cluster: IntArray
    is_noise: npt.NDArray[np.bool_]
    distance: FloatArray
    spread: FloatArray
    score: FloatArray


def fit_clusters(
    embeddings_NE: npt.NDArray[np.floating[Any]],
    *,
    num_micro: int = 600,
    min_cluster_size: int = 5,
    seed: int = 0,
) -> ClusterModel:
    """Find clusters in a sample of documents; the same rows in the same order give the same fit.

    A micro-centroid weighs as many documents as are nearest to it. The weights enter where density
    does: the core distance of a micro-centroid is the radius in the UMAP plane that holds twice the
    mean weight, its own included. So a point that stands for many documents is dense by itself,
    while ``min_cluster_size`` counts micro-centroids. Cluster centroids are means over documents.

    ``method`` tells which of these it came to:

    * ``hdbscan``: excess of mass, the usual.
    * ``hdbscan_leaf``: the former found fewer than 2 clusters, or one with over half of the
      documents, so the leaves of the same tree were taken.
    * ``kmeans``: the leaves were no better, or there are fewer than 16 micro-centroids: weighted
      k-means over the micro-centroids into sqrt(M) clusters (2 to 30), without noise.
    * ``single``: fewer than 10 documents, which are one cluster.

    Args:
        embeddings_NE: Any length of rows; they are normalised here. Rows of zeros take no part.
        num_micro: Most micro-centroids; a small sample has one for each two documents.
        min_cluster_size: Fewest micro-centroids in a cluster; M // 20, but at least 3, if less.
        seed: For k-means and UMAP.

    Raises:
        ValueError: ``num_micro`` or ``min_cluster_size`` is below 2, or a value is not finite.
        DegenerateSampleError: No document has an embedding other than zero.
    """
    if num_micro < 2 or min_cluster_size < 2:
        msg = f"num_micro ({num_micro}) and min_cluster_size ({min_cluster_size}) must be >= 2"
        raise ValueError(msg)
    unit_NE = unit_rows(embeddings_NE)
    unit_NE = unit_NE[unit_NE.any(axis=1)]
    num_documents = len(unit_NE)
    if num_documents == 0:
        msg = "clusters need a document with an embedding other than zero; there is none"
        raise DegenerateSampleError(msg)
    if num_documents < _MIN_DOCUMENTS:
        micro_ME = mean_directions(unit_NE, np.zeros(num_documents, dtype=np.int32), 1)
        return _model(unit_NE, micro_ME, np.zeros(1, dtype=np.int32), "single")
    size = min(num_micro, num_documents // 2)
    micro_ME = spherical_kmeans(unit_NE, np.ones(num_documents), size, seed)
    weights = np.bincount(nearest(unit_NE, micro_ME), minlength=size).astype(np.float64)
    # The last means may leave one with no document; two equal ones share none.
    micro_ME, weights = micro_ME[weights > 0.0], weights[weights > 0.0]
    labels, method = label_micro(micro_ME, weights, min_cluster_size, seed)
    return _model(unit_NE, micro_ME, labels, method)


def apply_clusters(
    embeddings_NE: npt.NDArray[np.floating[Any]], model: ClusterModel
) -> ClusterScores:
    """Score documents against a fit, each by itself: nearest micro-centroid, then its cluster.

    Raises:
        ValueError: A value is not finite, or the width is not the model's.
    """
    unit_NE = unit_rows(embeddings_NE)
    if unit_NE.shape[1] != model.centroids_CE.shape[1]:
        msg = f"embeddings are {unit_NE.shape[1]} wide, the model {model.centroids_CE.shape[1]}"
        raise ValueError(msg)
    micro = nearest(unit_NE, model.micro_centroids_ME)
    cluster = model.micro_clusters[micro]
    distance, spread = _spread(unit_NE, cluster, model.centroids_CE, model.separations)
    z = (np.log(spread) - model.log_median) / model.log_scale
    return ClusterScores(
        cluster=cluster,
        is_noise=model.micro_is_noise[micro] | ~unit_NE.any(axis=1),
        distance=distance,
        spread=spread,
        score=np.clip(special.expit(np.arcsinh(z)), _MARGIN, 1.0 - _MARGIN),
    )


def split_half_agreement(
    embeddings_NE: npt.NDArray[np.floating[Any]],
    *,
    num_micro: int = 600,
    min_cluster_size: int = 5,
    seed: int = 0,
) -> float:
    """Return how well two fits on disjoint halves agree on all documents, noise counted in.

    Returns:
        The adjusted Rand index of the two clusterings: 1 the same, about 0 unrelated. NaN where a
        half is empty.
    """
    from sklearn.metrics import adjusted_rand_score

    order = np.random.default_rng([seed, 1]).permutation(len(embeddings_NE))
    halves = (order[0::2], order[1::2])
    if len(halves[1]) == 0:
        return float("nan")
    first, second = (
        apply_clusters(
            embeddings_NE,
            fit_clusters(
                embeddings_NE[np.sort(half)],
                num_micro=num_micro,
                min_cluster_size=min_cluster_size,
                seed=seed,
            ),
        ).cluster
        for half in halves
    )
    return float(adjusted_rand_score(first, second))


def _model(
    unit_NE: npt.NDArray[np.float32],
    micro_ME: npt.NDArray[np.float32],
    labels: IntArray,
    method: Method,
) -> ClusterModel:
    micro = nearest(unit_NE, micro_ME)
    num_clusters = int(labels.max()) + 1
    sizes = np.bincount(labels[micro] + 1, minlength=num_clusters + 1)[1:]
    rank = np.empty(num_clusters + 1, dtype=np.int32)
    rank[np.argsort(-sizes, kind="stable")] = np.arange(num_clusters)
    rank[-1] = -1
    labels = rank[labels]
    centroids_CE = mean_directions(unit_NE, labels[micro], num_clusters)
    is_noise = labels < 0
    clusters = np.where(is_noise, nearest(micro_ME, centroids_CE), labels).astype(np.int32)
    separations = _separations(centroids_CE)
    _, spread = _spread(unit_NE, clusters[micro], centroids_CE, separations)
    log_spread = np.log(spread)
    log_median = float(np.median(log_spread))
    log_scale = 1.4826 * float(np.median(np.abs(log_spread - log_median)))
    return ClusterModel(
        micro_centroids_ME=micro_ME,
        micro_clusters=clusters,
        micro_is_noise=is_noise,
        centroids_CE=centroids_CE,
        separations=separations,
        log_median=log_median,
        log_scale=log_scale if log_scale > 0.0 else 1.0,
        method=method,
    )


def _separations(centroids_CE: npt.NDArray[np.float32]) -> FloatArray:
    num_others = min(_NEAREST_CENTROIDS, len(centroids_CE) - 1)
    if num_others == 0:
        return np.ones(1)
    exact_CE = centroids_CE.astype(np.float64)
    distance_CC = 1.0 - exact_CE @ exact_CE.T
    np.fill_diagonal(distance_CC, np.inf)
    return np.asarray(np.sort(distance_CC, axis=1)[:, :num_others].mean(axis=1), dtype=np.float64)


def _spread(
    unit_NE: npt.NDArray[np.float32],
    clusters: IntArray,
    centroids_CE: npt.NDArray[np.float32],
    separations: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return each document's distance to its own centroid, and C_x = distance x separation."""
    # Below the floor, which is below what float16 embeddings can tell apart, log C_x means nothing.
    distance = np.maximum(1.0 - own_cosines(unit_NE, centroids_CE, clusters), _MIN_DISTANCE)
    return distance, distance * np.maximum(separations, _MIN_DISTANCE)[clusters]
