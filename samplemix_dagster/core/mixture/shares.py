"""Shares of sources: how a budget is divided when they are held, and its settling by source.

With ``free`` shares nothing here is needed: the shares are an outcome of one scale. With held
shares each source has its own scale and budget, and hands what it leaves over to the next by
name, so that the whole is within one document. What is said of sources holds of the groups of
any other axis: languages, labels, clusters in a source.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

from samplemix_dagster.core.limits import SHARES_TOLERANCE
from samplemix_dagster.core.mixture.scale.activation import (
    ActivationHistogram,
    Activations,
    BoundaryBins,
    boundary_bins,
)
from samplemix_dagster.core.mixture.scale.settle import Scale, cut
from samplemix_dagster.errors import ConfigError, InfeasibleMixtureError

SOURCES = "sources"
_LISTED = 20
"""How many names an error lists."""
SharesByWord = Literal["free", "proportional", "kept", "uniform"]
SHARES: tuple[str, ...] = get_args(SharesByWord)
"""Shares by a word; others are by name."""
Shares = SharesByWord | Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceBudget:
    """One source's part of a budget.

    Attributes:
        tokens: Its own tokens, before anything is handed on to it.
        bins: Where its cut can fall, with all that can be handed on to it.
    """

    tokens: int
    bins: BoundaryBins


def held_shares(
    shares: Shares, tokens_by_source: Mapping[str, int], what: str = SOURCES
) -> dict[str, Fraction] | None:
    """Return each source's share of the budget, exactly, sum 1; None where shares are free.

    Args:
        shares: ``free``, ``proportional`` (to the corpus's tokens), ``kept`` (to what gates leave
            of them), ``uniform``, or a share for each source, those left out being 0.
        tokens_by_source: The corpus's tokens, or what is left of them; every source is in it.
        what: What they are, for messages.

    Raises:
        ConfigError: A source is unknown, a share is negative, or they do not sum to 1 within
            1e-6; or the word is none of the four.
    """
    names = sorted(tokens_by_source)
    if isinstance(shares, Mapping):
        return _given_shares(shares, names, what)
    if shares == "free":
        return None
    if shares not in {"proportional", "kept", "uniform"}:
        msg = (
            "shares is free, proportional, kept, uniform or a share for each source, "
            f"not {shares!r}"
        )
        raise ConfigError(msg)
    parts = {name: 1 if shares == "uniform" else tokens_by_source[name] for name in names}
    total = sum(parts.values())
    if total == 0:
        msg = f"no shares can be held over {len(names)} {what} with no tokens"
        raise ConfigError(msg)
    return {name: Fraction(part, total) for name, part in parts.items()}


def _given_shares(
    shares: Mapping[str, float], names: Sequence[str], what: str
) -> dict[str, Fraction]:
    unknown = sorted(set(shares) - set(names))
    if unknown:
        msg = f"shares name {listed(unknown)}, but the {what} are {listed(names)}"
        raise ConfigError(msg)
    for name, share in shares.items():
        if not 0.0 <= share <= 1.0:
            msg = f"a share lies in [0, 1]; shares.{name} is {share}"
            raise ConfigError(msg)
    total = sum((Fraction(share) for share in shares.values()), Fraction(0))
    if abs(total - 1) > SHARES_TOLERANCE:
        msg = f"shares sum to 1; these sum to {float(total):.6f}"
        raise ConfigError(msg)
    return {name: Fraction(shares.get(name, 0.0)) / total for name in names}


def listed(names: Sequence[str]) -> str:
    """Return names for an error: the first of them, and how many there are beside."""
    more = len(names) - _LISTED
    return ", ".join(names[:_LISTED]) + (f" and {more:,} more" if more > 0 else "")


def largest_remainder(total: int, parts: Mapping[str, Fraction]) -> dict[str, int]:
    """Divide a whole number so that it is handed out exactly, each part within 1 of its quota.

    Ties of remainders go to the first name. Hamilton's method.

    Args:
        total: What is divided, at least 0.
        parts: Non-negative parts, sum above 0.
    """
    whole = sum(parts.values(), Fraction(0))
    quotas = {name: total * part / whole for name, part in parts.items()}
    result = {name: int(quota) for name, quota in quotas.items()}
    by_remainder = sorted(parts, key=lambda name: (result[name] - quotas[name], name))
    for name in by_remainder[: total - sum(result.values())]:
        result[name] += 1
    return result


def source_budgets(
    budget: int,
    shares: Mapping[str, Fraction],
    histograms: Mapping[str, ActivationHistogram],
) -> dict[str, SourceBudget]:
    """Divide a budget among the sources with a share, in the order of their names.

    Args:
        budget: Tokens of the whole mixture.
        shares: From :func:`held_shares`.
        histograms: Each source's merged activation histogram.

    Raises:
        InfeasibleMixtureError: A source has fewer tokens than its budget; the message has them
            and the nearest feasible budget of the whole.
    """
    tokens = largest_remainder(budget, shares)
    held = [name for name in sorted(shares) if shares[name] > 0]
    capacities = {
        name: histograms[name].capacity_tokens if name in histograms else 0 for name in held
    }
    short = [name for name in held if tokens[name] > capacities[name]]
    if short:
        nearest = _nearest_budget(budget, shares, capacities)
        shown = short[:_LISTED]
        lacks = "; ".join(
            f"{name} would draw {tokens[name]:,} of at most {capacities[name]:,}" for name in shown
        )
        if len(short) > len(shown):
            lacks += f"; and {len(short) - len(shown):,} more lack"
        msg = (
            f"a budget of {budget:,} tokens at these shares is more than there is: {lacks} tokens "
            f"at max_copies. The nearest feasible budget is {nearest:,}"
        )
        raise InfeasibleMixtureError(msg)
    result = {}
    slack = 0
    for name in held:
        if name in histograms:
            bins = boundary_bins(histograms[name], tokens[name], slack)
            result[name] = SourceBudget(tokens=tokens[name], bins=bins)
            slack = max(slack, histograms[name].max_document_tokens)
    return result


def _nearest_budget(
    budget: int, shares: Mapping[str, Fraction], capacities: Mapping[str, int]
) -> int:
    highest = min(int((capacity + 1) / shares[name]) for name, capacity in capacities.items())
    nearest = min(budget, highest)
    # Rounding moves a source by under one token, so this ends after a few steps.
    while nearest > 0:
        tokens = largest_remainder(nearest, shares)
        excess = max(tokens[name] - capacity for name, capacity in capacities.items())
        if excess <= 0:
            break
        nearest -= excess
    return nearest


def settle_sources(
    budgets: Mapping[str, SourceBudget],
    histograms: Mapping[str, ActivationHistogram],
    activations: Mapping[str, Activations],
    what: str = SOURCES,
) -> dict[str, Scale]:
    """Return each source's scale; what one leaves over is added to the next one's budget.

    The last may leave less than one document. A source that has no share is not in the result
    and draws nothing.

    Args:
        budgets: From :func:`source_budgets`.
        histograms: Each source's merged activation histogram.
        activations: Each source's joined activations inside its boundary bins.
        what: What the groups are, for messages.

    Raises:
        InfeasibleMixtureError: Nothing at all can be drawn.
    """
    scales = {}
    left = 0
    for name in sorted(budgets):
        tokens = budgets[name].tokens + left
        scale = cut(histograms[name], budgets[name].bins, activations[name], tokens)
        left = tokens - scale.realised_tokens
        scales[name] = scale
    if sum(scale.realised_tokens for scale in scales.values()) == 0:
        total = sum(budget.tokens for budget in budgets.values())
        share = "the source's share" if what == SOURCES else "its share"
        msg = (
            f"nothing can be drawn for {total:,} tokens: in each of {len(budgets)} {what} the "
            f"first document to be drawn is longer than {share} of them"
        )
        raise InfeasibleMixtureError(msg)
    return scales
