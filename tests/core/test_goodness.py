"""Goodness: quiet where the law holds, plain words where it does not."""

import numpy as np
import pytest
from scipy import stats

from samplemix_dagster.core.beta.fit import LawFit, fit_law
from samplemix_dagster.core.beta.goodness import (
    Goodness,
    goodness_of_fit,
    variation_floor,
    warnings,
)
from samplemix_dagster.core.beta.law import BivariateBeta
from samplemix_dagster.core.beta.plane import Plane, merge, plane_of

LAW = BivariateBeta(a_quality=2.0, b_quality=3.0, a_diversity=4.0, b_diversity=2.0, rho=-0.5)


def sample(law: BivariateBeta, size: int, seed: int = 0) -> Plane:
    draws = law.sample(np.random.default_rng(seed).random((size, 2)))
    return plane_of(draws[:, 0], draws[:, 1], np.ones(size, dtype=np.int64))


def judged(plane: Plane) -> tuple[LawFit, Goodness]:
    fit = fit_law(plane)
    return fit, goodness_of_fit(plane, fit.law)


def test_says_nothing_of_a_sample_of_the_law_itself() -> None:
    fit, goodness = judged(sample(LAW, 20_000))
    assert warnings(goodness, fit) == []
    assert goodness.quality.significance > 0.01


def test_the_floor_is_the_mean_variation_of_samples_of_the_law() -> None:
    found = [goodness_of_fit(sample(LAW, 1000, seed), LAW) for seed in range(40)]
    mean = np.mean([goodness.total_variation for goodness in found])
    assert found[0].total_variation_floor == pytest.approx(mean, rel=0.08)


def test_the_floor_of_a_coin_is_its_mean_absolute_deviation() -> None:
    # E|p_hat - p| for p = 1/2, n = 1000, is sqrt(1 / (2 pi n)) up to terms in 1/n.
    assert variation_floor(np.array([0.5, 0.5]), 1000.0) == pytest.approx(0.012616, abs=1e-5)


def test_the_distance_agrees_with_scipy_to_one_bin() -> None:
    draws = LAW.sample(np.random.default_rng(0).random((3000, 2)))
    plane = plane_of(draws[:, 0], draws[:, 1], np.ones(3000, dtype=np.int64))
    other = BivariateBeta(a_quality=2.4, b_quality=3.0, a_diversity=4.0, b_diversity=2.0, rho=0.0)
    expected = stats.kstest(draws[:, 0], stats.beta(2.4, 3.0).cdf).statistic
    found = goodness_of_fit(plane, other).quality.ks
    assert expected - 0.02 < found <= expected + 1e-12


def test_the_mean_log_likelihood_agrees_with_the_density() -> None:
    draws = LAW.sample(np.random.default_rng(0).random((50_000, 2)))
    plane = plane_of(draws[:, 0], draws[:, 1], np.ones(50_000, dtype=np.int64))
    expected = LAW.log_density(draws[:, 0], draws[:, 1]).mean()
    assert goodness_of_fit(plane, LAW).mean_log_likelihood_nats == pytest.approx(expected, abs=2e-3)


def test_dependence_is_worth_its_mutual_information() -> None:
    gain = goodness_of_fit(sample(LAW, 100_000), LAW).dependence_gain_nats
    assert gain == pytest.approx(-0.5 * np.log(1.0 - 0.25), abs=0.01)


def test_two_humps_are_named_with_their_axis() -> None:
    low = BivariateBeta(a_quality=60.0, b_quality=90.0, a_diversity=4.0, b_diversity=2.0, rho=0.0)
    high = BivariateBeta(a_quality=90.0, b_quality=10.0, a_diversity=4.0, b_diversity=2.0, rho=0.0)
    fit, goodness = judged(merge([sample(low, 9000), sample(high, 3000)]))
    messages = " ".join(warnings(goodness, fit))
    assert "misses quality by" in messages
    assert "diversity by" not in messages
    assert "ruler" in messages


def test_few_documents_are_said_to_be_few() -> None:
    fit, goodness = judged(sample(LAW, 30))
    assert "weigh like 30" in warnings(goodness, fit)[0]


def test_many_exact_ends_are_said() -> None:
    rng = np.random.default_rng(0)
    q = np.where(rng.random(2000) < 0.1, 0.0, rng.beta(2, 2, 2000))
    fit, goodness = judged(plane_of(q, rng.beta(2, 2, 2000), np.ones(2000, dtype=np.int64)))
    assert any("exactly 0 or 1" in message for message in warnings(goodness, fit))


def test_a_wrong_correlation_is_said_to_do_harm() -> None:
    plane = sample(LAW, 5000)
    fit = fit_law(plane)
    opposite = BivariateBeta(**{**fit.law.to_json(), "rho": 0.5})
    messages = warnings(goodness_of_fit(plane, opposite), fit)
    assert any("worse than none" in message for message in messages)


def test_refuses_an_empty_plane() -> None:
    with pytest.raises(ValueError, match="empty"):
        goodness_of_fit(merge([]), LAW)
