"""What an asset stands on and is stale: why it cannot be made alone."""

from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.runs.plan.planned import ON_REQUEST
from samplemix_dagster.stages.stepping.step import Step

_MOST_NAMED = 4


def stale_above(planner: Planner, step: Step) -> list[str]:
    """Return each stale asset that a step reads, near or far, with its partitions and the reason.

    The nearest to the shards stand first, which is the order in which they are to be made.
    """
    above = _above(planner.steps, step)
    if not above:
        return []
    return [
        f"{entry['asset']}{_where(entry['partitions'])}: {entry['why']}"
        for entry in planner.plan(above).by_asset()
        if entry["asset"] in above
    ]


def in_a_sentence(asset: str, stale: list[str], job: str) -> str:
    """Return why an asset cannot be made alone, and the job to start instead."""
    return (
        f"{asset} reads what is to be made first ({_named(stale)}). "
        f"Start the job `{job}`: it makes all that is stale, in order."
    )


def why_on_request(planner: Planner, step: Step) -> str:
    """Return why a step runs of which nothing is to be made: what it reads may still be stale.

    Then it is as it was, of what it was made from.
    """
    stale = stale_above(planner, step)
    if not stale:
        return ON_REQUEST
    return f"on request: as it was, though what it reads is stale ({_named(stale)})"


def _named(stale: list[str]) -> str:
    more = f"; and {len(stale) - _MOST_NAMED} more" if len(stale) > _MOST_NAMED else ""
    return f"{'; '.join(stale[:_MOST_NAMED])}{more}"


def _above(steps: list[Step], step: Step) -> set[str]:
    deps = {one.asset: one.deps for one in steps}
    found, pending = set[str](), list(step.deps)
    while pending:
        asset = pending.pop()
        if asset not in found:
            found.add(asset)
            pending += deps.get(asset, ())
    return found


def _where(partitions: list[str]) -> str:
    named = [name for name in partitions if name]
    return f" [{', '.join(named)}]" if named else ""
