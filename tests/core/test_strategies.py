"""Strategies: the fitted law cancels, the mean weight is one, bad dials are refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplemix_dagster.core.beta.law import BivariateBeta
from samplemix_dagster.core.beta.plane import Plane, plane_of
from samplemix_dagster.core.mixture.dials import Dials, promise
from samplemix_dagster.core.mixture.strategies import (
    STRATEGIES,
    BetaTilt,
    Proportional,
    ScoreColumns,
    StrategyInputs,
    bin_weights,
    make_strategy,
    weights_from_logs,
)
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
    strategy = make_strategy("beta", StrategyInputs(plane=PLANE, law=LAW, options=options))
    assert strategy == BetaTilt.of_plane(PLANE, LAW, Dials(quality=2.0, diversity=0.5))


def test_refuses_a_dial_that_it_does_not_know() -> None:
    options = {"balance": {"qualty": 2}}
    with pytest.raises(ConfigError, match="not qualty"):
        make_strategy("beta", StrategyInputs(plane=PLANE, law=LAW, options=options))


def test_refuses_a_strategy_that_it_does_not_know() -> None:
    with pytest.raises(ConfigError, match="there are beta, proportional"):
        make_strategy("gamma", StrategyInputs(plane=PLANE, law=LAW))


def test_every_strategy_goes_by_its_own_name() -> None:
    inputs = StrategyInputs(plane=PLANE, law=LAW)
    assert all(make_strategy(name, inputs).name == name for name in STRATEGIES)


def test_a_strategy_without_a_tilt_is_promised_from_bin_centres() -> None:
    found = promise(PLANE, bin_weights(Proportional(), PLANE))
    assert found.mean_quality == pytest.approx(PLANE.mean_quality, abs=1e-4)
    assert found.kl_nats == pytest.approx(0.0, abs=1e-12)


def test_a_weight_below_the_floor_is_never_drawn() -> None:
    assert weights_from_logs(np.array([-np.inf, -601.0, 0.0])).tolist() == [0.0, 0.0, 1.0]


@pytest.mark.parametrize("bad", [np.nan, 601.0, np.inf])
def test_refuses_a_weight_that_is_no_number(bad: float) -> None:
    with pytest.raises(ValueError, match="row 1"):
        weights_from_logs(np.array([0.0, bad]))
