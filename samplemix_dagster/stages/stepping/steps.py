"""Every step of a project, made from the lines of the flow.

One place says it for everybody: Dagster's assets, the planner and the command line are made from
these steps. Their order, and which of them can go into one run, is found from what they need.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.stages import Fit, FitStage, Stage
from samplemix_dagster.stages import flow
from samplemix_dagster.stages.beta import BETA
from samplemix_dagster.stages.export.token_ids import TOKEN_IDS
from samplemix_dagster.stages.mixture.drawing.drawn import MIXTURE
from samplemix_dagster.stages.mixture.published.version_files import export_asset, wanted_export
from samplemix_dagster.stages.scores import SCORES
from samplemix_dagster.stages.stepping.order import in_order, phase_of
from samplemix_dagster.stages.stepping.step import Step

if TYPE_CHECKING:
    from samplemix_dagster.engine.project import Project


def build_steps(project: "Project") -> list[Step]:
    """Return every step of a project, in an order that respects the dependencies."""
    filled: dict[str, list[Stage]] = {}
    steps: dict[str, Step] = {}
    for line in (*flow.FLOW, SCORES, BETA):
        for member, name in line.members(project):
            if isinstance(member, Stage):
                filled.setdefault(member.asset, []).append(member)
                steps[member.asset] = _of_stages(project, filled[member.asset])
            elif isinstance(member, Fit):
                steps[member.asset_of(name)] = _of_fit(project, member, name)
    for name in MIXTURE.names(project):
        exports = (_export(project, name, export) for export in project.config.exports_of(name))
        steps |= {step.asset: step for step in (_of_fit(project, MIXTURE, name), *exports)}
    return _in_phases(list(steps.values()))


def _in_phases(steps: list[Step]) -> list[Step]:
    """Return the steps in order, each with its phase."""
    phases: dict[str, int] = {}
    for step in in_order(steps):
        phases[step.asset] = phase_of(step, phases)
    by_asset = {step.asset: step for step in steps}
    return [replace(by_asset[asset], phase=phase) for asset, phase in phases.items()]


def _of_stages(project: "Project", filled: Sequence[Stage]) -> Step:
    """The step of an asset: of its stage, or of all that join in the first reading of a shard."""
    first, *joining = sorted(filled, key=lambda stage: not stage.lists_documents)
    if joining and not first.lists_documents:
        names = " and ".join(stage.name for stage in filled)
        raise ValueError(f"{first.asset} cannot be the asset of {names}: no reading fills both")
    return Step(
        asset=first.asset,
        group=first.group,
        deps=first.needs(project),
        waits=first.waits(),
        stages=(first, *joining),
        code_version="-".join(str(stage.version) for stage in filled),
        uses_model=first.uses_model,
        words=first.words,
    )


def _of_fit(project: "Project", fit: FitStage, name: str) -> Step:
    """The step of a fit to the whole corpus."""
    return Step(
        asset=fit.asset_of(name),
        group=fit.group,
        deps=fit.needs(project, name),
        waits=fit.waits(),
        fit=fit,
        name=name,
        code_version=fit.code_version,
        uses_model=fit.uses_model,
        words=fit.words,
    )


def _export(project: "Project", name: str, export: str) -> Step:
    asset = export_asset(name, export)
    has_ids = wanted_export(project, name, export).form.unit == "tokens"
    return Step(
        asset=asset,
        group="export",
        deps=(
            MIXTURE.asset_of(name),
            DOCUMENTS.asset,
            *((TOKEN_IDS.asset,) if has_ids else ()),
        ),
        name=name,
        export=export,
    )
