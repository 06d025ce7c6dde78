"""Schedules: the nightly run, which asks for exactly what is stale and for nothing else."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.watching.looking import look_at_all
from samplemix_dagster.engine.watching.telling import in_words
from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.runs.standing.standing import what_is_current
from samplemix_dagster.storage.report.published import report_reason
from samplemix_dagster.wiring.automation.staleness import look_and_note
from samplemix_dagster.wiring.names import PLAIN, PUBLISH, Names
from samplemix_dagster.wiring.run_tags import (
    ASKED_BY_TAG,
    FILES_TAG,
    SETTLED,
    WHY_CHARACTERS,
    WHY_TAG,
)
from samplemix_dagster.wiring.running.reaping import reap_dead_runs
from samplemix_dagster.wiring.running.resources import ProjectResource


def build_schedules(
    project: Project,
    jobs: Sequence[Any],
    *,
    with_report: bool = True,
    names: Names = PLAIN,
) -> list[dg.ScheduleDefinition]:
    """Return the nightly schedule; it starts switched off, and the UI switches it on."""
    publish = next(job for job in jobs if job.name == names.of(PUBLISH))
    settings = project.config.schedule

    @dg.schedule(
        name=names.of("nightly"),
        job=publish,
        cron_schedule=settings.rescore,
        execution_timezone=settings.timezone,
        description=(
            "Everything stale: score, refit what has drifted, mix, check, publish what holds, "
            "export, report. Skips when all is current."
        ),
    )
    @names.hand_project
    def nightly(
        context: dg.ScheduleEvaluationContext, project: ProjectResource
    ) -> dg.RunRequest | dg.SkipReason:
        # As the file is tonight: this process began with what it was days ago. A file that cannot
        # be read is a tick that failed, not a night with nothing to do.
        opened = project.open_anew()
        reap_dead_runs(context.instance)
        words = what_is_stale(opened, with_report=with_report)
        if not words:
            look_and_note(opened, context.instance, context.repository_def, names, is_night=True)
            return dg.SkipReason(what_is_current(opened))
        moment = context.scheduled_execution_time.isoformat()
        tags = {
            FILES_TAG: SETTLED,
            ASKED_BY_TAG: "schedule nightly",
            WHY_TAG: words[:WHY_CHARACTERS],
        }
        return dg.RunRequest(run_key=f"nightly-{moment}", tags=tags)

    return [nightly]


def what_is_stale(project: Project, *, with_report: bool = True) -> str:
    """Return in words what there is to do; empty when all is current.

    Files are looked at first: a plan would read new shards to count their documents, and a tick is
    to be short.
    """
    project.refresh()
    findings = look_at_all(project)
    if any(found.taken or found.held - {*found.markers} for found in findings):
        return in_words(findings)
    plan = Planner(project).plan()
    stale = ", ".join(entry["asset"] for entry in plan.by_asset())
    if stale or plan.problems:
        return stale or "; ".join(plan.problems.values())
    return report_reason(project.lake) if with_report else ""
