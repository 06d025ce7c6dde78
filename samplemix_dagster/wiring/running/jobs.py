"""Jobs: one click brings a part of the flow up to date.

A job's ops are its story: read, score, fit, mix, export, report. Each brings its part up to date as
ordinary asset runs (see ``launch``), so a job, the command line and the schedule do the same thing
and leave the same traces. ``samplemix run`` is a run of the job ``publish``.
"""

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
from dagster._core.errors import DagsterExecutionInterruptedError as Interrupted
from pydantic import Field

from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.watching.looking import wait_until_settled
from samplemix_dagster.engine.watching.telling import in_words
from samplemix_dagster.errors import SampleMixError, TransientError
from samplemix_dagster.runs.plan.last_run import note_failures
from samplemix_dagster.runs.upkeep.choosing import check_mixtures, check_stages, fits_to_remake
from samplemix_dagster.runs.upkeep.repair import check_lake
from samplemix_dagster.stages.step import Step, select_steps
from samplemix_dagster.wiring.names import PLAIN, PUBLISH, READ_SHARDS, Names
from samplemix_dagster.wiring.running.launch import Flow, console
from samplemix_dagster.wiring.running.reaping import reap_dead_runs
from samplemix_dagster.wiring.running.resources import ProjectResource
from samplemix_dagster.wiring.running.run_report import RunReport
from samplemix_dagster.wiring.running.run_tags import (
    CAN_PASS_TAG,
    FILES_TAG,
    LASTS_TAG,
    PART_OF_TAG,
    REPORTS_TO_TAG,
    REPOSITORY_TAGS,
    SETTLED,
    TOLD_TAG,
    process_tags,
    takes_only_settled,
)
from samplemix_dagster.wiring.running.side_by_side import side_by_side_of
from samplemix_dagster.wiring.running.what_if import build_what_if

COMMAND = "samplemix run"


class ScoreChoice(dg.Config):
    """What a run of the job ``score`` can be told."""

    refit: list[str] = Field(
        default=[],
        description="Fits to make again whatever their drift: clusters, topics, ...; or all.",
    )
    check_lake: bool = Field(
        default=False, description="Read every file in use first, and make damaged ones again."
    )


class MixChoice(ScoreChoice):
    """What a run of the job ``mix`` can be told."""

    mixtures: list[str] = Field(
        default=[], description="Mixtures to make, by name; all of them when empty."
    )


