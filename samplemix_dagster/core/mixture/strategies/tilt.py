"""``strategy: beta``: the exponential tilt of the fitted law, the default."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from pydantic import Field, model_validator

from samplemix_dagster.core.beta.plane import Plane, portable_log, squeeze
from samplemix_dagster.core.limits import MAX_DIAL
from samplemix_dagster.core.mixture.dials import (
    BinWeights,
    Dials,
    log_mean_weight,
    promise,
    solve_dials,
    weights_of_dials,
)
from samplemix_dagster.core.mixture.strategies.strategy import (
    NORMALISER_DIGITS,
    Floats,
    ScoreColumns,
)
from samplemix_dagster.section import Section

if TYPE_CHECKING:
    from samplemix_dagster.core.beta.law import BivariateBeta


class Balance(Section):
    """The two dials."""

    quality: float = Field(default=1.0, ge=-MAX_DIAL, le=MAX_DIAL)
    """Exponent of quality in the target: 0 leaves the corpus as it is."""
    diversity: float = Field(default=1.0, ge=-MAX_DIAL, le=MAX_DIAL)
    """Exponent of diversity in the target."""
    mean_quality: float | None = Field(default=None, gt=-1.0, lt=1.0)
    """Wished change of mean quality against the corpus (`+0.1`), instead of the dial."""
    mean_diversity: float | None = Field(default=None, gt=-1.0, lt=1.0)
    """Wished change of mean diversity against the corpus, instead of the dial."""

    LATER: ClassVar[Mapping[str, Any]] = {"mean_quality": None, "mean_diversity": None}

    @model_validator(mode="after")
    def _dial_or_wish(self) -> "Balance":
        for axis in ("quality", "diversity"):
            if getattr(self, f"mean_{axis}") is not None and getattr(self, axis) != 1.0:
                raise ValueError(f"mean_{axis}: a wished mean sets the dial {axis} itself")
        return self


class BetaOptions(Section):
    """Keys of a mixture with ``strategy: beta``: target law over fitted law."""

    balance: Balance = Balance()
    """The two dials of the target law."""


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

    name: ClassVar[str] = "beta"
    reads: ClassVar[frozenset[str]] = frozenset({"quality", "diversity"})
    Options: ClassVar[type[Section]] = BetaOptions

    law: "BivariateBeta"
    dials: Dials
    log_normaliser: float
    num_documents: int

    @classmethod
    def of_plane(cls, plane: Plane, law: "BivariateBeta", dials: Dials) -> "BetaTilt":
        """Return the tilt with its normaliser taken from the plane.

        Raises:
            ConfigError: The dials are outside the range that the law allows.
        """
        dials.check(law)
        log_mean = log_mean_weight(plane, weights_of_dials(plane, dials))
        return cls(
            law=law,
            dials=dials,
            log_normaliser=round(log_mean, NORMALISER_DIGITS),
            num_documents=plane.num_documents,
        )

    @classmethod
    def build(cls, plane: Plane, law: "BivariateBeta", options: Mapping[str, Any]) -> "BetaTilt":
        """Return the tilt that ``balance: {quality: 1.0, diversity: 1.0}`` asks for.

        Raises:
            ConfigError: The dials are outside the range that the law allows.
        """
        return cls.of_plane(plane, law, _dials(plane, law, options))

    @classmethod
    def check(cls, plane: Plane, law: "BivariateBeta", options: Mapping[str, Any]) -> None:
        """Refuse dials under which the target is no law, and means that no dials give.

        Raises:
            ConfigError: A dial is outside the range that the law allows, or none gives a mean.
        """
        _dials(plane, law, options).check(law)

    def log_weights(self, columns: ScoreColumns) -> Floats:
        """Return N log weights in nats, the same bits on every machine."""
        quality = squeeze(columns.quality, self.num_documents)
        diversity = squeeze(columns.diversity, self.num_documents)
        return self.log_tilt(quality, diversity, start=-self.log_normaliser)

    def log_tilt(self, quality: Floats, diversity: Floats, start: float = 0.0) -> Floats:
        """Return ``start`` + lq log q + ld log d."""
        result = np.full(quality.shape, start)
        axes = (
            (quality, self.dials.quality, self.dials.flip_quality),
            (diversity, self.dials.diversity, self.dials.flip_diversity),
        )
        for scores, dial, is_flipped in axes:
            if dial != 0.0:
                result += dial * portable_log(1.0 - scores if is_flipped else scores)
        return result

    def on_plane(self, plane: Plane) -> BinWeights:
        """Return the exact mean weight of each cell's documents, taken as uniform in it."""
        return weights_of_dials(plane, self.dials)

    @classmethod
    def in_words(cls, options: Mapping[str, Any], row: Mapping[str, Any]) -> str:
        """Say how a ledger's weight came about: both powers, over the corpus's mean."""
        balance, weight = _balance(options), row["weight"]
        if balance.mean_quality is not None or balance.mean_diversity is not None:
            return (
                f"a tilt whose dials give the wished means; quality {row['quality']:.4g}, "
                f"diversity {row['diversity']:.4g}"
            )
        dials = Dials(quality=balance.quality, diversity=balance.diversity)
        tilt = row["quality"] ** dials.quality * row["diversity"] ** dials.diversity
        mean = tilt / weight if weight else 0.0
        return (
            f"quality {row['quality']:.4g}^{dials.quality:g} x diversity "
            f"{row['diversity']:.4g}^{dials.diversity:g} = {tilt:.4g}, over {mean:.4g}, the "
            "corpus's mean"
        )


def _balance(options: Mapping[str, Any]) -> Balance:
    return Balance.recorded(options.get("balance", {}))


def _dials(plane: Plane, law: "BivariateBeta", options: Mapping[str, Any]) -> Dials:
    """Return the dials of a mixture's settings; those of a wished mean are solved for."""
    balance = _balance(options)
    named = Dials(quality=balance.quality, diversity=balance.diversity)
    if balance.mean_quality is None and balance.mean_diversity is None:
        return named
    corpus = promise(plane, weights_of_dials(plane, Dials(quality=0.0, diversity=0.0)))
    wished = (
        None if more is None else mean + more
        for mean, more in (
            (corpus.mean_quality, balance.mean_quality),
            (corpus.mean_diversity, balance.mean_diversity),
        )
    )
    quality, diversity = wished
    return solve_dials(plane, mean_quality=quality, mean_diversity=diversity, law=law, others=named)
