import json
import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from samplemix_dagster.core.calibrating.calibration import (
    Band,
    Calibration,
    Direction,
    GroupHistograms,
    fit_calibration,
    group_histograms,
    language_length_group,
    logistic_asinh,
    robust_z,
    score,
)
from samplemix_dagster.errors import DegenerateSampleError

LOWER, UPPER, BINS = 0.0, 8.0, 4096
WIDTH = (UPPER - LOWER) / BINS

documents = st.lists(
    st.tuples(
        st.floats(-1.0, 9.0), st.integers(0, 2**40), st.sampled_from(["en", "de", "de/3", ""])
    ),
    max_size=30,
)
finite = st.floats(allow_nan=False, width=64)
ordinary = st.floats(-1e6, 1e6)


def histograms(
    values: npt.ArrayLike, groups: list[str] | str = "en", weights: npt.ArrayLike = 1
) -> GroupHistograms:
    values = np.asarray(values, dtype=np.float64)
    names = [groups] * values.size if isinstance(groups, str) else groups
    tokens = np.broadcast_to(np.asarray(weights, dtype=np.int64), values.shape)
    return group_histograms(values, tokens, names, lower=LOWER, upper=UPPER, num_bins=BINS)


def counted(rows: list[tuple[float, int, str]]) -> GroupHistograms:
    return histograms(
        [value for value, _, _ in rows],
        [name for _, _, name in rows],
        [weight for _, weight, _ in rows],
    )


def stated(found: GroupHistograms) -> dict[str, object]:
    names, arrays = found.to_arrays()
    return {"names": names} | {key: value.tolist() for key, value in arrays.items()}


def normal(seed: int, size: int, centre: float = 3.0, spread: float = 0.5) -> npt.NDArray:
    return np.random.default_rng(seed).normal(centre, spread, size)


def mad(values: npt.NDArray) -> float:
    return float(np.median(np.abs(values - np.median(values))))


# -- histograms ------------------------------------------------------------------------------------


@settings(max_examples=40, deadline=None)
@given(first=documents, second=documents, third=documents)
def test_merging_is_associative_and_commutative(first: list, second: list, third: list) -> None:
    a, b, c = counted(first), counted(second), counted(third)
    assert stated(a.merge(b).merge(c)) == stated(a.merge(b.merge(c)))
    assert stated(a.merge(b, c)) == stated(c.merge(a, b))


@settings(max_examples=40, deadline=None)
@given(first=documents, second=documents)
def test_merged_histograms_are_those_of_all_documents(first: list, second: list) -> None:
    assert stated(counted(first).merge(counted(second))) == stated(counted(first + second))


@settings(max_examples=40, deadline=None)
@given(rows=documents)
def test_histograms_come_back_from_their_arrays(rows: list) -> None:
    found = counted(rows)
    assert stated(GroupHistograms.from_arrays(*found.to_arrays())) == stated(found)


@settings(max_examples=40, deadline=None)
@given(rows=documents)
def test_histograms_hold_every_token_and_document(rows: list) -> None:
    held = counted(rows).groups.values()
    assert sum(int(group.weights.sum()) for group in held) == sum(weight for _, weight, _ in rows)
    assert sum(group.num_documents for group in held) == len(rows)


def test_values_outside_the_range_go_to_the_end_bins() -> None:
    weights = histograms([-np.inf, -5.0, LOWER, UPPER, 1e300, np.inf]).groups["en"].weights
    assert (weights[0], weights[-1], weights.sum()) == (3, 3, 6)


def test_refuses_to_merge_other_bins() -> None:
    other = group_histograms(np.ones(1), np.ones(1, dtype=int), ["en"], lower=0.0, upper=4.0)
    with pytest.raises(ValueError, match="same bins"):
        histograms([1.0]).merge(other)


def test_refuses_a_value_that_is_not_a_number() -> None:
    with pytest.raises(ValueError, match="1 of 2 are NaN"):
        histograms([1.0, np.nan])


@pytest.mark.parametrize("weights", [np.array([-1]), np.array([0.5])])
def test_refuses_weights_that_count_no_tokens(weights: npt.NDArray) -> None:
    with pytest.raises(ValueError, match="whole numbers"):
        group_histograms(np.ones(1), weights, ["en"], lower=LOWER, upper=UPPER)


# -- fits ------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10**6), size=st.integers(3, 60))
def test_median_and_mad_are_those_of_numpy_within_a_bin(seed: int, size: int) -> None:
    values = normal(seed, size)
    fit = fit_calibration(histograms(values, "")).groups[""]
    assert fit.median == pytest.approx(np.median(values), abs=WIDTH)
    # The median's own error adds to the distances' error.
    assert fit.scale / 1.4826 == pytest.approx(mad(values), abs=2 * WIDTH)


def test_a_document_of_many_tokens_counts_as_many_documents() -> None:
    values, weights = normal(0, 50), np.random.default_rng(1).integers(1, 9, 50)
    weighted = fit_calibration(histograms(values, "", weights)).groups[""]
    repeated = fit_calibration(histograms(np.repeat(values, weights), "")).groups[""]
    assert (weighted.median, weighted.scale) == (repeated.median, repeated.scale)
    assert weighted.num_documents == 50


