"""Every strategy, a line each. Whatever else must know of one asks here."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from samplemix_dagster.core.beta.plane import Plane
from samplemix_dagster.core.mixture.strategies.blend import Blend
from samplemix_dagster.core.mixture.strategies.proportional import Proportional
from samplemix_dagster.core.mixture.strategies.strategy import Strategy
from samplemix_dagster.core.mixture.strategies.tilt import BetaTilt
from samplemix_dagster.errors import ConfigError

if TYPE_CHECKING:
    from samplemix_dagster.core.beta.law import BivariateBeta

STRATEGIES: Mapping[str, type[Strategy]] = {
    kind.name: kind
    for kind in (
        BetaTilt,
        Proportional,
        Blend,
    )
}
"""By the name in ``samplemix.yaml``; the first is the default."""


def make_strategy(
    name: str, plane: Plane, law: "BivariateBeta", options: Mapping[str, Any]
) -> Strategy:
    """Return the named strategy, built from a corpus and a mixture's settings.

    Raises:
        ConfigError: There is no such strategy, or its options are out of range.
    """
    return strategy_of(name).build(plane, law, options)


def strategy_of(name: str) -> type[Strategy]:
    """Return the named strategy's class.

    Raises:
        ConfigError: There is no such strategy.
    """
    if name not in STRATEGIES:
        msg = f"there is no strategy {name!r}; there are {', '.join(sorted(STRATEGIES))}"
        raise ConfigError(msg)
    return STRATEGIES[name]


def options_of(name: str) -> frozenset[str]:
    """Return the keys of a mixture that are a strategy's own."""
    return frozenset(strategy_of(name).Options.model_fields)
