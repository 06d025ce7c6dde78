"""Strategies: the fitted law cancels, the mean weight is one, bad dials are refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from samplemix_dagster.core.beta.law import BivariateBeta
from samplemix_dagster.core.beta.plane import NUM_BINS, Plane, plane_of
from samplemix_dagster.core.mixture.dials import Dials, promise
from samplemix_dagster.core.mixture.strategies.blend import Blend
from samplemix_dagster.core.mixture.strategies.proportional import Proportional
from samplemix_dagster.core.mixture.strategies.strategy import ScoreColumns, weights_from_logs
from samplemix_dagster.core.mixture.strategies.table import STRATEGIES, make_strategy
from samplemix_dagster.core.mixture.strategies.tilt import Balance, BetaTilt
from samplemix_dagster.errors import ConfigError

LAW = BivariateBeta(a_quality=2.0, b_quality=3.0, a_diversity=4.0, b_diversity=2.0, rho=-0.5)
OTHER = BivariateBeta(a_quality=9.0, b_quality=9.0, a_diversity=9.0, b_diversity=9.0, rho=0.9)


def columns_of(size: int = 50_000) -> ScoreColumns:
    rng = np.random.default_rng(0)
    draws = LAW.sample(rng.random((size, 2)))
    tokens = rng.integers(1, 2000, size)
    return ScoreColumns(
        quality=draws[:, 0], diversity=draws[:, 1], num_tokens=tokens, source=tokens % 3
    )


def plane_for(columns: ScoreColumns) -> Plane:
    return plane_of(columns.quality, columns.diversity, columns.num_tokens)


COLUMNS = columns_of()
PLANE = plane_for(COLUMNS)


@settings(deadline=None, max_examples=25)
@given(quality=st.floats(-1.0, 4.0), diversity=st.floats(-1.0, 4.0), flip=st.booleans())
def test_the_token_weighted_mean_weight_is_one(
    quality: float, diversity: float, flip: bool
) -> None:
    dials = Dials(quality=quality, diversity=diversity, flip_quality=flip, flip_diversity=flip)
    weights = weights_from_logs(BetaTilt.of_plane(PLANE, LAW, dials).log_weights(COLUMNS))
    mean = np.average(weights, weights=COLUMNS.num_tokens)
    # The bins' inner shape is a model; negative dials have heavy tails.
    assert mean == pytest.approx(1.0, abs=0.01)


@settings(deadline=None, max_examples=10)
@given(quality=st.floats(0.0, 4.0), diversity=st.floats(0.0, 4.0))
def test_the_fitted_law_does_not_reach_the_weights(quality: float, diversity: float) -> None:
    dials = Dials(quality=quality, diversity=diversity)
    first = BetaTilt.of_plane(PLANE, LAW, dials).log_weights(COLUMNS)
    second = BetaTilt.of_plane(PLANE, OTHER, dials).log_weights(COLUMNS)
    assert (first == second).all()


def test_the_weight_is_the_ratio_of_two_laws_where_the_axes_are_independent() -> None:
    corpus = BivariateBeta(a_quality=2, b_quality=3, a_diversity=4, b_diversity=2, rho=0.0)
    target = BivariateBeta(a_quality=3.5, b_quality=3, a_diversity=5, b_diversity=2, rho=0.0)
    tilt = BetaTilt.of_plane(PLANE, corpus, Dials(quality=1.5, diversity=1.0))
    ratios = target.log_density(COLUMNS.quality, COLUMNS.diversity) - corpus.log_density(
        COLUMNS.quality, COLUMNS.diversity
    )
    assert np.ptp(tilt.log_weights(COLUMNS) - ratios) < 1e-10


def test_dials_of_zero_are_the_corpus() -> None:
    tilt = BetaTilt.of_plane(PLANE, LAW, Dials(quality=0.0, diversity=0.0))
    assert (weights_from_logs(tilt.log_weights(COLUMNS)) == 1.0).all()
    assert (Proportional().log_weights(COLUMNS) == 0.0).all()


def test_a_flipped_dial_prefers_low_scores() -> None:
    tilt = BetaTilt.of_plane(PLANE, LAW, Dials(quality=2.0, diversity=0.0, flip_quality=True))
    order = np.argsort(COLUMNS.quality)
    assert (np.diff(tilt.log_weights(COLUMNS)[order]) <= 0.0).all()


def test_an_exact_zero_has_the_weight_of_its_squeezed_score() -> None:
    tilt = BetaTilt.of_plane(PLANE, LAW, Dials(quality=1.0, diversity=0.0))
    ends = ScoreColumns(
        quality=np.array([0.0, 0.5 / PLANE.num_documents]),
        diversity=np.array([0.5, 0.5]),
        num_tokens=np.array([1, 1]),
        source=["a", "a"],
    )
    first, second = tilt.log_weights(ends)
    assert first == second


@pytest.mark.parametrize("dial", [-2.0, -5.0, 51.0, float("nan")])
def test_refuses_a_dial_without_a_law_and_names_the_range(dial: float) -> None:
    with pytest.raises(ConfigError, match=r"balance.quality .* above -2 and at or below 50"):
        BetaTilt.of_plane(PLANE, LAW, Dials(quality=dial, diversity=1.0))


def test_a_negative_dial_above_minus_the_shape_is_a_mixture() -> None:
    dials = Dials(quality=-1.9, diversity=0.0)
    assert BetaTilt.of_plane(PLANE, LAW, dials).log_normaliser > 0.0


def test_the_configured_strategy_reads_its_balance() -> None:
    options = {"balance": {"quality": 2, "diversity": 0.5}}
    strategy = make_strategy("beta", PLANE, LAW, options)
    assert strategy == BetaTilt.of_plane(PLANE, LAW, Dials(quality=2.0, diversity=0.5))


@pytest.mark.parametrize(("quality", "diversity"), [(0.05, None), (None, 0.03), (-0.05, 0.04)])
def test_wished_means_are_what_the_mixture_promises(
    quality: float | None, diversity: float | None
) -> None:
    balance = {
        "quality": 1.0,
        "diversity": 1.0,
        "mean_quality": quality,
        "mean_diversity": diversity,
    }
    tilt = make_strategy("beta", PLANE, LAW, {"balance": balance})
    found = promise(PLANE, tilt.on_plane(PLANE))
    corpus = promise(PLANE, make_strategy("proportional", PLANE, LAW, {}).on_plane(PLANE))
    assert isinstance(tilt, BetaTilt)
    if quality is not None:
        assert found.mean_quality - corpus.mean_quality == pytest.approx(quality, abs=1e-3)
    else:
        assert tilt.dials.quality == 1.0
    if diversity is not None:
        assert found.mean_diversity - corpus.mean_diversity == pytest.approx(diversity, abs=1e-3)
    else:
        assert tilt.dials.diversity == 1.0


def test_a_mean_that_no_dials_give_is_refused_before_anything_is_drawn() -> None:
    with pytest.raises(ConfigError, match="no dials give mean quality"):
        BetaTilt.check(PLANE, LAW, {"balance": {"mean_quality": 0.9}})


def test_a_wish_and_a_dial_of_one_axis_exclude_each_other() -> None:
    with pytest.raises(ValueError, match="sets the dial quality itself"):
        Balance(quality=2.0, mean_quality=0.1)
    assert Balance(diversity=2.0, mean_quality=0.1).for_recipe()["mean_quality"] == 0.1
    assert Balance(quality=2.0).for_recipe() == {"quality": 2.0, "diversity": 1.0}


def test_refuses_a_strategy_that_it_does_not_know() -> None:
    with pytest.raises(ConfigError, match="there are beta, blend, proportional"):
        make_strategy("gamma", PLANE, LAW, {})


OPTIONS: dict[str, dict[str, float]] = {
    "beta": {},
    "proportional": {},
    "blend": {"alpha": 0.8, "tau": 0.2},
}


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_has_a_mean_weight_of_one_and_promises_what_it_draws(name: str) -> None:
    strategy = make_strategy(name, PLANE, LAW, OPTIONS[name])
    weights = weights_from_logs(strategy.log_weights(COLUMNS)) * COLUMNS.num_tokens
    assert weights.sum() / COLUMNS.num_tokens.sum() == pytest.approx(1.0, abs=0.003)
    found = promise(PLANE, strategy.on_plane(PLANE))
    assert found.mean_quality == pytest.approx(
        np.average(COLUMNS.quality, weights=weights), abs=2e-3
    )
    assert found.mean_diversity == pytest.approx(
        np.average(COLUMNS.diversity, weights=weights), abs=2e-3
    )


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_tells_one_weight_in_words(name: str) -> None:
    words = STRATEGIES[name].in_words(
        OPTIONS[name], {"quality": 0.5, "diversity": 0.25, "weight": 2}
    )
    assert words
    assert "{" not in words


@settings(deadline=None, max_examples=25)
@given(alpha=st.floats(0.0, 1.0), tau=st.floats(0.05, 5.0))
def test_a_blend_is_the_softmax_of_the_weighted_sum(alpha: float, tau: float) -> None:
    blend = make_strategy("blend", PLANE, LAW, {"alpha": alpha, "tau": tau})
    few = ScoreColumns(
        quality=COLUMNS.quality[:50],
        diversity=COLUMNS.diversity[:50],
        num_tokens=COLUMNS.num_tokens[:50],
        source=COLUMNS.source[:50],
    )
    weights = weights_from_logs(blend.log_weights(few))
    wanted = softmax((alpha * few.diversity + (1 - alpha) * few.quality) / tau)
    np.testing.assert_allclose(weights / weights.sum(), wanted, rtol=1e-6)


@settings(deadline=None, max_examples=25)
@given(alpha=st.floats(0.0, 1.0), tau=st.floats(0.01, 50.0))
def test_a_blend_on_the_plane_is_the_integral_over_each_bin(alpha: float, tau: float) -> None:
    found = Blend(alpha=alpha, tau=tau).on_plane(PLANE)
    nodes = (np.arange(NUM_BINS)[:, None] + (np.arange(400) + 0.5) / 400) / NUM_BINS
    for rate, log_weights, means in (
        ((1 - alpha) / tau, found.log_weights_BB[:, 0], found.mean_quality),
        (alpha / tau, found.log_weights_BB[0], found.mean_diversity),
    ):
        powers = np.exp(rate * (nodes - 1.0))
        wanted = np.log(powers.mean(axis=1))
        np.testing.assert_allclose(log_weights - log_weights[0], wanted - wanted[0], atol=1e-4)
        np.testing.assert_allclose(means, (powers * nodes).mean(1) / powers.mean(1), atol=1e-4)


def test_a_weight_below_the_floor_is_never_drawn() -> None:
    assert weights_from_logs(np.array([-np.inf, -601.0, 0.0])).tolist() == [0.0, 0.0, 1.0]


@pytest.mark.parametrize("bad", [np.nan, 601.0, np.inf])
def test_refuses_a_weight_that_is_no_number(bad: float) -> None:
    with pytest.raises(ValueError, match="row 1"):
        weights_from_logs(np.array([0.0, bad]))
