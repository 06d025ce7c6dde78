"""The bivariate beta: a density, its marginals against scipy.stats, its tails, its draws."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from samplemix_dagster.core.beta.law import BivariateBeta, Marginal


def law_of(a: float, b: float, c: float, d: float, rho: float) -> BivariateBeta:
    return BivariateBeta(a_quality=a, b_quality=b, a_diversity=c, b_diversity=d, rho=rho)


shapes = st.floats(1.2, 30.0)
laws = st.builds(law_of, shapes, shapes, shapes, shapes, st.floats(-0.9, 0.9))
any_shapes = st.floats(0.1, 60.0)
any_laws = st.builds(law_of, any_shapes, any_shapes, any_shapes, any_shapes, st.floats(-0.95, 0.95))


@settings(deadline=None, max_examples=25)
@given(law=laws)
def test_the_density_integrates_to_one(law: BivariateBeta) -> None:
    # x = sin^2(t) draws the nodes to the ends, where beta densities bend.
    nodes, weights = np.polynomial.legendre.leggauss(160)
    angles = (nodes + 1.0) * math.pi / 4.0
    x = np.sin(angles) ** 2
    mass = weights * math.pi / 4.0 * np.sin(2.0 * angles)
    q, d = np.meshgrid(x, x, indexing="ij")
    density = np.exp(law.log_density(q.ravel(), d.ravel())).reshape(q.shape)
    assert mass @ density @ mass == pytest.approx(1.0, abs=2e-3)


@settings(deadline=None, max_examples=25)
@given(law=any_laws)
def test_cell_probabilities_sum_to_one_with_exact_marginals(law: BivariateBeta) -> None:
    mass = law.grid_mass(16)
    edges = np.linspace(0.0, 1.0, 17)
    rows = np.diff(stats.beta.cdf(edges, law.a_quality, law.b_quality))
    columns = np.diff(stats.beta.cdf(edges, law.a_diversity, law.b_diversity))
    assert mass.sum() == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(mass.sum(axis=1), rows, atol=1e-9)
    # Columns are integrated over rows by quadrature, so they test it.
    np.testing.assert_allclose(mass.sum(axis=0), columns, atol=1e-6)


@settings(deadline=None, max_examples=25)
@given(a=st.floats(0.1, 500.0), b=st.floats(0.1, 500.0), x=st.floats(0.001, 0.999))
def test_marginals_agree_with_scipy(a: float, b: float, x: float) -> None:
    marginal = Marginal(a=a, b=b)
    at = np.array([x])
    expected = stats.beta.logpdf(x, a, b)
    assert marginal.log_density(at)[0] == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert marginal.cdf(at)[0] == pytest.approx(stats.beta.cdf(x, a, b), abs=1e-12)


def test_without_dependence_the_density_is_the_product() -> None:
    law = law_of(0.5, 0.7, 3.0, 2.0, 0.0)
    q, d = np.array([0.1, 0.9]), np.array([0.4, 0.2])
    expected = stats.beta.logpdf(q, 0.5, 0.7) + stats.beta.logpdf(d, 3.0, 2.0)
    np.testing.assert_allclose(law.log_density(q, d), expected)


def test_uniform_marginals_give_the_gaussian_copula_itself() -> None:
    law = law_of(1.0, 1.0, 1.0, 1.0, 0.6)
    z = np.array([[-1.0, 0.5], [2.0, 1.5]])
    joint = stats.multivariate_normal(cov=[[1.0, 0.6], [0.6, 1.0]]).logpdf(z)
    expected = joint - stats.norm.logpdf(z).sum(axis=1)
    u = stats.norm.cdf(z)
    np.testing.assert_allclose(law.log_density(u[:, 0], u[:, 1]), expected, rtol=1e-9)


def test_cells_agree_with_the_bivariate_normal() -> None:
    law = law_of(1.0, 1.0, 1.0, 1.0, -0.7)
    normal = stats.multivariate_normal(cov=[[1.0, -0.7], [-0.7, 1.0]])
    corner = normal.cdf(stats.norm.ppf([0.25, 0.5]))
    assert law.grid_mass(4)[0, :2].sum() == pytest.approx(corner, abs=1e-6)


@pytest.mark.parametrize("x", [1e-300, 1e-12, 0.5, 1.0 - 2.0**-53])
def test_the_density_is_finite_in_both_tails(x: float) -> None:
    law = law_of(40.0, 60.0, 0.2, 9.0, 0.8)
    at = np.array([x])
    assert np.isfinite(law.log_density(at, at)).all()


def test_normal_scores_stay_in_order_where_probabilities_underflow() -> None:
    values = np.array([1e-300, 1e-100, 1e-20, 1e-8, 1e-7, 0.2])
    found = Marginal(a=40.0, b=60.0).normal_scores(values)
    assert (np.diff(found) > 0.0).all()
    assert np.isfinite(found).all()


def test_deep_tails_continue_the_shallow_ones() -> None:
    marginal = Marginal(a=40.0, b=60.0)
    values = np.geomspace(1e-9, 1e-5, 400)
    steps = np.diff(marginal.normal_scores(values))
    # The seam where the logarithmic form takes over shows no jump.
    assert steps.max() < 1.1 * np.median(steps) + 0.1


def test_draws_have_the_marginals_and_the_correlation() -> None:
    law = law_of(0.4, 0.7, 5.0, 2.0, -0.6)
    draws = law.sample(np.random.default_rng(0).random((40_000, 2)))
    # 1.95 / sqrt(n) is the Kolmogorov bound at one in a thousand.
    assert stats.kstest(draws[:, 0], stats.beta(0.4, 0.7).cdf).statistic < 1.95 / 200
    assert stats.kstest(draws[:, 1], stats.beta(5.0, 2.0).cdf).statistic < 1.95 / 200
    tau = stats.kendalltau(draws[:4000, 0], draws[:4000, 1]).statistic
    assert tau == pytest.approx(2.0 / math.pi * math.asin(-0.6), abs=0.03)


def test_the_conditional_draw_is_the_joint_draw_given_quality() -> None:
    law = law_of(2.0, 3.0, 4.0, 2.0, 0.7)
    luck = np.random.default_rng(1).random((1000, 2))
    draws = law.sample(luck)
    found = law.diversity_given_quality(draws[:, 0], luck[:, 1])
    np.testing.assert_allclose(found, draws[:, 1], atol=1e-9)


def test_json_carries_a_law_without_loss() -> None:
    law = law_of(0.1 + 0.2, 2.0, 3.0, 4.0, -1 / 3)
    assert BivariateBeta.from_json(law.to_json()) == law


def test_refuses_parameters_it_does_not_know() -> None:
    with pytest.raises(ValueError, match="has the parameters"):
        BivariateBeta.from_json({"a_quality": 1.0})


@pytest.mark.parametrize("rho", [-1.0, 1.0, math.nan])
def test_refuses_a_correlation_that_has_no_density(rho: float) -> None:
    with pytest.raises(ValueError, match="strictly inside"):
        law_of(1.0, 1.0, 1.0, 1.0, rho)


def test_refuses_a_shape_of_zero() -> None:
    with pytest.raises(ValueError, match="positive and finite"):
        law_of(0.0, 1.0, 1.0, 1.0, 0.0)


def test_refuses_a_density_at_exactly_zero() -> None:
    with pytest.raises(ValueError, match="squeeze"):
        law_of(2.0, 2.0, 2.0, 2.0, 0.0).log_density(np.array([0.0]), np.array([0.5]))
