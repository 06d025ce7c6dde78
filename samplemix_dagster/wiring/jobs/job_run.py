"""A run of a job, part by part: each goes on with what those before it know."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import dagster as dg
from dagster._core.errors import DagsterExecutionInterruptedError as Interrupted

from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.watching.looking import wait_until_settled
from samplemix_dagster.engine.watching.telling import in_words
from samplemix_dagster.errors import SampleMixError, TransientError
from samplemix_dagster.runs.standing.last_run import note_failures
from samplemix_dagster.runs.upkeep.repair import check_lake
from samplemix_dagster.runs.work.choosing import check_mixtures, check_stages, fits_to_remake
from samplemix_dagster.stages.stepping.step import select_steps
from samplemix_dagster.wiring.jobs.parts import PARTS, Choice, Part, groups_of, steps_of
from samplemix_dagster.wiring.jobs.side_by_side import side_by_side_of
from samplemix_dagster.wiring.names import PLAIN, Names
from samplemix_dagster.wiring.run_tags import (
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
from samplemix_dagster.wiring.running.launch import Flow
from samplemix_dagster.wiring.running.reaping import reap_dead_runs
from samplemix_dagster.wiring.running.run_report import RunReport

COMMAND = "samplemix run"


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


def is_quiet() -> bool:
    """Whether the run that starts now keeps Dagster's own log off the console."""
    return _quiet[0]


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
    groups = choice.select or groups_of(parts)
    steps = select_steps(run.flow.every, groups, choice.mixtures or None)
    needed = steps_of(steps, [*before, part])
    is_continued = all(one.name in run.done for one in before)
    with _told(run.flow, context.log.info):
        run.flow.bring(
            steps_of(steps, [part]) if is_continued else needed,
            needed,
            with_report="report" in part.groups and "report" in groups,
        )
    run.done.add(part.name)
    report = run.flow.report
    context.add_output_metadata(_summary(report, [part] if is_continued else [*before, part]))
    if report.succeeded and after:
        return
    if not report.succeeded and run.flow.can_go_on(steps_of(steps, after)):
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


def _summary(report: RunReport, parts: Iterable[Part]) -> dict[str, object]:
    """Return what some parts came to, as a run's page shows it."""
    groups = groups_of(parts)
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
