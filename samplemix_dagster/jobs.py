"""Jobs: one click brings a part of the flow up to date.

A job has one op, which plans and then runs what is stale as ordinary asset runs (see ``launch``);
so a job, the command line and the schedule do the same thing and leave the same traces.
"""

import dagster as dg

from samplemix_dagster.engine.flow import GROUPS, select_steps
from samplemix_dagster.launch import RunReport, run_stale
from samplemix_dagster.resources import ProjectResource

_JOBS = {
    "score": (
        ("shards", "reference", "quality", "diversity"),
        "Read new shards and score every document whose scores are stale.",
    ),
    "mix": (
        ("shards", "reference", "quality", "diversity", "beta", "mixture"),
        "Score what is stale, fit the law, draw every mixture.",
    ),
    "publish": (GROUPS, "Everything: score, mix, export, report."),
}


def build_jobs() -> list[dg.JobDefinition]:
    """Return the jobs ``score``, ``mix`` and ``publish``."""
    return [_job(name, groups, text) for name, (groups, text) in _JOBS.items()]


def _job(name: str, groups: tuple[str, ...], description: str) -> dg.JobDefinition:
    @dg.op(name=f"{name}_what_is_stale", description=description)
    def run_what_is_stale(context: dg.OpExecutionContext, project: ProjectResource) -> None:
        from samplemix_dagster.engine.flow import build_steps

        opened = project.open()
        report = run_stale(
            opened,
            context.repository_def,
            context.instance,
            steps=select_steps(build_steps(opened), groups, None),
            with_report="report" in groups,
            on_event=context.log.info,
            tags={"samplemix/job": name, "samplemix/parent_run": context.run_id},
        )
        context.add_output_metadata(_summary(report))
        if not report.succeeded:
            raise dg.Failure("\n".join(report.failures), allow_retries=False)

    @dg.job(name=name, description=description, executor_def=dg.in_process_executor)
    def job() -> None:
        run_what_is_stale()

    return job


def _summary(report: RunReport) -> dict[str, object]:
    return {
        "assets": len(report.done),
        "runs": len(report.run_ids),
        "documents_computed": sum(entry["num_documents"] for entry in report.done),
    }
