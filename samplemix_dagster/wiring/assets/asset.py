"""How a step of the flow becomes a Dagster asset: one form for all of them.

What is particular to a stage (its words, its plots) is in the stage's own module and handed in
here. Nothing here knows a number.
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace

import dagster as dg

from samplemix_dagster.engine.outcome import Outcome
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.stages import NotFittedError
from samplemix_dagster.errors import DamagedError, SampleMixError, TransientError
from samplemix_dagster.runs.hooks.hooks import tell_new_version
from samplemix_dagster.runs.plan.above import in_a_sentence, stale_above, why_on_request
from samplemix_dagster.runs.plan.cost.estimates import foreseen, note_measurement
from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.runs.plan.planned import ON_REQUEST, Task
from samplemix_dagster.runs.upkeep.repair import repair
from samplemix_dagster.stages.mixture.published.publishing import publish_mixture, refuse_mixture
from samplemix_dagster.stages.stepping.doing import Call, run_step
from samplemix_dagster.stages.stepping.step import Step
from samplemix_dagster.table_contract import Table
from samplemix_dagster.wiring.assets.inputs import inputs_dep
from samplemix_dagster.wiring.assets.shown.columns import Origins, column_lineage
from samplemix_dagster.wiring.assets.shown.told import (
    as_foreseen,
    column_schema,
    headlines,
    lies_at,
    plumbing,
)
from samplemix_dagster.wiring.automation.freshness import mixture_freshness
from samplemix_dagster.wiring.checks import step_checks
from samplemix_dagster.wiring.metadata import Metadata
from samplemix_dagster.wiring.names import PLAIN, Names
from samplemix_dagster.wiring.partitions import source_partitions
from samplemix_dagster.wiring.run_tags import (
    CAN_PASS_TAG,
    LASTS_TAG,
    PID_TAG,
    REPORTS_TO_TAG,
    process_tags,
    tag_of,
    takes_only_settled,
)
from samplemix_dagster.wiring.running.resources import ProjectResource, current_progress

OWNER = "team:data"
MAX_RETRIES = 3
RETRY_SECONDS = 10.0
_ALL_JOB = "publish"

Present = Callable[[Project, Outcome], Metadata]
"""Metadata that a stage adds to a materialisation: numbers, tables, plots."""


def nothing_more(project: Project, outcome: Outcome) -> Metadata:
    """Add nothing."""
    del project, outcome
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a person sees of an asset."""

    description: str = ""
    """The words of its stage, when empty."""
    kinds: tuple[str, ...] = ("python",)
    present: Present = nothing_more
    tables: Sequence[Table] = field(default=())
    origins: Origins = field(default_factory=dict)
    """Where the columns come from, if they come from other assets' columns."""
    view: str = ""
    """What ``samplemix query`` calls the table, if it has a name there."""


def plain_look(step: Step) -> Look:
    """Return what a person sees of an asset of which its stage's own file says all."""
    if not step.stages:
        return Look()
    return Look(kinds=("python", "parquet"), tables=[stage.table for stage in step.stages])


def definition_metadata(look: Look, names: Names) -> Metadata:
    """Return what the UI shows of an asset's table before it was ever made."""
    metadata: Metadata = lineage_metadata(look, names)
    if look.tables:
        metadata["dagster/column_schema"] = column_schema(look.tables[0])
    if look.view:
        metadata["dagster/table_name"] = look.view
    return metadata


def lineage_metadata(look: Look, names: Names) -> Metadata:
    """Return where the columns of an asset's table come from, where that is known."""
    if not look.origins:
        return {}
    return {"dagster/column_lineage": column_lineage(look.origins, names)}


def step_asset(
    project: Project, step: Step, look: Look, names: Names = PLAIN, pool: str | None = None
) -> dg.AssetsDefinition:
    """Return the asset of a step; one that uses the device waits for its turn in the pool."""
    key = names.key(step.asset)

    @dg.asset(
        key=key,
        description=look.description or step.words,
        group_name=names.group(step.group),
        kinds=set(look.kinds),
        owners=[OWNER],
        tags={"stage": step.group},
        deps=[*(names.key(name) for name in step.deps), inputs_dep(project, step, names)],
        partitions_def=source_partitions(project) if step.is_partitioned else None,
        code_version=step.code_version,
        check_specs=step_checks.specs(step, key),
        metadata=definition_metadata(look, names),
        freshness_policy=mixture_freshness(project) if step.is_published else None,
        output_required=True,
        pool=pool if step.uses_device else None,
    )
    @names.hand_project
    def run(  # with a type argument Dagster would take the result for several outputs
        context: dg.AssetExecutionContext, project: ProjectResource
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]
        opened = begin(context, project)
        partition = context.partition_key if context.has_partition_key else ""
        task = _task(opened, step, partition)
        expected = foreseen(opened, task)
        context.log.info("why: %s", task.why)
        call = Call(
            project=opened,
            partition=partition,
            why=task.why,
            run_id=context.run.run_id,
            progress=_both(context, task, current_progress()),
        )
        with retries(context, opened, lambda: _not_yet_there(opened, step, names)):
            outcome = run_step(step, call)
        found = step_checks.results(step, key, opened, outcome)
        note_measurement(opened, outcome)
        metadata = {
            **headlines(outcome),
            **look.present(opened, outcome),
            **lineage_metadata(look, names),
            **as_foreseen(opened, task, expected, outcome),
            **lies_at(opened, step, outcome),
            **plumbing(outcome),
        }
        if step.is_published:
            found = _publish(context, opened, outcome, found)
        return dg.MaterializeResult(
            asset_key=key,
            data_version=dg.DataVersion(outcome.data_version),
            metadata=metadata,
            check_results=found,
        )

    return run


