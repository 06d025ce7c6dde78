"""Group weighted micro-centroids: UMAP to 5 dimensions, then HDBSCAN; k-means where that fails.

Not here: where micro-centroids come from, and what a cluster is worth (:mod:`.clusters`).

Shape letters: M = micro-centroids, E = embedding width, D = dimensions of the projection,
C = clusters.
"""

from typing import Literal

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.diversity.meaning.spherical import nearest, spherical_kmeans

Method = Literal["hdbscan", "hdbscan_leaf", "kmeans", "single"]
FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int32]

_MIN_MICRO = 16
_MAX_CLUSTER_SHARE = 0.5
_DENSITY_MICRO = 2.0


def label_micro(
    micro_ME: npt.NDArray[np.float32], weights: FloatArray, min_cluster_size: int, seed: int
) -> tuple[IntArray, Method]:
    """Return the cluster of each micro-centroid, and what found it.

    Args:
        micro_ME: Unit vectors, at least 1.
        weights: How many documents each stands for.
        min_cluster_size: Fewest micro-centroids in a cluster; M // 20, but at least 3, if less.
        seed: For UMAP and k-means.

    Returns:
        Labels 0, 1, ..., or -1 for noise, shape (M,); and the method, which
        :func:`samplemix_dagster.core.diversity.meaning.clusters.fit_clusters` explains.
    """
    num_micro = len(micro_ME)
    if num_micro >= _MIN_MICRO:
        size = min(min_cluster_size, max(3, num_micro // 20))
        reachability_MM = weighted_reachability(_project(micro_ME, seed), weights)
        choices: tuple[tuple[str, Method], ...] = (("eom", "hdbscan"), ("leaf", "hdbscan_leaf"))
        for selection, method in choices:
            labels = _hdbscan(reachability_MM, size, selection)
            mass = np.bincount(labels + 1, weights=weights, minlength=2)[1:]
            if labels.max() >= 1 and mass.max() <= _MAX_CLUSTER_SHARE * weights.sum():
                return labels, method
    num_clusters = min(num_micro, int(np.clip(round(num_micro**0.5), 2, 30)))
    centroids_CE = spherical_kmeans(micro_ME, weights, num_clusters, seed)
    _, members = np.unique(nearest(micro_ME, centroids_CE), return_inverse=True)
    return members.astype(np.int32), "kmeans"


def _project(micro_ME: npt.NDArray[np.float32], seed: int) -> FloatArray:
    import umap
    from umap.umap_ import compute_membership_strengths, smooth_knn_dist
    from umap.utils import fast_knn_indices

    from samplemix_dagster.core.compiled import keep_compiled

    keep_compiled(compute_membership_strengths, fast_knn_indices, smooth_knn_dist)
    reducer = umap.UMAP(
        n_components=5,
        n_neighbors=min(15, len(micro_ME) - 1),
        min_dist=0.0,
        metric="cosine",
        random_state=seed,
        n_jobs=1,  # what a fixed random_state means to UMAP; said, so that it does not warn
    )
    return np.asarray(reducer.fit_transform(micro_ME), dtype=np.float64)


def weighted_reachability(points_MD: FloatArray, weights: FloatArray) -> FloatArray:
    """Return mutual reachability distances under weighted core distances: shape (M, M).

    The core distance of a point is the radius within which the weights, its own included, come to
    twice the mean; with even weights, the distance of the nearest neighbour. Otherwise definitions
    5 and 6 of Campello, Moulavi & Sander (2013).
    """
    distance_MM = np.linalg.norm(points_MD[:, None, :] - points_MD[None, :, :], axis=2)
    order_MM = np.argsort(distance_MM, axis=1, kind="stable")
    reached_MM = np.cumsum(weights[order_MM], axis=1) >= _DENSITY_MICRO * weights.mean()
    rank = reached_MM.argmax(axis=1)
    every = np.arange(len(points_MD))
    core = distance_MM[every, order_MM[every, rank]]
    reachability_MM = np.maximum(distance_MM, np.maximum(core[:, None], core[None, :]))
    np.fill_diagonal(reachability_MM, 0.0)
    return np.asarray(reachability_MM, dtype=np.float64)


def _hdbscan(reachability_MM: FloatArray, size: int, selection: str) -> IntArray:
    import hdbscan

    # min_samples=1 adds nothing to distances that are mutual reachability already.
    clusterer = hdbscan.HDBSCAN(
        min_cluster_size=size,
        min_samples=1,
        metric="precomputed",
        cluster_selection_method=selection,
    )
    return np.asarray(clusterer.fit(reachability_MM).labels_, dtype=np.int32)
