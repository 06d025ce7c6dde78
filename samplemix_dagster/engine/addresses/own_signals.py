"""Signals that a class computes: a user's own components of diversity, and quality's signals.

Each has a stage of its own, and a fit of its own where its class is fitted to the corpus.
"""

from dataclasses import dataclass
from typing import Any

from samplemix_dagster.config.project import Config
from samplemix_dagster.engine import stages
from samplemix_dagster.engine.stages import FitStage, Stage

PREFIXES = ("metric-", "signal-")
"""How the names of their stages begin."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSignal:
    """One signal: its name, the coordinate that it belongs to, and the class that computes it."""

    name: str
    coordinate: str
    """``quality`` or ``diversity``."""
    target: str
    """``package.module:Class``."""

    @property
    def stage(self) -> Stage:
        """The stage of its scores."""
        of = stages.metric_stage if self.coordinate == "diversity" else stages.signal_stage
        return of(self.name)

    @property
    def fit(self) -> FitStage:
        """The fit, for one that is fitted."""
        return stages.METRIC_FIT if self.coordinate == "diversity" else stages.SIGNAL_FIT


def own_signals(config: Config) -> list[OwnSignal]:
    """Return every signal that a class computes, quality's first."""
    quality = [
        OwnSignal(name=name, coordinate="quality", target=target)
        for name, target in config.quality.targets.items()
    ]
    diversity = [
        OwnSignal(name=name, coordinate="diversity", target=target)
        for name, target in config.diversity.metrics.items()
    ]
    return [*quality, *diversity]


def own_of_stage(config: Config, stage: str) -> OwnSignal:
    """Return the signal whose scores a stage has, by the stage's name.

    Raises:
        KeyError: The configuration has no such signal.
    """
    return {one.stage.name: one for one in own_signals(config)}[stage]


def own_of_fit(config: Config, fit: FitStage, name: str) -> OwnSignal:
    """Return the signal that a fit is made for.

    Raises:
        KeyError: The configuration has no such signal.
    """
    return {(one.fit.name, one.name): one for one in own_signals(config)}[fit.name, name]


def names_of_columns(config: Config) -> tuple[str, ...]:
    """Return the names of the columns ``<name>_score`` that they add to the wide table."""
    return tuple(one.name for one in own_signals(config))


def identity_in(recipe: dict[str, Any]) -> dict[str, Any]:
    """Return what a signal was, from the recipe of its table."""
    named = {key: recipe[key] for key in ("name", "version", "code", "needs") if key in recipe}
    return {**named, "is_fitted": "fit" in recipe}
