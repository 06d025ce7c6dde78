"""Schedules: the nightly run, which asks for exactly what is stale and for nothing else."""

from collections.abc import Sequence

import dagster as dg

from samplemix_dagster.engine.plan import Planner
from samplemix_dagster.engine.project import Project
from samplemix_dagster.resources import ProjectResource


def build_schedules(
    project: Project, jobs: Sequence[dg.JobDefinition]
) -> list[dg.ScheduleDefinition]:
    """Return the nightly schedule; it starts switched off, and the UI switches it on."""
    publish = next(job for job in jobs if job.name == "publish")
    settings = project.config.schedule

    @dg.schedule(
        name="nightly",
        job=publish,
        cron_schedule=settings.rescore,
        execution_timezone=settings.timezone,
        description="Everything stale: score, mix, export, report. Skips when all is current.",
    )
    def nightly(
        context: dg.ScheduleEvaluationContext, project: ProjectResource
    ) -> dg.RunRequest | dg.SkipReason:
        opened = project.open()
        opened.refresh()
        plan = Planner(opened).plan()
        if plan.is_empty:
            return dg.SkipReason("Everything is current.")
        assets = ", ".join(entry["asset"] for entry in plan.by_asset())
        moment = context.scheduled_execution_time.isoformat()
        return dg.RunRequest(run_key=f"nightly-{moment}", tags={"samplemix/stale": assets[:250]})

    return [nightly]
