"""Arithmetic of unit vectors: nearest by cosine, mean directions, spherical k-means.

Written out because it must give the same bits for a document whatever stands beside it, and for a
sample whatever the number of threads that share the sums.

Shape letters: N = rows (documents, or weighted points), E = width, C = centroids.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

_CHUNK = 4096
_MAX_STEPS = 25
_SEEDING_ROWS = 64


def unit_rows(rows_NE: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float32]:
    """Return the rows divided by their lengths, in float32; a row of zeros stays one.

    Raises:
        ValueError: The array is not of rank 2, or a value is not finite.
    """
    rows_NE = np.asarray(rows_NE)
    if rows_NE.ndim != 2:
        msg = f"embeddings must be of rank 2 (documents, width), not of shape {rows_NE.shape}"
        raise ValueError(msg)
    unit_NE = rows_NE.astype(np.float32)
    if not np.isfinite(unit_NE).all():
        first = int((~np.isfinite(unit_NE)).any(axis=1).argmax())
        msg = f"embeddings must be finite; row {first} is not"
        raise ValueError(msg)
    lengths = np.linalg.norm(unit_NE, axis=1, keepdims=True)
    return np.asarray(unit_NE / np.where(lengths > 0.0, lengths, 1.0), dtype=np.float32)


def nearest(
    unit_NE: npt.NDArray[np.float32],
    centroids_CE: npt.NDArray[np.float32],
    *,
    is_exact: bool = True,
) -> npt.NDArray[np.int32]:
    """Return the centroid of the greatest cosine for each row: shape (N,), the first of equals.

    Args:
        unit_NE: Unit rows, or zeros, whose answer is 0.
        centroids_CE: Unit rows, at least 1.
        is_exact: In float64, where no near tie depends on how rows are batched; else in float32,
            twice as fast.
    """
    dtype: type[np.float64 | np.float32] = np.float64 if is_exact else np.float32
    centroids_EC: npt.NDArray[Any] = centroids_CE.astype(dtype).T
    found = np.empty(len(unit_NE), dtype=np.int32)
    for start in range(0, len(unit_NE), _CHUNK):
        rows_NE: npt.NDArray[Any] = unit_NE[start : start + _CHUNK].astype(dtype)
        found[start : start + _CHUNK] = (rows_NE @ centroids_EC).argmax(axis=1)
    return found


def own_cosines(
    unit_NE: npt.NDArray[np.float32],
    centroids_CE: npt.NDArray[np.float32],
    members: npt.NDArray[np.int32],
) -> npt.NDArray[np.float64]:
    """Return each row's cosine with the one centroid it is a member of: shape (N,), float64."""
    cosines = np.empty(len(unit_NE))
    for start in range(0, len(unit_NE), _CHUNK):
        part = slice(start, start + _CHUNK)
        own_NE = centroids_CE[members[part]].astype(np.float64)
        cosines[part] = (unit_NE[part].astype(np.float64) * own_NE).sum(axis=1)
    return cosines


def mean_directions(
    unit_NE: npt.NDArray[np.float32],
    members: npt.NDArray[np.int32],
    num_centroids: int,
    weights: npt.NDArray[np.float64] | None = None,
) -> npt.NDArray[np.float32]:
    """Return the unit (weighted) mean of each centroid's members: shape (C, E).

    A negative member belongs to none. A centroid without members, or whose members cancel, is zero.
    """
    is_member = members >= 0
    mass = np.ones(len(members)) if weights is None else weights
    belongs_CN = sparse.csr_array(
        (mass[is_member], (members[is_member], np.flatnonzero(is_member))),
        shape=(num_centroids, len(unit_NE)),
    )
    return unit_rows(np.asarray(belongs_CN @ unit_NE))


def spherical_kmeans(
    unit_NE: npt.NDArray[np.float32],
    weights: npt.NDArray[np.float64],
    num_centroids: int,
    seed: int,
) -> npt.NDArray[np.float32]:
    """Return centroids that raise the weighted sum of cosines of rows with their nearest one.

    Lloyd's iterations on the sphere (Dhillon & Modha 2001), at most 25, from k-means++ seeds
    (Arthur & Vassilvitskii 2007) among at most 64 rows per centroid. A centroid that loses its
    members stays where it was. The result depends on the order of the rows.

    Args:
        unit_NE: N >= C unit rows.
        weights: N positive weights.
        num_centroids: C, at least 1.
        seed: For the seeding.
    """
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(unit_NE))[: _SEEDING_ROWS * num_centroids])
    centroids_CE = _seed_centroids(unit_NE[chosen], weights[chosen], num_centroids, rng)
    members = np.full(len(unit_NE), -1, dtype=np.int32)
    for _ in range(_MAX_STEPS):
        previous = members
        members = nearest(unit_NE, centroids_CE, is_exact=False)
        if np.array_equal(members, previous):
            break
        means_CE = mean_directions(unit_NE, members, num_centroids, weights)
        has_mean = means_CE.any(axis=1, keepdims=True)
        centroids_CE = np.where(has_mean, means_CE, centroids_CE)
    return centroids_CE


def _seed_centroids(
    unit_NE: npt.NDArray[np.float32],
    weights: npt.NDArray[np.float64],
    num_centroids: int,
    rng: np.random.Generator,
) -> npt.NDArray[np.float32]:
    chosen = [int(rng.choice(len(unit_NE), p=weights / weights.sum()))]
    apart = np.full(len(unit_NE), np.inf)
    for _ in range(num_centroids - 1):
        # On the sphere 1 - cosine is half the squared distance that k-means++ draws by.
        away = 1.0 - (unit_NE @ unit_NE[chosen[-1]]).astype(np.float64)
        apart = np.minimum(apart, np.maximum(away, 0.0))
        apart[chosen[-1]] = 0.0
        pull = apart * weights
        # Fewer different rows than centroids: the rest may fall anywhere.
        pull = pull if pull.sum() > 0.0 else weights
        chosen.append(int(rng.choice(len(unit_NE), p=pull / pull.sum())))
    return unit_NE[chosen]
