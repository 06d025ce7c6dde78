"""Jobs: one click brings a part of the flow up to date.

A job's ops are its story: read, score, fit, mix, export, report. Each brings its part up to date as
ordinary asset runs (see ``launch``), so a job, the command line and the schedule do the same thing
and leave the same traces. ``samplemix run`` is a run of the job ``publish``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

from samplemix_dagster.wiring.jobs.job_run import is_quiet, take_part
from samplemix_dagster.wiring.jobs.parts import (
    PARTS,
    Choice,
    MixChoice,
    Part,
    ScoreChoice,
    console,
)
from samplemix_dagster.wiring.jobs.what_if import build_what_if
from samplemix_dagster.wiring.names import PLAIN, PUBLISH, READ_SHARDS, Names
from samplemix_dagster.wiring.running.resources import ProjectResource


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    choice: type[ScoreChoice]
    num_parts: int
    description: str


_JOBS = {
    "score": _Job(
        choice=ScoreChoice,
        num_parts=2,
        description="Scores only: reads new shards and scores every document that needs it.",
    ),
    "mix": _Job(
        choice=MixChoice,
        num_parts=4,
        description="Mixtures without their files: scores what is stale, fits the law, draws.",
    ),
    PUBLISH: _Job(
        choice=Choice,
        num_parts=6,
        description=(
            "Everything, for all mixtures or for those named: score, mix, export, report. A "
            "mixture's version becomes the current one only if its blocking checks hold; else the "
            "last good one stays."
        ),
    ),
}


def build_jobs(*, with_report: bool = True, names: Names = PLAIN) -> list[Any]:
    """Return every job: ``score``, ``mix``, ``publish``, ``what_if``, and the reading of a source.

    Dagster has no public type for both a job and a job over assets.
    """
    ops = [_op(part, names) for part in PARTS if with_report or part.name != "reporting"]
    found = [_job(names.of(name), job, ops[: job.num_parts]) for name, job in _JOBS.items()]
    reading = dg.define_asset_job(
        names.of(READ_SHARDS),
        selection=dg.AssetSelection.assets(names.key("raw_shards")),
        description=(
            "Reads the new and changed shards of one source. The sensor new_shards asks for it "
            "while automation does the rest."
        ),
        executor_def=dg.in_process_executor,
    )
    return [*found, build_what_if(names), reading]


def _job(name: str, about: _Job, ops: list[dg.OpDefinition]) -> dg.JobDefinition:
    def as_run_config(chosen: Mapping[str, Any]) -> Mapping[str, Any]:
        choice = Choice(**chosen)
        ops_config = {op.name: {"config": choice.model_dump()} for op in ops}
        return {"ops": ops_config, **console(quiet=is_quiet())}

    @dg.job(
        name=name,
        description=about.description,
        executor_def=dg.in_process_executor,
        config=dg.ConfigMapping(
            config_fn=as_run_config, config_schema=about.choice.to_config_schema()
        ),
    )
    def job() -> None:
        after = None
        for op in ops:
            after = op() if after is None else op(after)

    return job


def _op(part: Part, names: Names) -> dg.OpDefinition:
    is_first = part is PARTS[0]

    @dg.op(
        name=names.of(part.name),
        description=part.description,
        ins={} if is_first else {"after": dg.In(dg.Nothing)},
        out=dg.Out(dg.Nothing),
    )
    @names.hand_project
    def run_part(context: dg.OpExecutionContext, config: Choice, project: ProjectResource) -> None:
        take_part(context, project.open(), config, part, names)

    return run_part
