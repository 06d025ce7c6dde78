"""What is current, what is stale and why, what failed last: for ``samplemix status``."""

from collections.abc import Collection
from typing import Any

from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.stages import NotFittedError
from samplemix_dagster.errors import InputError
from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.runs.standing.last_run import last_run
from samplemix_dagster.runs.standing.losses import losses
from samplemix_dagster.runs.standing.warned import as_json
from samplemix_dagster.stages.mixture.drawing.drawn import MIXTURE
from samplemix_dagster.stages.mixture.published.publishing import refused


def project_status(project: Project) -> dict[str, Any]:
    """Return the state of every asset, last failures, and sources that cannot be read."""
    planner = Planner(project)
    plan = planner.plan()
    stale = {entry["asset"]: entry["why"] for entry in plan.by_asset()}
    last = last_run(project)
    failed = {*last.assets, *_refused(planner)}
    assets = []
    for step in planner.steps:
        drift = None
        if step.fit is not None and step.fit.is_frozen:
            try:
                current = planner.recipes.current_fit(step.fit, step.name)
                drift = planner.recipes.drift(current) if current else None
            except NotFittedError:
                drift = None
        assets.append(
            {
                "stage": step.group,
                "asset": step.asset,
                "state": _state(step.asset, stale, failed),
                "why": stale.get(step.asset, ""),
                "drift": None if drift is None else round(drift, 5),
            }
        )
    return {
        "assets": assets,
        "failures": last.failures,
        "problems": plan.problems,
        "warnings": as_json(losses(planner.recipes)),
    }


def _state(asset: str, stale: Collection[str], failed: Collection[str]) -> str:
    if asset not in stale:
        return "current"
    return "failed" if asset in failed else "stale"


def _refused(planner: Planner) -> list[str]:
    """Return the mixtures whose wanted version was made and did not hold what it must."""
    found = []
    for step in planner.steps:
        if step.is_published:
            try:
                version = MIXTURE.wanted(planner.recipes, step.name)
            except (NotFittedError, InputError):
                continue
            if refused(planner.project, step.name, version) is not None:
                found.append(step.asset)
    return found