def begin(context: dg.AssetExecutionContext, project: ProjectResource) -> Project:
    """Return the project as this run is to see it, and tag the run with its process.

    A run that started by itself leaves files that are still being written.
    """
    opened = project.open()
    tags = context.run.tags
    opened.take_only_settled(takes_only_settled(tags))
    if tags.get(PID_TAG) != str(os.getpid()):
        context.instance.add_run_tags(context.run.run_id, process_tags())
    return opened


def _task(project: Project, step: Step, partition: str) -> Task:
    """Return what a step would do now, and why; current, it says whether what it reads is stale."""
    task = Planner(project).task(step, partition)
    if task.why != ON_REQUEST:
        return task
    return replace(task, why=why_on_request(Planner(project, counts=False), step))


def _not_yet_there(project: Project, step: Step, names: Names) -> str:
    """Return why a step cannot be made alone; empty where nothing that it reads is stale."""
    stale = stale_above(Planner(project, counts=False), step)
    return in_a_sentence(step.asset, stale, names.of(_ALL_JOB)) if stale else ""


@contextlib.contextmanager
def retries(
    context: dg.AssetExecutionContext,
    project: Project,
    not_yet_there: Callable[[], str] = lambda: "",
) -> Iterator[None]:
    """Ask for another try after an error that can pass; any other error fails at once.

    A run that stands alone takes damaged files out of the lake itself, since nobody starts over,
    and says in words which of its inputs are to be made first.

    Args:
        context: Dagster's.
        project: The project.
        not_yet_there: Says which inputs are to be made first; empty where none is.
    """
    is_alone = tag_of(context.run.tags, REPORTS_TO_TAG) is None
    try:
        yield
    except TransientError as error:
        if context.retry_number >= MAX_RETRIES:
            context.instance.add_run_tags(context.run.run_id, {CAN_PASS_TAG: "true"})
            raise
        wait = RETRY_SECONDS * 2**context.retry_number
        context.log.warning("%s; another try in %s s", error, wait)
        raise dg.RetryRequested(max_retries=MAX_RETRIES, seconds_to_wait=wait) from error
    except DamagedError as error:
        if not is_alone:
            raise  # what runs this has it made again
        words = " ".join([*repair(project), "Materialize what made them, or start a job."])
        raise dg.Failure(words, allow_retries=False) from error
    except Exception as error:
        context.instance.add_run_tags(context.run.run_id, {LASTS_TAG: "true"})
        if is_alone and isinstance(error, (SampleMixError, NotFittedError)):
            raise dg.Failure(not_yet_there() or str(error), allow_retries=False) from None
        raise


def _publish(
    context: dg.AssetExecutionContext,
    project: Project,
    outcome: Outcome,
    found: list[dg.AssetCheckResult],
) -> list[dg.AssetCheckResult]:
    """Make a mixture's version current if its blocking checks hold; else say why it is not."""
    name, version = outcome.asset.partition("/")[2], outcome.data_version
    broken = step_checks.broken(found)
    if not broken:
        made = publish_mixture(project, name, version)
        if made is not None:
            context.log.info("version %s of mixture %r is current", version[:12], name)
            for problem in tell_new_version(project, made, [context.run.run_id]):
                context.log.warning("%s", problem)
        return found
    sentence = refuse_mixture(project, name, version, broken)
    context.log.error("%s", sentence)
    return [
        result if result.check_name not in broken else result._replace(description=sentence)
        for result in found
    ]


def _both(
    context: dg.AssetExecutionContext, task: Task, listener: Callable[..., None]
) -> Callable[..., None]:
    """Report to the listener, and to Dagster's log every half minute.

    The listener hears of a step when it begins, since some have nothing to count; how many
    documents there are is known from the plan where the step itself does not know.
    """
    last = [time.monotonic()]
    planned = task.num_documents if task.partition else 0
    listener(task.step.asset, task.partition, 0, planned)

    def progress(asset: str, partition: str, done: int, total: int) -> None:
        total = total or planned
        listener(asset, partition, done, total)
        if time.monotonic() - last[0] >= 30:
            last[0] = time.monotonic()
            context.log.info(f"{done:,} of {total:,}" if total else f"{done:,} documents")

    return progress
