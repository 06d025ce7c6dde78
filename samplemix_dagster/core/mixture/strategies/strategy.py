"""What every strategy says of itself, and what it is built from.

Shape letters: N = documents, B = bins of one axis of the plane.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.beta.plane import Plane, portable_exp
from samplemix_dagster.core.mixture.dials import BinWeights
from samplemix_dagster.section import Section

if TYPE_CHECKING:
    from samplemix_dagster.core.beta.law import BivariateBeta

Floats = npt.NDArray[np.float64]

MIN_LOG_WEIGHT = -600.0
NORMALISER_DIGITS = 9
"""Coarser than a machine's rounding, so that every machine agrees."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreColumns:
    """What a strategy may look at, for N documents.

    Attributes:
        quality: Scores in [0, 1].
        diversity: Scores in [0, 1].
        num_tokens: Tokens of each document.
        source: Source names, or their codes.
    """

    quality: Floats
    diversity: Floats
    num_tokens: npt.NDArray[np.int64]
    source: npt.NDArray[Any] | Sequence[str]


class Strategy(Protocol):
    """A weight for every document: target density over corpus density.

    Its formula stands in it once: weights, forecasts, figures and explanations all ask it.
    """

    name: ClassVar[str]
    """The strategy's name in ``samplemix.yaml``."""
    reads: ClassVar[frozenset[str]]
    """The columns of :class:`ScoreColumns` that its weights depend on."""
    Options: ClassVar[type[Section]]
    """Its own keys of a mixture in ``samplemix.yaml``."""

    @classmethod
    def build(cls, plane: Plane, law: "BivariateBeta", options: Mapping[str, Any]) -> Self:
        """Return the strategy, built from a corpus and from the values of its options.

        Raises:
            ConfigError: The options are out of the range that the law allows.
        """

    @classmethod
    def check(cls, plane: Plane, law: "BivariateBeta", options: Mapping[str, Any]) -> None:
        """Refuse options that no mixture of this corpus has.

        Raises:
            ConfigError: The options are out of the range that the law allows.
        """

    def log_weights(self, columns: ScoreColumns) -> Floats:
        """Return N log weights in nats; minus infinity: never drawn."""

    def on_plane(self, plane: Plane) -> BinWeights:
        """Return the weights of the plane's cells, for forecasts."""

    def log_tilt(self, quality: Floats, diversity: Floats) -> Floats | None:
        """Return log(target / corpus) up to a constant, inside (0, 1); None: there is no target."""

    @classmethod
    def in_words(cls, options: Mapping[str, Any], row: Mapping[str, Any]) -> str:
        """Say how the ``weight`` of a ledger's row came about.

        Args:
            options: The mixture's settings as its version recorded them.
            row: A row of the ledger: ``quality``, ``diversity`` and ``weight``.
        """


def weights_from_logs(log_weights: Floats) -> Floats:
    """Return weights, the same bits on every machine.

    A log weight under -600 is weight 0, never drawn: one draw in e^600 corpora is none.

    Args:
        log_weights: N log weights in nats, at most 600.

    Raises:
        ValueError: A log weight is NaN or over 600.
    """
    if not (log_weights <= -MIN_LOG_WEIGHT).all():
        row = int((log_weights <= -MIN_LOG_WEIGHT).argmin())
        msg = f"a log weight is a number up to 600; row {row} has {log_weights[row]}"
        raise ValueError(msg)
    is_drawable = log_weights >= MIN_LOG_WEIGHT
    return np.where(is_drawable, portable_exp(np.maximum(log_weights, MIN_LOG_WEIGHT)), 0.0)