class Choice(MixChoice):
    """What a run of the job ``publish`` can be told."""

    select: list[str] = Field(
        default=[],
        description=(
            "Stages to bring up to date, with what they need: shards, reference, quality, "
            "diversity, beta, mixture, export, report; all of them when empty."
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one op of a job does."""

    name: str
    groups: tuple[str, ...]
    description: str


PARTS = (
    Part(
        name="reading",
        groups=("shards",),
        description="Reads new and changed shards, and notes what the corpus is.",
    ),
    Part(
        name="scoring",
        groups=("reference", "quality", "diversity"),
        description="Gives every document its quality, its diversity and its tokens.",
    ),
    Part(
        name="fitting",
        groups=("beta",),
        description="Fits the law of the corpus over quality and diversity.",
    ),
    Part(
        name="mixing",
        groups=("mixture",),
        description="Draws each mixture, checks it, and makes it current if its checks hold.",
    ),
    Part(
        name="exporting",
        groups=("export",),
        description="Writes the current mixtures as files for trainers.",
    ),
    Part(
        name="reporting", groups=("report",), description="Brings the report's tables up to date."
    ),
)


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


@dataclass(kw_only=True)
class JobRun:
    """A run of a job in this process: its ops go on with what the ones before them know."""

    flow: Flow
    where: str
    """Who is said to have failed: the job, or the command line."""
    is_prepared: bool = False
    done: set[str] = field(default_factory=set)
    """The parts that this process has been through."""
    error: BaseException | None = None
    """What ended it, beside failures that are told."""


_at_work: dict[str, JobRun] = {}
_quiet = [False]


@contextlib.contextmanager
def going_on(run_id: str, run: JobRun, *, quiet: bool) -> Iterator[None]:
    """Let the ops of this run, which starts in this process meanwhile, go on with what is given."""
    _at_work[run_id], _quiet[0] = run, quiet
    try:
        yield
    finally:
        _at_work.pop(run_id, None)
        _quiet[0] = False


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
        return {"ops": ops_config, **console(quiet=_quiet[0])}

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


def take_part(
    context: dg.OpExecutionContext,
    project: Project,
    choice: Choice,
    part: Part,
    names: Names = PLAIN,
) -> None:
    """Bring one part of a job up to date; a job that started by itself leaves unsettled files.

    Raises:
        Failure: Something failed, and nothing that follows could be done; the message says what
            failed in the whole run, and nothing is tried again.
    """
    run = _at_work.get(context.run_id) or _begin(context, project, names)
    try:
        if not run.is_prepared:
            _prepare(context, project, choice, run)
        _bring(context, run, choice, part)
    except BaseException as error:
        _at_work.pop(context.run_id, None)
        run.error = None if isinstance(error, dg.Failure) else error
        if isinstance(error, SampleMixError) and takes_only_settled(context.run.tags):
            note_failures(project, [str(error)], ())  # nobody was there to read it
            run.flow.look()
        if run.where == COMMAND and isinstance(error, (KeyboardInterrupt, Interrupted)):
            context.instance.report_run_canceling(context.run)  # else it would look like a failure
        if isinstance(error, SampleMixError):
            raise _in_words(context, error) from None
        raise


def _in_words(context: dg.OpExecutionContext, error: SampleMixError) -> dg.Failure:
    """Return a failure that says an error's words and nothing else: a person reads it."""
    kind = CAN_PASS_TAG if isinstance(error, TransientError) else LASTS_TAG
    context.instance.add_run_tags(context.run_id, {kind: "true"})
    return dg.Failure(str(error), allow_retries=False)


def _begin(context: dg.OpExecutionContext, project: Project, names: Names) -> JobRun:
    """Begin a run that the UI, a schedule or a sensor started: in a process of its own."""
    context.instance.add_run_tags(context.run_id, process_tags())
    reap_dead_runs(context.instance)
    project.refresh()
    flow = Flow(
        project,
        context.repository_def,
        context.instance,
        names=names,
        side_by_side=side_by_side_of(context, project.partitions, names),
    )
    return _at_work.setdefault(context.run_id, JobRun(flow=flow, where=context.job_name))


def _prepare(context: dg.OpExecutionContext, project: Project, choice: Choice, run: JobRun) -> None:
    """Look at what was asked for, once, before the first part."""
    flow = run.flow
    check_stages(choice.select, "select")
    check_mixtures(project, choice.mixtures, "mixtures")
    project.refits = fits_to_remake(project, choice.refit, "refit")
    only_settled = takes_only_settled(context.run.tags)
    project.take_only_settled(only_settled)
    flow.tags |= {PART_OF_TAG: context.run_id, REPORTS_TO_TAG: context.run_id}
    flow.tags |= {tag: context.run.tags[tag] for tag in REPOSITORY_TAGS if tag in context.run.tags}
    if only_settled:
        flow.tags[FILES_TAG] = SETTLED
        context.log.info("found: %s", in_words(wait_until_settled(project)))
    if choice.check_lake and run.where != COMMAND:  # which has looked by itself
        context.log.info("%s files of the lake are whole", check_lake(project))
    run.is_prepared = True


def _bring(context: dg.OpExecutionContext, run: JobRun, choice: Choice, part: Part) -> None:
    """Bring a part up to date, say what it came to, and fail where nothing more can follow."""
    there = {node.name for node in context.job_def.nodes}
    parts = [one for one in PARTS if run.flow.names.of(one.name) in there]
    place = parts.index(part)
    before, after = parts[:place], parts[place + 1 :]
    groups = choice.select or _groups_of(parts)
    steps = select_steps(run.flow.every, groups, choice.mixtures or None)
    needed = _steps_of(steps, [*before, part])
    is_continued = all(one.name in run.done for one in before)
    with _told(run.flow, context.log.info):
        run.flow.bring(
            _steps_of(steps, [part]) if is_continued else needed,
            needed,
            with_report="report" in part.groups and "report" in groups,
        )
    run.done.add(part.name)
    report = run.flow.report
    context.add_output_metadata(_summary(report, [part] if is_continued else [*before, part]))
    if report.succeeded and after:
        return
    if not report.succeeded and run.flow.can_go_on(_steps_of(steps, after)):
        for failure in report.failures:
            context.log.error(failure)
        return
    _end(context, run)


def _end(context: dg.OpExecutionContext, run: JobRun) -> None:
    """Note and tell what failed, once for the whole run.

    Raises:
        Failure: Something failed.
    """
    report = run.flow.report
    # Before the flow ends: its last look says on the mixtures' pages what failed.
    note_failures(run.flow.project, report.failures, report.failed_assets)
    run.flow.end(run.where)
    _at_work.pop(context.run_id, None)
    run.flow.project.refits = set()
    if not report.succeeded:
        kind = CAN_PASS_TAG if report.can_pass else LASTS_TAG
        context.instance.add_run_tags(context.run_id, {TOLD_TAG: "true", kind: "true"})
        raise dg.Failure("\n".join(report.failures), allow_retries=False)


@contextlib.contextmanager
def _told(flow: Flow, also: Callable[[str], None]) -> Iterator[None]:
    """Tell one more of what starts."""
    first = flow.on_event

    def both(sentence: str) -> None:
        first(sentence)
        also(sentence)

    flow.on_event = both
    try:
        yield
    finally:
        flow.on_event = first


def _groups_of(parts: Iterable[Part]) -> list[str]:
    return [group for part in parts for group in part.groups]


def _steps_of(steps: Iterable[Step], parts: Iterable[Part]) -> list[Step]:
    groups = _groups_of(parts)
    return [step for step in steps if step.group in groups]


def _summary(report: RunReport, parts: Iterable[Part]) -> dict[str, object]:
    """Return what some parts came to, as a run's page shows it."""
    groups = _groups_of(parts)
    done = [entry for entry in report.done if entry["stage"] in groups]
    if not done:
        return {"made": "nothing: all was current" if report.succeeded else "nothing"}
    lines = ["| asset | documents | seconds | why |", "|---|--:|--:|---|"]
    lines += [
        f"| {e['asset']} | {e['num_documents']:,} | {e['seconds']:,.1f} | {e['why']} |"
        for e in done
    ]
    return {
        "made": dg.MetadataValue.md("\n".join(lines)),
        "documents": sum(entry["num_documents"] for entry in done),
    }
