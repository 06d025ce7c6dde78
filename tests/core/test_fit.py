"""The fit: known laws are recovered within their stated errors, and scipy agrees."""

import numpy as np
import pytest
from scipy import stats

from samplemix_dagster.core.beta.fit import fit_law, normal_score_correlation
from samplemix_dagster.core.beta.law import BivariateBeta
from samplemix_dagster.core.beta.plane import Plane, plane_of
from samplemix_dagster.errors import DegenerateSampleError

LAWS = {
    "bell": (2.0, 3.0, 4.0, 2.0, -0.6),
    "u-shaped": (0.4, 0.3, 0.5, 0.6, 0.7),
    "narrow": (30.0, 5.0, 8.0, 80.0, 0.3),
    "uniform and tight": (1.0, 1.0, 1.0, 1.0, 0.9),
    "j-shaped": (0.5, 5.0, 3.0, 0.6, -0.3),
    "independent": (2.0, 2.0, 2.0, 2.0, 0.0),
}


def law_of(name: str) -> BivariateBeta:
    return BivariateBeta(**dict(zip(BivariateBeta.__slots__, LAWS[name], strict=True)))


def sample(law: BivariateBeta, size: int, seed: int) -> Plane:
    rng = np.random.default_rng(seed)
    draws = law.sample(rng.random((size, 2)))
    return plane_of(draws[:, 0], draws[:, 1], rng.integers(1, 2000, size))


@pytest.mark.parametrize("name", LAWS)
def test_recovers_a_known_law_within_its_standard_errors(name: str) -> None:
    law = law_of(name)
    fit = fit_law(sample(law, 60_000, 3))
    found, true = fit.law.to_json(), law.to_json()
    # Four standard errors: one chance in 16,000 for each parameter.
    far = {k: (found[k] - true[k]) / fit.standard_errors[k] for k in true}
    assert max(abs(value) for value in far.values()) < 4.0, far


@pytest.mark.parametrize("name", ["bell", "u-shaped"])
def test_standard_errors_are_the_spread_of_estimates(name: str) -> None:
    law = law_of(name)
    fits = [fit_law(sample(law, 2000, seed)) for seed in range(60)]
    for parameter in law.to_json():
        spread = np.std([fit.law.to_json()[parameter] for fit in fits])
        stated = np.mean([fit.standard_errors[parameter] for fit in fits])
        # The spread of 60 estimates is itself known to 1 / sqrt(120) = 9 %.
        assert spread == pytest.approx(stated, rel=0.35), parameter


def test_shapes_agree_with_scipy() -> None:
    values = np.random.default_rng(0).beta(0.5, 2.0, 4000)
    fit = fit_law(plane_of(values, values[::-1], np.ones(4000, dtype=np.int64)))
    a, b, _, _ = stats.beta.fit(values, floc=0, fscale=1)
    assert fit.law.a_quality == pytest.approx(a, rel=1e-4)
    assert fit.law.b_quality == pytest.approx(b, rel=1e-4)


def test_tokens_weigh_like_repeated_documents() -> None:
    rng = np.random.default_rng(0)
    q, d, times = rng.beta(2, 3, 500), rng.beta(3, 2, 500), rng.integers(1, 5, 500)
    weighted = fit_law(plane_of(q, d, times))
    ones = np.ones(int(times.sum()), dtype=np.int64)
    repeated = fit_law(plane_of(np.repeat(q, times), np.repeat(d, times), ones))
    assert weighted.law == repeated.law
    assert weighted.effective_sample_size < repeated.effective_sample_size


def test_bins_that_hold_a_tenth_of_the_tokens_do_not_shrink_the_correlation() -> None:
    rng = np.random.default_rng(0)
    z = rng.multivariate_normal([0, 0], [[1, -0.8], [-0.8, 1]], 100_000)
    rows, columns = (np.digitize(z, [-1.0, 0.0, 1.0])).T
    counts = np.zeros((4, 4), dtype=np.int64)
    np.add.at(counts, (rows, columns), 1)
    assert normal_score_correlation(counts) == pytest.approx(-0.8, abs=0.01)


def test_exact_ends_are_counted() -> None:
    rng = np.random.default_rng(0)
    q = np.concatenate([rng.beta(2, 2, 998), [0.0, 1.0]])
    fit = fit_law(plane_of(q, rng.beta(2, 2, 1000), np.ones(1000, dtype=np.int64)))
    assert fit.num_squeezed == 2
    assert 1.0 < fit.law.a_quality < 2.1


def test_refuses_scores_without_spread() -> None:
    q, d = np.full(100, 0.4), np.random.default_rng(0).beta(2, 2, 100)
    with pytest.raises(DegenerateSampleError, match=r"quality has no spread: 100 .* about 0.40000"):
        fit_law(plane_of(q, d, np.ones(100, dtype=np.int64)))


def test_refuses_one_document() -> None:
    with pytest.raises(DegenerateSampleError, match="at least two documents"):
        fit_law(plane_of(np.array([0.4]), np.array([0.3]), np.array([9])))


def test_refuses_documents_without_tokens() -> None:
    with pytest.raises(DegenerateSampleError, match="with 0 tokens"):
        fit_law(plane_of(np.array([0.4, 0.5]), np.array([0.3, 0.4]), np.array([0, 0])))


def test_refuses_one_axis_twice() -> None:
    q = np.random.default_rng(0).beta(2, 2, 5000)
    with pytest.raises(DegenerateSampleError, match="one coordinate"):
        fit_law(plane_of(q, q, np.ones(5000, dtype=np.int64)))
