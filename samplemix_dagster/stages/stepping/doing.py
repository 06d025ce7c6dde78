"""Steps at work: what a step is told, and what it runs."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from samplemix_dagster.engine.fitting.fits import run_fit
from samplemix_dagster.engine.outcome import Outcome, Progress
from samplemix_dagster.engine.shards.working.first_reading import run_raw_shards
from samplemix_dagster.engine.shards.working.maps import run_stage
from samplemix_dagster.engine.stages import Fit, Stage
from samplemix_dagster.stages.export.exporting import run_export
from samplemix_dagster.stages.mixture.mixing import run_mixture
from samplemix_dagster.stages.stepping.step import Step

if TYPE_CHECKING:
    from samplemix_dagster.engine.project import Project


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What a step is told when it runs."""

    project: "Project"
    partition: str
    """Empty for a step that is not partitioned."""
    why: str
    run_id: str | None
    progress: Progress


def run_step(step: Step, call: Call) -> Outcome:
    """Make what is absent of a step's asset, and return what became of it."""
    project, why, progress = call.project, call.why, call.progress
    if step.stages:
        return _run_stages(step.stages, call)
    if isinstance(step.fit, Fit):
        return run_fit(project, step.fit, step.name, why, progress)
    if step.is_published:
        return run_mixture(project, step.name, why, call.run_id, progress)
    return run_export(
        project, step.name, step.export, why=why, run_id=call.run_id, progress=progress
    )


def _run_stages(stages: Sequence[Stage], call: Call) -> Outcome:
    """Fill a partition's tables: of one stage, or of all that join in the first reading."""
    first, *joining = stages
    if first.lists_documents:
        return run_raw_shards(
            call.project, call.partition, call.why, call.progress, joining=joining
        )
    return run_stage(call.project, first, call.partition, call.why, call.progress)
