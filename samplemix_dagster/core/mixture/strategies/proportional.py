"""``strategy: proportional``: every document alike, the control of every other strategy."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from samplemix_dagster.core.beta.plane import Plane
from samplemix_dagster.core.mixture.dials import BinWeights, bin_centres
from samplemix_dagster.core.mixture.strategies.strategy import Floats, ScoreColumns
from samplemix_dagster.section import Section

if TYPE_CHECKING:
    from samplemix_dagster.core.beta.law import BivariateBeta


class ProportionalOptions(Section):
    """Keys of a mixture with ``strategy: proportional``: every document alike."""

    GONE: ClassVar[Mapping[str, Any]] = {"balance": {"quality": 1.0, "diversity": 1.0}}


@dataclass(frozen=True, slots=True, kw_only=True)
class Proportional:
    """Weight 1 for every document: the corpus as it is."""

    name: ClassVar[str] = "proportional"
    reads: ClassVar[frozenset[str]] = frozenset()
    Options: ClassVar[type[Section]] = ProportionalOptions

    @classmethod
    def build(
        cls, plane: Plane, law: "BivariateBeta", options: Mapping[str, Any]
    ) -> "Proportional":
        """Return the strategy, which depends on nothing."""
        del plane, law, options
        return cls()

    @classmethod
    def check(cls, plane: Plane, law: "BivariateBeta", options: Mapping[str, Any]) -> None:
        """Refuse nothing."""

    def log_weights(self, columns: ScoreColumns) -> Floats:
        """Return N zeros."""
        return np.zeros(columns.quality.shape)

    def log_tilt(self, quality: Floats, diversity: Floats) -> None:
        """Return None: the corpus itself is drawn, and no other law is meant."""
        del quality, diversity

    def on_plane(self, plane: Plane) -> BinWeights:
        """Return weights of 1, with the bins' centres for means."""
        del plane
        centres = bin_centres()
        return BinWeights(
            log_weights_BB=np.zeros((centres.size, centres.size)),
            mean_quality=centres,
            mean_diversity=centres,
        )

    @classmethod
    def in_words(cls, options: Mapping[str, Any], row: Mapping[str, Any]) -> str:
        """Say that all weigh the same."""
        del options, row
        return "every document alike"
