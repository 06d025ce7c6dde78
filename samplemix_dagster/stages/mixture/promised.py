"""What a mixture promises of its means before it is drawn, from histograms alone.

One that goes on from another version promises what its ledger expects instead (``consumed.py``).

Where documents are excluded, the promise is of what can be drawn; the law and the weights stay
those of the whole corpus, so that an exclusion moves no other document's place in the order.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

from samplemix_dagster.core.beta.plane import Plane, merge, plane_of
from samplemix_dagster.core.mixture.dials import promise
from samplemix_dagster.core.mixture.groups import Rows
from samplemix_dagster.core.mixture.scale.settle import estimated_scale
from samplemix_dagster.stages.beta import BETA, load_plane
from samplemix_dagster.stages.columns import floats

if TYPE_CHECKING:
    from samplemix_dagster.stages.mixture.drawing.draw import Draw

_WHOLE = None
"""Stands for the corpus where others have the name of a group."""


def promised(draw: "Draw", shares: Mapping[str, Fraction] | None) -> dict[str, float]:
    """Return what the re-weighted histogram promises of the means, whatever the luck.

    Args:
        draw: The mixture in the making.
        shares: The share of each group; None where shares are free.
    """
    cap, budget = draw.settings.max_copies, draw.settings.budget_tokens
    planes = _planes(draw)
    if shares is None:
        parts = [(1.0, planes[_WHOLE])]
    else:
        parts = [
            (float(shares[name]), plane)
            for name, plane in planes.items()
            if name != _WHOLE and shares.get(name, 0) > 0
        ]
    means = {"mean_quality": 0.0, "mean_diversity": 0.0}
    for share, plane in parts:
        weights = draw.strategy.on_plane(plane)
        scale = estimated_scale(plane, weights, max(1, round(share * budget)), cap)
        found = promise(plane, weights, scale=scale, max_copies=cap)
        means["mean_quality"] += share * found.mean_quality
        means["mean_diversity"] += share * found.mean_diversity
    return {name: round(value, 5) for name, value in means.items()}


def _planes(draw: "Draw") -> dict[str | None, Plane]:
    """Return the plane of what can be drawn, and that of each group whose share is held."""
    recipes, is_free = draw.recipes, draw.settings.shares == "free"
    if draw.excluded is None and (is_free or draw.settings.is_by_source):
        there = recipes.lake.names(f"{recipes.fit_key(BETA)}/planes")
        sources = sorted(recipes.config.corpus.sources)
        filled = [name for name in sources if f"{name}.safetensors" in there]
        needed = [] if is_free else filled
        return {_WHOLE: draw.plane} | {name: load_plane(recipes, name) for name in needed}
    found: dict[str | None, Plane] = {}
    for part in draw.parts():
        everything: tuple[str | None, Rows] = (_WHOLE, slice(None))
        for name, rows in (everything,) if is_free else part.groups.parts():
            own = part.may_be_drawn[rows]
            plane = plane_of(
                floats(part.table, "quality")[rows][own],
                floats(part.table, "diversity")[rows][own],
                part.tokens[rows][own],
            )
            # Two at a time, so that a corpus of many shards holds few planes.
            found[name] = merge([found[name], plane]) if name in found else plane
    return found
