"""What a mixture promises of its means before it is drawn, from histograms alone.

One that goes on from another version promises what its ledger expects instead (``consumed.py``).

Where documents are excluded, the promise is of what can be drawn; the law and the weights stay
those of the whole corpus, so that an exclusion moves no other document's place in the order.
"""

from typing import TYPE_CHECKING

from samplemix_dagster.core.beta.plane import Plane, merge, plane_of
from samplemix_dagster.core.mixture.dials import promise
from samplemix_dagster.core.mixture.settle import estimated_scale
from samplemix_dagster.core.mixture.shares import held_shares
from samplemix_dagster.stages.beta import BETA, load_plane
from samplemix_dagster.stages.columns import floats
from samplemix_dagster.stages.mixture.kept import KEPT

if TYPE_CHECKING:
    from samplemix_dagster.stages.mixture.draw import Draw


def promised(draw: "Draw") -> dict[str, float]:
    """Return what the re-weighted histogram promises of the means, whatever the luck."""
    cap, budget = draw.settings.max_copies, draw.settings.budget_tokens
    shares = draw.settings.shares
    sources = sorted(draw.recipes.config.corpus.sources)
    planes = _planes(draw, sources)
    if shares == "free":
        parts = [(1.0, planes[""])]
    else:
        del planes[""]
        tokens = dict.fromkeys(sources, 0) | {n: p.num_tokens for n, p in planes.items()}
        if shares == KEPT:
            tokens = dict.fromkeys(sources, 0)
            for part in draw.parts():
                tokens[part.shard.source] += int(draw.counted(part)[part.may_be_drawn].sum())
        held = held_shares(shares, tokens) or {}
        parts = [(float(held[n]), plane) for n, plane in planes.items() if held[n] > 0]
    means = {"mean_quality": 0.0, "mean_diversity": 0.0}
    for share, plane in parts:
        weights = draw.strategy.on_plane(plane)
        scale = estimated_scale(plane, weights, max(1, round(share * budget)), cap)
        found = promise(plane, weights, scale=scale, max_copies=cap)
        means["mean_quality"] += share * found.mean_quality
        means["mean_diversity"] += share * found.mean_diversity
    return {name: round(value, 5) for name, value in means.items()}


def _planes(draw: "Draw", sources: list[str]) -> dict[str, Plane]:
    """Return the plane of what can be drawn, under an empty name, and that of each source."""
    recipes = draw.recipes
    if draw.excluded is None:
        there = recipes.lake.names(f"{recipes.fit_key(BETA)}/planes")
        filled = [name for name in sources if f"{name}.safetensors" in there]
        needed = [] if draw.settings.shares == "free" else filled
        return {"": draw.plane} | {name: load_plane(recipes, name) for name in needed}
    found: dict[str, list[Plane]] = {}
    for part in draw.parts():
        own = part.may_be_drawn
        plane = plane_of(
            floats(part.table, "quality")[own],
            floats(part.table, "diversity")[own],
            part.tokens[own],
        )
        for name in ("", part.shard.source):
            # Two at a time, so that a corpus of many shards holds few planes.
            found[name] = [merge([*found.get(name, []), plane])]
    return {name: planes[0] for name, planes in found.items()}
