"""The scales of a mixture: of each group whose share is held, or one for all where shares are free.

Two passes over the parts of a draw: tokens by activation and by weight for each group, then the
activations between which the cuts fall.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from samplemix_dagster.core.mixture.groups import Groups
from samplemix_dagster.core.mixture.scale.activation import (
    Activations,
    BoundaryBins,
    activation_histogram,
    boundary_activations,
    boundary_bins,
    join_activations,
)
from samplemix_dagster.core.mixture.scale.expectation import (
    WeightHistogram,
    design_scale,
    merge_weights,
    weight_histogram,
)
from samplemix_dagster.core.mixture.scale.gathered import GatheredHistograms
from samplemix_dagster.core.mixture.scale.settle import settle
from samplemix_dagster.core.mixture.shares import (
    SourceBudget,
    held_shares,
    settle_sources,
    source_budgets,
)
from samplemix_dagster.errors import ConfigError
from samplemix_dagster.stages.mixture.drawing.axes import MOST_GROUPS
from samplemix_dagster.stages.mixture.drawing.drawn_ledger import Scales

if TYPE_CHECKING:
    from samplemix_dagster.stages.mixture.drawing.draw import Draw, Part

_ALL = ""
"""The name of the one group that is settled where shares are free."""


class _Pass:
    """What the first pass over the parts finds."""

    def __init__(self, draw: "Draw") -> None:
        self.draw = draw
        self.histograms = GatheredHistograms()
        self.weights: dict[str, WeightHistogram] = {}
        self.names: set[str] = set()
        """Every group that has a document."""
        every = draw.recipes.config.corpus.sources if draw.settings.is_by_source else ()
        self.tokens: dict[str, int] = dict.fromkeys(every, 0)
        """What each group counts where its share is held: tokens, or what gates leave of them.

        Of sources all are in it; of other groups those that have a token that may be drawn.
        """

    def add(self, part: "Part") -> None:
        """Add a part.

        Raises:
            ConfigError: There are too many groups.
        """
        self.names.update(part.groups.names)
        if len(self.names) > MOST_GROUPS:
            raise ConfigError(
                f"shares are held of {MOST_GROUPS:,} {self.draw.axes.what} at most, and there are "
                "more; name fewer axes, or a label of fewer values, in `shares_by`"
            )
        cap = self.draw.settings.max_copies
        for name, rows in settled_groups(self.draw, part).parts():
            consumed = None if part.consumed is None else part.consumed[rows]
            weights, tokens = part.weights[rows], part.tokens[rows]
            self.histograms.add(
                name, activation_histogram(weights, part.luck[rows], tokens, cap, consumed)
            )
            known = [self.weights[name]] if name in self.weights else []
            self.weights[name] = merge_weights([*known, weight_histogram(weights, tokens)])
        counted = self.draw.counted(part)
        for name, rows in part.groups.parts():
            own = part.may_be_drawn[rows]
            if name in self.tokens or int(part.tokens[rows][own].sum()) > 0:
                self.tokens[name] = self.tokens.get(name, 0) + int(counted[rows][own].sum())


def settled_groups(draw: "Draw", part: "Part") -> Groups:
    """Return the groups of a part that have scales of their own: one of all, with free shares."""
    if draw.settings.shares == "free":
        return Groups.whole(_ALL, len(part.tokens))
    return part.groups


def settled_scales(draw: "Draw") -> Scales:
    """Return the scales of each group; with free shares they are the same for all.

    Raises:
        InfeasibleMixtureError: No such mixture exists; the message says which is nearest.
        ConfigError: Shares are given of a group that is not there, or groups are too many.
    """
    cap, budget = draw.settings.max_copies, draw.settings.budget_tokens
    found = _Pass(draw)
    for part in draw.parts():
        found.add(part)
    shares = held_shares(draw.settings.shares, found.tokens, draw.axes.what)
    if shares is None:
        histogram = found.histograms[_ALL]
        bins = boundary_bins(histogram, budget)
        scale = settle(histogram, bins, _boundary(draw, {_ALL: bins})[_ALL], budget)
        design = design_scale(found.weights[_ALL], budget, cap)
        return Scales(
            settled=dict.fromkeys(found.names, scale),
            design=dict.fromkeys(found.names, design),
            shares=None,
        )
    budgets = source_budgets(budget, shares, found.histograms)
    activations = _boundary(draw, _bins(budgets))
    return Scales(
        settled=settle_sources(budgets, found.histograms, activations, draw.axes.what),
        design={
            name: design_scale(found.weights[name], float(shares.get(name, 0) * budget), cap)
            for name in found.weights
        },
        shares=shares,
    )


def _bins(budgets: Mapping[str, SourceBudget]) -> dict[str, BoundaryBins]:
    return {name: one.bins for name, one in budgets.items()}


def _boundary(draw: "Draw", bins: Mapping[str, BoundaryBins]) -> dict[str, Activations]:
    found: dict[str, list[Activations]] = {name: [] for name in bins}
    for part in draw.parts():
        for name, rows in settled_groups(draw, part).parts():
            if name in bins:
                found[name].append(
                    boundary_activations(
                        part.weights[rows],
                        part.luck[rows],
                        part.tokens[rows],
                        part.words_N2[rows],
                        max_copies=draw.settings.max_copies,
                        bins=bins[name],
                        consumed=None if part.consumed is None else part.consumed[rows],
                    )
                )
    return {name: join_activations(parts) for name, parts in found.items()}
