"""What docs/architecture.md says is added from outside: examples, and a strategy in one file."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import Field

from examples.compression_metric import CompressionRatio
from examples.vocabulary_metric import Vocabulary
from samplemix_dagster.config.mixtures import _mixture_of
from samplemix_dagster.core.beta.law import BivariateBeta
from samplemix_dagster.core.beta.plane import Plane, plane_of
from samplemix_dagster.core.diversity.metric import score_batch
from samplemix_dagster.core.mixture.dials import BinWeights, Dials, promise, weights_of_dials
from samplemix_dagster.core.mixture.strategies import table
from samplemix_dagster.core.mixture.strategies.strategy import (
    Floats,
    ScoreColumns,
    weights_from_logs,
)
from samplemix_dagster.section import Section


@settings(deadline=None)
@given(st.lists(st.text(max_size=200), max_size=5))
@pytest.mark.parametrize("metric", [CompressionRatio(), Vocabulary()])
def test_an_example_gives_every_text_a_score_inside(metric: Any, texts: list[str]) -> None:
    assert score_batch(metric, texts).shape == (len(texts),)


def test_compression_is_low_for_text_that_repeats() -> None:
    rng = np.random.default_rng(0)
    fresh = "".join(map(chr, rng.integers(97, 123, 2000)))
    scores = score_batch(CompressionRatio(), ["again and " * 200, fresh, ""])
    assert scores[0] < 0.1 < 0.5 < scores[1]
    assert scores[2] == 0.5


def test_vocabulary_is_low_for_text_that_repeats() -> None:
    scores = score_batch(Vocabulary(), ["again and " * 200, "every word here is another one"])
    assert scores[0] < 0.1 < 0.8 < scores[1]


class CutOptions(Section):
    """Keys of a mixture with ``strategy: cut``: nothing below a quality is drawn."""

    least: float = Field(default=0.5, ge=0.0, lt=1.0)
    """Least quality."""


class Cut:
    """A strategy of somebody else's, in one file: all documents above a bound, alike."""

    name: ClassVar[str] = "cut"
    reads: ClassVar[frozenset[str]] = frozenset({"quality"})
    Options: ClassVar[type[Section]] = CutOptions

    def __init__(self, least: float) -> None:
        self.least = least

    @classmethod
    def build(cls, plane: Plane, law: BivariateBeta, options: Mapping[str, Any]) -> "Cut":
        del plane, law
        return cls(options["least"])

    @classmethod
    def check(cls, plane: Plane, law: BivariateBeta, options: Mapping[str, Any]) -> None:
        del plane, law, options

    def log_weights(self, columns: ScoreColumns) -> Floats:
        return np.where(columns.quality >= self.least, 0.0, -np.inf)

    def on_plane(self, plane: Plane) -> BinWeights:
        flat = weights_of_dials(plane, Dials(quality=0.0, diversity=0.0))
        is_kept = flat.mean_quality >= self.least
        return BinWeights(
            log_weights_BB=np.where(is_kept[:, None], flat.log_weights_BB, -np.inf),
            mean_quality=flat.mean_quality,
            mean_diversity=flat.mean_diversity,
        )

    def log_tilt(self, quality: Floats, diversity: Floats) -> None:
        del quality, diversity

    @classmethod
    def in_words(cls, options: Mapping[str, Any], row: Mapping[str, Any]) -> str:
        return f"quality {row['quality']:.2f}, and {options['least']:g} is the least"


def test_a_strategy_from_outside_has_keys_weights_and_a_promise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(table, "STRATEGIES", {**table.STRATEGIES, "cut": Cut})
    settings_of = _mixture_of(Cut).model_validate({"budget_tokens": "10k", "least": 0.7})
    assert settings_of.options["least"] == 0.7
    assert settings_of.strategy == "cut"
    luck = np.random.default_rng(0).random((5000, 2))
    tokens = np.full(5000, 10)
    plane = plane_of(luck[:, 0], luck[:, 1], tokens)
    law = BivariateBeta(a_quality=1, b_quality=1, a_diversity=1, b_diversity=1, rho=0.0)
    strategy = table.make_strategy("cut", plane, law, settings_of.options)
    columns = ScoreColumns(
        quality=luck[:, 0], diversity=luck[:, 1], num_tokens=tokens, source=tokens
    )
    weights = weights_from_logs(strategy.log_weights(columns))
    drawn = np.average(luck[:, 0], weights=weights)
    assert promise(plane, strategy.on_plane(plane)).mean_quality == pytest.approx(drawn, abs=0.01)
    assert "0.7 is the least" in Cut.in_words(settings_of.options, {"quality": 0.9})