def test_a_normal_sample_gives_back_its_mean_and_deviation() -> None:
    fit = fit_calibration(histograms(normal(0, 100_000), "")).groups[""]
    assert fit.median == pytest.approx(3.0, abs=0.01)
    assert fit.scale == pytest.approx(0.5, rel=0.02)


def test_a_group_keeps_n_over_n_plus_fifty_of_its_own_numbers() -> None:
    german, english = normal(1, 50, 5.0, 0.2), normal(2, 950, 2.0, 0.6)
    found = histograms(german, "de").merge(histograms(english, "en"))
    shrunk = fit_calibration(found).groups["de"]
    own = fit_calibration(found, shrink=0.0).groups["de"]
    pooled = fit_calibration(found).groups[""]
    assert shrunk.median == pytest.approx((own.median + pooled.median) / 2, rel=1e-12)
    assert shrunk.scale == pytest.approx((own.scale + pooled.scale) / 2, rel=1e-12)
    assert own.median == pytest.approx(np.median(german), abs=WIDTH)


def test_a_subgroup_is_shrunk_to_its_language_and_not_to_the_pool() -> None:
    found = histograms(normal(0, 50, 1.0), "en/3")
    found = found.merge(
        histograms(normal(1, 950, 1.5), "en/9"), histograms(normal(2, 900, 6.0), "de")
    )
    groups = fit_calibration(found).groups
    own = fit_calibration(found, shrink=0.0).groups["en/3"]
    assert groups["en"].num_documents == 1_000
    assert groups["en/3"].median == pytest.approx((own.median + groups["en"].median) / 2, rel=1e-9)


def test_small_groups_share_the_fit_of_other() -> None:
    found = histograms(normal(0, 39, 5.0), "la").merge(
        histograms(normal(1, 30, 5.0), "pcm"), histograms(normal(2, 500, 2.0), "en")
    )
    calibration = fit_calibration(found)
    assert set(calibration.groups) == {"", "en", "other"}
    assert calibration.groups["other"].num_documents == 69
    assert calibration.lookup("la") == calibration.lookup("pcm") == calibration.groups["other"]


def test_a_small_subgroup_uses_its_language() -> None:
    found = histograms(normal(0, 10), "en/3").merge(histograms(normal(1, 500), "en/9"))
    calibration = fit_calibration(found)
    assert "other" not in calibration.groups
    assert calibration.lookup("en/3") == calibration.groups["en"]


def test_a_group_of_forty_documents_is_its_own() -> None:
    found = histograms(normal(0, 40), "la").merge(histograms(normal(1, 500), "en"))
    assert "la" in fit_calibration(found).groups


def test_an_unknown_group_uses_its_language_then_other_then_the_pool() -> None:
    english = histograms(normal(1, 500, 2.0), "en")
    without = fit_calibration(english)
    calibration = fit_calibration(english.merge(histograms(normal(0, 9, 5.0), "la")))
    assert without.lookup("fr") == without.groups[""]
    assert calibration.lookup("fr/7") == calibration.groups["other"]
    assert calibration.lookup("en/7") == calibration.groups["en"]
    assert calibration.lookup("") == calibration.groups[""]


def test_parents_may_be_given() -> None:
    found = histograms(normal(0, 50, 1.0), "de").merge(
        histograms(normal(1, 950, 1.5), "nl"), histograms(normal(2, 900, 6.0), "zh")
    )
    calibration = fit_calibration(found, parents={"de": "germanic", "nl": "germanic"})
    assert calibration.groups["germanic"].num_documents == 1_000
    assert calibration.parents["de"] == "germanic"


def test_refuses_parents_in_a_circle() -> None:
    with pytest.raises(ValueError, match="circle"):
        fit_calibration(histograms([1.0, 2.0], "a"), parents={"a": "b", "b": "a"})


def test_a_group_without_spread_takes_its_parents_scale_and_its_own_median() -> None:
    found = histograms(np.full(200, 5.0), "de").merge(histograms(normal(1, 800, 2.0), "en"))
    calibration = fit_calibration(found, shrink=0.0)
    assert calibration.groups["de"].scale == calibration.groups[""].scale
    assert calibration.groups["de"].median == pytest.approx(5.0, abs=WIDTH)


def test_a_pool_of_mostly_one_value_takes_its_mean_deviation() -> None:
    values = np.concatenate([np.full(60, 2.0), np.full(40, 4.0)])
    fit = fit_calibration(histograms(values, "")).groups[""]
    assert fit.scale == pytest.approx(math.sqrt(math.pi / 2) * 0.8, rel=0.01)


@pytest.mark.parametrize("values", [[2.0] * 100, [2.0]])
def test_refuses_a_pool_without_spread(values: list[float]) -> None:
    with pytest.raises(DegenerateSampleError, match="score the same"):
        fit_calibration(histograms(values))


