"""Combination: a weighted geometric mean; and metrics of one's own, which feed it."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from samplemix_dagster.core.diversity.combine import combine, logit
from samplemix_dagster.core.diversity.metric import (
    Arrays,
    DiversityMetric,
    FittedMetric,
    is_fitted,
    score_batch,
)

inside = st.floats(1e-12, 1.0 - 1e-12)
weight = st.floats(0.01, 10.0)
triples = st.lists(st.tuples(inside, inside, inside), min_size=1, max_size=8).map(np.array)
three_weights = st.tuples(weight, weight, weight)
NAMES = ("cluster", "ngram", "topic")


def named(values_N3: np.ndarray) -> dict[str, np.ndarray]:
    return dict(zip(NAMES, values_N3.T, strict=True))


# Laws


@settings(deadline=None)
@given(triples, three_weights)
def test_the_mean_lies_between_the_components(
    values_N3: np.ndarray, weights: tuple[float, ...]
) -> None:
    mean = combine(named(values_N3), dict(zip(NAMES, weights, strict=True)))
    assert (values_N3.min(axis=1) <= mean).all()
    assert (mean <= values_N3.max(axis=1)).all()


@settings(deadline=None)
@given(triples, three_weights, st.floats(0.1, 100.0))
def test_only_the_ratio_of_weights_matters(
    values_N3: np.ndarray, weights: tuple[float, ...], factor: float
) -> None:
    plain = combine(named(values_N3), dict(zip(NAMES, weights, strict=True)))
    scaled = {name: factor * value for name, value in zip(NAMES, weights, strict=True)}
    np.testing.assert_allclose(combine(named(values_N3), scaled), plain, rtol=1e-9)


@settings(deadline=None)
@given(triples, three_weights)
def test_the_order_of_names_does_not_matter(
    values_N3: np.ndarray, weights: tuple[float, ...]
) -> None:
    components, by_name = named(values_N3), dict(zip(NAMES, weights, strict=True))
    turned = combine(dict(reversed(components.items())), dict(reversed(by_name.items())))
    np.testing.assert_array_equal(turned, combine(components, by_name))


@settings(deadline=None)
@given(triples, weight)
def test_one_component_is_its_own_mean(values_N3: np.ndarray, value: float) -> None:
    weights = {"cluster": value, "ngram": 0.0, "topic": 0}
    np.testing.assert_array_equal(combine(named(values_N3), weights), values_N3[:, 0])


@settings(deadline=None)
@given(triples)
def test_logit_is_undone_by_the_logistic(values_N3: np.ndarray) -> None:
    back = special.expit(logit(values_N3[:, 0]))
    np.testing.assert_allclose(back, values_N3[:, 0], rtol=1e-9)


# Oracles


@settings(deadline=None)
@given(triples, three_weights)
def test_agrees_with_scipy(values_N3: np.ndarray, weights: tuple[float, ...]) -> None:
    mean = combine(named(values_N3), dict(zip(NAMES, weights, strict=True)))
    expected = stats.gmean(values_N3, axis=1, weights=np.tile(weights, (len(values_N3), 1)))
    np.testing.assert_allclose(mean, expected, rtol=1e-9)


# Examples


def test_a_mean_by_hand() -> None:
    components = {"a": np.array([0.25, 0.5]), "b": np.array([0.75, 0.5])}
    mean = combine(components, {"a": 1, "b": 3})
    np.testing.assert_allclose(mean, [(0.25 * 0.75**3) ** 0.25, 0.5])


@pytest.mark.parametrize("wrong", [0.0, 1.0, -0.1, np.nan, np.inf])
def test_refuses_a_value_that_is_not_inside(wrong: float) -> None:
    with pytest.raises(ValueError, match=r"'a' has 1 outside.* at position 1"):
        combine({"a": np.array([0.5, wrong])}, {"a": 1.0})
    with pytest.raises(ValueError, match="strictly inside"):
        logit(np.array([wrong]))


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"a": -1.0}, "'a' has -1.0"),
        ({"a": float("nan")}, "finite"),
        ({"a": 0.0}, "above 0"),
        ({}, "none"),
        ({"a": 1.0, "b": 1.0}, "'b' has a weight but is no component"),
    ],
)
def test_refuses_weights_that_fit_no_component(weights: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        combine({"a": np.array([0.5])}, weights)


def test_refuses_components_of_different_lengths() -> None:
    with pytest.raises(ValueError, match="shapes"):
        combine({"a": np.full(2, 0.5), "b": np.full(3, 0.5)}, {"a": 1, "b": 1})


# Metrics of one's own


class Vocabulary:
    """All that a metric on single texts needs."""

    name = "vocabulary"
    version = "1"

    def score(self, texts: Sequence[str], /) -> np.ndarray:
        words = [text.lower().split() for text in texts]
        return np.array([(len(set(row)) + 1) / (len(row) + 2) for row in words])


class FarFromMean:
    """A metric on embeddings that has to be fitted."""

    name = "far_from_mean"
    version = "1"
    needs: Literal["text", "embedding"] = "embedding"

    def summarise(self, batch: np.ndarray, /) -> Arrays:
        return {"sum": batch.sum(axis=0), "number": np.array(len(batch))}

    def fit(self, summaries: Sequence[Arrays], /) -> Arrays:
        return {"mean": sum(s["sum"] for s in summaries) / sum(s["number"] for s in summaries)}

    def score(self, batch: np.ndarray, fitted: Arrays, /) -> np.ndarray:
        away = np.linalg.norm(batch - fitted["mean"], axis=1)
        return (away + 0.01) / (away + 0.02)


def test_a_metric_needs_only_a_name_a_version_and_a_score() -> None:
    metric = Vocabulary()
    assert isinstance(metric, DiversityMetric)
    assert not is_fitted(metric)
    np.testing.assert_allclose(score_batch(metric, ["a a a a", "a b c d"]), [2 / 6, 5 / 6])


def test_a_fitted_metric_is_known_by_what_it_has() -> None:
    metric = FarFromMean()
    assert isinstance(metric, FittedMetric)
    batch_NE = np.eye(3)
    fitted = metric.fit([metric.summarise(batch_NE[:1]), metric.summarise(batch_NE[1:])])
    scores = score_batch(metric, batch_NE, fitted)
    np.testing.assert_allclose(scores, scores[0])


def test_refuses_to_score_with_what_was_not_fitted() -> None:
    with pytest.raises(ValueError, match="'far_from_mean' has to be fitted"):
        score_batch(FarFromMean(), np.eye(3))


def test_refuses_a_metric_that_leaves_the_interval_or_loses_a_document() -> None:
    class Length(Vocabulary):
        def score(self, texts: Sequence[str], /) -> np.ndarray:
            return np.array([float(len(text)) for text in texts if text])

    with pytest.raises(ValueError, match=r"'vocabulary' has 1 outside, first 4\.0"):
        score_batch(Length(), ["word"])
    with pytest.raises(ValueError, match="must give 2 numbers"):
        score_batch(Length(), ["word", ""])
