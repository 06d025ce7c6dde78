"""``strategy: blend``: a softmax of a weighted sum of both scores, the form of the SampleMix paper.

The paper (arXiv 2503.01506) draws with p(x) = alpha d(x) + (1 - alpha) q(x) through a softmax of
temperature tau and found alpha = 0.8 best on its corpus; its tau is not confirmed by us. Both
scores are this package's, so no figure of the paper holds here.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field

from samplemix_dagster.core.beta.plane import NUM_BINS, Plane
from samplemix_dagster.core.mixture.dials import BinWeights, bin_centres, log_mean_weight
from samplemix_dagster.core.mixture.strategies.strategy import (
    NORMALISER_DIGITS,
    Floats,
    ScoreColumns,
)
from samplemix_dagster.section import Section

if TYPE_CHECKING:
    from samplemix_dagster.core.beta.law import BivariateBeta


class BlendOptions(Section):
    """Keys of a mixture with ``strategy: blend``: a softmax of a weighted sum of both scores."""

    alpha: float = Field(default=0.8, ge=0.0, le=1.0)
    """Share of diversity in the sum; quality has the rest."""
    tau: float = Field(default=0.2, ge=0.01)
    """Temperature: the smaller, the stronger the choice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blend:
    """Weight exp((alpha d + (1 - alpha) q) / tau), over its mean over the corpus's tokens.

    Attributes:
        alpha: Share of diversity.
        tau: Temperature.
        log_normaliser: Log of the mean over the corpus's tokens.
    """

    name: ClassVar[str] = "blend"
    reads: ClassVar[frozenset[str]] = frozenset({"quality", "diversity"})
    Options: ClassVar[type[Section]] = BlendOptions

    alpha: float
    tau: float
    log_normaliser: float = 0.0

    @classmethod
    def build(cls, plane: Plane, law: "BivariateBeta", options: Mapping[str, Any]) -> "Blend":
        """Return the blend that ``alpha`` and ``tau`` ask for."""
        del law
        chosen = BlendOptions.recorded({key: options[key] for key in ("alpha", "tau")})
        bare = cls(alpha=chosen.alpha, tau=chosen.tau)
        log_mean = log_mean_weight(plane, bare.on_plane(plane))
        return cls(
            alpha=chosen.alpha, tau=chosen.tau, log_normaliser=round(log_mean, NORMALISER_DIGITS)
        )

    @classmethod
    def check(cls, plane: Plane, law: "BivariateBeta", options: Mapping[str, Any]) -> None:
        """Refuse nothing: every blend is a mixture."""

    def log_weights(self, columns: ScoreColumns) -> Floats:
        """Return N log weights in nats."""
        return self.log_tilt(columns.quality, columns.diversity) - self.log_normaliser

    def log_tilt(self, quality: Floats, diversity: Floats) -> Floats:
        """Return (alpha d + (1 - alpha) q) / tau."""
        blended: Floats = (self.alpha * diversity + (1.0 - self.alpha) * quality) / self.tau
        return blended

    def on_plane(self, plane: Plane) -> BinWeights:
        """Return the mean weight of each cell's documents, taken as uniform in it."""
        del plane
        log_q, mean_q = _exponential((1.0 - self.alpha) / self.tau)
        log_d, mean_d = _exponential(self.alpha / self.tau)
        return BinWeights(
            log_weights_BB=log_q[:, None] + log_d, mean_quality=mean_q, mean_diversity=mean_d
        )

    @classmethod
    def in_words(cls, options: Mapping[str, Any], row: Mapping[str, Any]) -> str:
        """Say how a ledger's weight came about: the sum, the temperature."""
        alpha, tau = options["alpha"], options["tau"]
        blended = alpha * row["diversity"] + (1.0 - alpha) * row["quality"]
        return (
            f"{alpha:g} x diversity {row['diversity']:.4g} + {1.0 - alpha:g} x quality "
            f"{row['quality']:.4g} = {blended:.4g}, through exp(sum / {tau:g}), over the corpus's "
            "mean"
        )


def _exponential(rate: float) -> tuple[Floats, Floats]:
    """Return each bin's log mean of exp(rate x), and its mean x under that weight.

    Over a bin of width h around its centre c: mean = exp(rate c) sinh(r) / r with r = rate h / 2,
    and x has the mean c + (h / 2) (coth(r) - 1 / r).
    """
    half = 0.5 / NUM_BINS
    reach = rate * half
    centres = bin_centres()
    if reach < 1e-4:
        return rate * centres, centres + half * reach / 3.0
    log_mean = reach + np.log(-np.expm1(-2.0 * reach) / (2.0 * reach))
    shift = half * (1.0 / np.tanh(reach) - 1.0 / reach)
    return rate * centres + log_mean, centres + shift