def test_refuses_documents_without_tokens() -> None:
    with pytest.raises(DegenerateSampleError, match="have no token"):
        fit_calibration(histograms([1.0, 2.0], "en", 0))


def test_a_group_without_tokens_takes_its_parents_numbers() -> None:
    found = histograms(normal(0, 50), "de", 0).merge(histograms(normal(1, 500), "en"))
    groups = fit_calibration(found).groups
    assert (groups["de"].median, groups["de"].scale) == (groups[""].median, groups[""].scale)


def test_a_calibration_comes_back_from_json() -> None:
    found = histograms(normal(0, 50), "en/3").merge(histograms(normal(1, 9), "de"))
    calibration = fit_calibration(found)
    assert Calibration.from_json(json.loads(json.dumps(calibration.to_json()))) == calibration


# -- z and scores ----------------------------------------------------------------------------------


def test_each_group_has_median_z_zero_and_spread_one() -> None:
    german, english = normal(1, 20_000, 5.0, 0.2), normal(2, 20_000, 2.0, 0.6)
    values, groups = np.concatenate([german, english]), ["de"] * 20_000 + ["en"] * 20_000
    z = robust_z(values, groups, fit_calibration(histograms(values, groups)))
    assert np.median(z[:20_000]) == pytest.approx(0.0, abs=0.05)
    assert np.median(z[20_000:]) == pytest.approx(0.0, abs=0.05)
    assert 1.4826 * mad(z[:20_000]) == pytest.approx(1.0, rel=0.02)


def test_z_keeps_the_order_inside_a_group_and_nan() -> None:
    values = normal(3, 100)
    z = robust_z(values, ["en"] * 100, fit_calibration(histograms(values)))
    assert (np.argsort(z) == np.argsort(values)).all()
    missing = robust_z(np.array([np.nan]), ["en"], fit_calibration(histograms(values)))
    assert np.isnan(missing).all()


@given(z=ordinary)
def test_the_map_is_the_logistic_of_minus_asinh(z: float) -> None:
    assert logistic_asinh(np.array([z]))[0] == pytest.approx(expit(-np.arcsinh(z)), rel=1e-9)


@pytest.mark.parametrize("direction", ["low", "high", Band(centre=-0.5, width=0.7)])
@settings(max_examples=100)
@given(z=finite)
def test_a_score_lies_strictly_inside_zero_and_one(direction: Direction, z: float) -> None:
    assert 0.0 < score(np.array([z]), direction)[0] < 1.0


@given(first=ordinary, second=ordinary)
def test_low_falls_and_high_rises_with_z(first: float, second: float) -> None:
    z = np.sort([first, second])
    low, high = score(z, "low"), score(z, "high")
    assert low[0] >= low[1]
    assert high[0] <= high[1]


def test_scores_of_distinct_z_are_distinct_far_into_the_tails() -> None:
    z = np.concatenate([-np.logspace(6, -3, 200), [0.0], np.logspace(-3, 6, 200)])
    assert (np.diff(score(z, "low")) < 0).all()


@given(z=ordinary)
def test_high_is_one_less_low(z: float) -> None:
    total = score(np.array([z]), "low") + score(np.array([z]), "high")
    assert total[0] == pytest.approx(1.0, abs=1e-15)


def test_the_map_at_three_points_by_hand() -> None:
    found = logistic_asinh(np.array([0.0, 0.75, -0.75]))
    np.testing.assert_allclose(found, [0.5, 1 / 3, 2 / 3], rtol=1e-15)


def test_infinite_and_missing_z_are_next_to_the_ends_and_missing() -> None:
    found = score(np.array([-np.inf, np.inf, np.nan]), "low")
    assert 1.0 - 1e-15 < found[0] < 1.0
    assert 0.0 < found[1] < 1e-300
    assert np.isnan(found[2])


@given(distance=st.floats(1e-3, 1e3), side=st.sampled_from([-1, 1]))
def test_a_band_is_symmetric_and_above_half_inside_only(distance: float, side: int) -> None:
    band = Band(centre=0.4, width=1.5)
    found = score(np.array([0.4 + side * distance]), band)[0]
    mirrored = score(np.array([0.4 - side * distance]), band)[0]
    assert found == pytest.approx(mirrored, rel=1e-9)
    assert (found > 0.5) == (distance < 1.5) or distance == pytest.approx(1.5)


def test_a_band_falls_with_the_distance_from_its_centre() -> None:
    z = 0.4 + np.linspace(0.0, 20.0, 500)
    assert (np.diff(score(z, Band(centre=0.4, width=1.5))) < 0).all()


@pytest.mark.parametrize("width", [0.0, -1.0, math.nan])
def test_refuses_a_band_without_width(width: float) -> None:
    with pytest.raises(ValueError, match="width > 0"):
        Band(centre=0.0, width=width)


def test_a_group_of_language_and_length_names_the_octave() -> None:
    found = language_length_group(["en", "de", "en"], np.array([2047, 2048, 1]))
    assert found.tolist() == ["en/10", "de/11", "en/0"]
