"""Jobs: one click brings a part of the flow up to date.

A job has one op, which plans and then runs what is stale as ordinary asset runs (see ``launch``);
so a job, the command line and the schedule do the same thing and leave the same traces.
"""

from typing import Any

import dagster as dg

from samplemix_dagster.assets.asset import (
    CAN_PASS_TAG,
    FILES_TAG,
    LASTS_TAG,
    REPORTS_TO_TAG,
    SETTLED,
    TOLD_TAG,
    process_tags,
    takes_only_settled,
)
from samplemix_dagster.engine.flow import GROUPS, build_steps, select_steps
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.status import note_failures
from samplemix_dagster.engine.watching import in_words, wait_until_settled
from samplemix_dagster.launch import RunReport, run_stale
from samplemix_dagster.names import PLAIN, Names
from samplemix_dagster.resources import ProjectResource

PUBLISH, READ_SHARDS = "publish", "read_shards"
_JOBS = {
    "score": (
        ("shards", "reference", "quality", "diversity"),
        "Read new shards and score every document whose scores are stale.",
    ),
    "mix": (
        ("shards", "reference", "quality", "diversity", "beta", "mixture"),
        "Score what is stale, fit the law, draw every mixture.",
    ),
    PUBLISH: (
        GROUPS,
        "Everything: score, mix, export, report. A mixture's version becomes the current one only "
        "if its blocking checks hold; else the last good one stays.",
    ),
}


def build_jobs(*, with_report: bool = True, names: Names = PLAIN) -> list[Any]:
    """Return the jobs ``score``, ``mix`` and ``publish``, and the reading of one source.

    Dagster has no public type for both a job and a job over assets.
    """
    found = [
        _job(
            names, name, tuple(group for group in groups if with_report or group != "report"), text
        )
        for name, (groups, text) in _JOBS.items()
    ]
    reading = dg.define_asset_job(
        names.of(READ_SHARDS),
        selection=dg.AssetSelection.assets(names.key("raw_shards")),
        description=(
            "Reads the new and changed shards of one source. The sensor new_shards asks for it "
            "while automation does the rest."
        ),
        executor_def=dg.in_process_executor,
    )
    return [*found, reading]


def _job(names: Names, name: str, groups: tuple[str, ...], description: str) -> dg.JobDefinition:
    @dg.op(name=names.of(f"{name}_what_is_stale"), description=description)
    @names.hand_project
    def run_what_is_stale(context: dg.OpExecutionContext, project: ProjectResource) -> None:
        run_job(context, project.open(), name, groups, names)

    @dg.job(name=names.of(name), description=description, executor_def=dg.in_process_executor)
    def job() -> None:
        run_what_is_stale()

    return job


def run_job(
    context: dg.OpExecutionContext,
    project: Project,
    name: str,
    groups: tuple[str, ...],
    names: Names = PLAIN,
) -> None:
    """Bring some groups up to date; a job that started by itself leaves unsettled files.

    Raises:
        Failure: Something failed; the message says what, and nothing is tried again.
    """
    instance, run = context.instance, context.run
    instance.add_run_tags(run.run_id, process_tags())
    only_settled = takes_only_settled(run.tags)
    project.take_only_settled(only_settled)
    tags = {"samplemix/job": name, REPORTS_TO_TAG: run.run_id}
    if only_settled:
        tags[FILES_TAG] = SETTLED
        context.log.info("found: %s", in_words(wait_until_settled(project)))
    report = run_stale(
        project,
        context.repository_def,
        instance,
        steps=select_steps(build_steps(project), groups, None),
        with_report="report" in groups,
        on_event=context.log.info,
        tags=tags,
        names=names,
    )
    context.add_output_metadata(_summary(report))
    note_failures(project, report.failures, report.failed_assets)
    if not report.succeeded:
        kind = CAN_PASS_TAG if report.can_pass else LASTS_TAG
        instance.add_run_tags(run.run_id, {TOLD_TAG: "true", kind: "true"})
        raise dg.Failure("\n".join(report.failures), allow_retries=False)


def _summary(report: RunReport) -> dict[str, object]:
    return {
        "assets": len(report.done),
        "runs": len(report.run_ids),
        "documents_computed": sum(entry["num_documents"] for entry in report.done),
    }
