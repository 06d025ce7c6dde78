"""Strategies: what weight a document has in a mixture. Scale, cap and budget come afterwards.

A new arm is one class with ``name`` and ``log_weights`` and one line in :data:`STRATEGIES`.

Shape letters: N = documents, B = bins of one axis of the plane.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.beta.law import BivariateBeta
from samplemix_dagster.core.beta.plane import Plane, portable_exp, portable_log, squeeze
from samplemix_dagster.core.mixture.dials import (
    BinWeights,
    Dials,
    bin_centres,
    log_mean_weight,
    weights_of_dials,
)
from samplemix_dagster.errors import ConfigError

Floats = npt.NDArray[np.float64]

MIN_LOG_WEIGHT = -600.0
_NORMALISER_DIGITS = 9  # coarser than a machine's rounding, so that every machine agrees


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
    """A weight for every document: target density over corpus density."""

    @property
    def name(self) -> str:
        """Return the strategy's name in ``samplemix.yaml``."""

    def log_weights(self, columns: ScoreColumns) -> Floats:
        """Return N log weights in nats; minus infinity: never drawn."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StrategyInputs:
    """What a strategy is built from.

    Attributes:
        plane: The corpus's summary.
        law: The law fitted to it.
        options: The mixture's own settings, such as ``balance``.
    """

    plane: Plane
    law: BivariateBeta
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class BetaTilt:
    """The exponential tilt of the fitted law: g ~ f q^lq d^ld.

    Among all targets it maximises E_g[lq log q + ld log d] - KL(g || f). A weight is g / f, so
    the fitted law cancels and log w = lq log q + ld log d - log normaliser: a misfit of the law
    does not reach the weights. The law only bounds the dials, since Beta(a, b) becomes
    Beta(a + l, b). The normaliser makes the corpus's token-weighted mean weight 1.

    Attributes:
        law: The fitted law.
        dials: The exponents.
        log_normaliser: Log mean of q^lq d^ld over the corpus's tokens.
        num_documents: Documents of the corpus, which say where exact 0 and 1 are squeezed to.
    """

    law: BivariateBeta
    dials: Dials
    log_normaliser: float
    num_documents: int

    @property
    def name(self) -> str:
        """Return ``beta``."""
        return "beta"

    @classmethod
    def of_plane(cls, plane: Plane, law: BivariateBeta, dials: Dials) -> "BetaTilt":
        """Return the tilt with its normaliser taken from the plane.

        Raises:
            ConfigError: The dials are outside the range that the law allows.
        """
        dials.check(law)
        log_mean = log_mean_weight(plane, weights_of_dials(plane, dials))
        return cls(
            law=law,
            dials=dials,
            log_normaliser=round(log_mean, _NORMALISER_DIGITS),
            num_documents=plane.num_documents,
        )

    @classmethod
    def of_inputs(cls, inputs: StrategyInputs) -> "BetaTilt":
        """Return the tilt that ``balance: {quality: 1.0, diversity: 1.0}`` asks for."""
        balance = inputs.options.get("balance", {})
        unknown = sorted(set(balance) - {"quality", "diversity"})
        if unknown:
            msg = f"balance has the dials quality and diversity, not {', '.join(unknown)}"
            raise ConfigError(msg)
        dials = Dials(
            quality=float(balance.get("quality", 1.0)),
            diversity=float(balance.get("diversity", 1.0)),
        )
        return cls.of_plane(inputs.plane, inputs.law, dials)

    def log_weights(self, columns: ScoreColumns) -> Floats:
        """Return N log weights in nats, the same bits on every machine."""
        result = np.full(columns.quality.shape, -self.log_normaliser)
        axes = (
            (columns.quality, self.dials.quality, self.dials.flip_quality),
            (columns.diversity, self.dials.diversity, self.dials.flip_diversity),
        )
        for scores, dial, is_flipped in axes:
            if dial != 0.0:
                inner = squeeze(scores, self.num_documents)
                result += dial * portable_log(1.0 - inner if is_flipped else inner)
        return result


@dataclass(frozen=True, slots=True, kw_only=True)
class Proportional:
    """Weight 1 for every document: the corpus as it is."""

    @property
    def name(self) -> str:
        """Return ``proportional``."""
        return "proportional"

    @classmethod
    def of_inputs(cls, _inputs: StrategyInputs) -> "Proportional":
        """Return the strategy, which depends on nothing."""
        return cls()

    def log_weights(self, columns: ScoreColumns) -> Floats:
        """Return N zeros."""
        return np.zeros(columns.quality.shape)


STRATEGIES: Mapping[str, Callable[[StrategyInputs], Strategy]] = {
    "beta": BetaTilt.of_inputs,
    "proportional": Proportional.of_inputs,
}


def make_strategy(name: str, inputs: StrategyInputs) -> Strategy:
    """Return the named strategy, built from a corpus.

    Raises:
        ConfigError: There is no such strategy, or its options are out of range.
    """
    if name not in STRATEGIES:
        msg = f"there is no strategy {name!r}; there are {', '.join(sorted(STRATEGIES))}"
        raise ConfigError(msg)
    return STRATEGIES[name](inputs)


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


def bin_weights(strategy: Strategy, plane: Plane) -> BinWeights:
    """Return a strategy's weights on the plane, for a promise.

    A tilt has exact means inside each bin; another strategy is evaluated at the bin centres, with
    no source, so one that looks at the source cannot be promised from one plane.
    """
    if isinstance(strategy, BetaTilt):
        return weights_of_dials(plane, strategy.dials)
    centres = bin_centres()
    columns = ScoreColumns(
        quality=np.repeat(centres, centres.size),
        diversity=np.tile(centres, centres.size),
        num_tokens=np.ones(centres.size**2, dtype=np.int64),
        source=np.zeros(centres.size**2, dtype=np.int64),
    )
    log_weights_BB = strategy.log_weights(columns).reshape(centres.size, centres.size)
    return BinWeights(log_weights_BB=log_weights_BB, mean_quality=centres, mean_diversity=centres)
