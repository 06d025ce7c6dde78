"""Density: the sum that it says, remote documents low, whatever stands beside a document."""

import numpy as np
import pytest

from samplemix_dagster.core.diversity.meaning.density import Kernel, fit_kernel
from samplemix_dagster.core.diversity.meaning.spherical import unit_rows


def around(centre: np.ndarray, count: int, seed: int, spread: float = 0.05) -> np.ndarray:
    luck = np.random.default_rng(seed)
    return unit_rows(centre + spread * luck.standard_normal((count, len(centre))))


CENTRES = np.eye(8, dtype=np.float32)[:3]


def test_it_is_the_log_of_the_kernel_sum() -> None:
    kernel = Kernel(centroids_ME=CENTRES, weights=np.array([5.0, 1.0, 0.0]), kappa=4.0)
    document = unit_rows(np.array([[1.0, 1.0, 0.5, 0, 0, 0, 0, 0]]))
    cosines = document.astype(np.float64) @ CENTRES.T.astype(np.float64)
    expected = np.log((kernel.weights * np.exp(4.0 * (cosines - 1.0))).sum())
    assert kernel.log_density(document)[0] == pytest.approx(expected, rel=1e-12)


def test_where_most_documents_lie_it_is_densest() -> None:
    sizes = (300, 60, 12)
    sample = np.concatenate([around(c, n, seed=n) for c, n in zip(CENTRES, sizes, strict=True)])
    kernel = fit_kernel(sample, CENTRES)
    assert kernel.weights.tolist() == list(sizes)
    means = [kernel.log_density(around(c, 50, seed=1)).mean() for c in CENTRES]
    assert means[0] > means[1] > means[2]
    remote = kernel.log_density(np.eye(8)[7:])[0]
    assert remote < min(means)


def test_the_kernel_is_as_wide_as_the_usual_distance_to_a_centroid() -> None:
    narrow, wide = (
        fit_kernel(around(CENTRES[0], 500, 3, spread), CENTRES[:1]) for spread in (0.02, 0.1)
    )
    assert narrow.kappa > 10 * wide.kappa


def test_a_document_is_as_dense_alone_as_among_others() -> None:
    sample = around(CENTRES[0], 200, 4)
    kernel = fit_kernel(sample, CENTRES)
    whole = kernel.log_density(sample)
    alone = [kernel.log_density(row[None])[0] for row in sample]
    np.testing.assert_allclose(whole, alone, rtol=1e-12)


def test_an_embedding_of_zero_has_no_density_and_a_sample_of_zeros_has_a_kernel() -> None:
    kernel = fit_kernel(np.zeros((4, 8)), CENTRES)
    assert np.isnan(kernel.log_density(np.zeros((1, 8)))).all()
    assert np.isfinite(kernel.log_density(np.eye(8)[:1])).all()
