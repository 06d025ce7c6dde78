"""Parts of a job side by side: a step for each partition, in the executor that a team gave.

The job's own step plans, fits and draws as ever, and asks here for what is stale of several
partitions. The answer is a run of a job of its own, which has a step for each partition; a step
makes its part as a run in the process that the executor gave it. The steps read and hand on
nothing but the lake and the instance, so no result goes through an IO manager.
"""

import re
import uuid
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import dagster as dg
from dagster._core.definitions.reconstruct import ReconstructableJob
from dagster._utils.hosted_user_process import recon_repository_from_origin

from samplemix_dagster.wiring.names import Names
from samplemix_dagster.wiring.run_tags import CAN_PASS_TAG, WHY_TAG, process_tags
from samplemix_dagster.wiring.running.reaping import report_gone
from samplemix_dagster.wiring.running.results import failure_sentence, stop_if_interrupted

SIDE_BY_SIDE = "side_by_side"
_ONCE = {"dagster/max_retries": "0"}
"""What is missing, the job's own step asks for again."""
_DESCRIPTION = (
    "Partitions side by side, a step for each. The jobs of the project start it where several "
    "partitions are stale; there is nothing here for you to launch."
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A part that is asked for: assets of one partition, and why."""

    partition: str
    assets: list[str]
    why: str


@dataclass(frozen=True, slots=True)
class Part:
    """What a part came to."""

    result: dg.JobExecutionResult
    lost: str
    """Why its process ended before it could say so itself; empty where it did not."""


@dataclass(frozen=True, slots=True)
class Answered:
    """What all the parts came to, in the order in which they were asked for."""

    run_id: str
    """The run that has a step for each of them."""
    parts: list[Part]


class PartChoice(dg.Config):
    """What a step is told of its part."""

    run_id: str
    partition: str
    assets: list[str]
    why: str
    tags: dict[str, str]


def build_side_by_side(
    partitions: Sequence[str], executor: dg.ExecutorDefinition, names: Names
) -> dg.JobDefinition:
    """Return the job that has a step for each partition, to be executed by a team's executor."""

    @dg.op(name=names.of("part"), description=_DESCRIPTION, out=dg.Out(dg.Nothing))
    def part(context: dg.OpExecutionContext, config: PartChoice) -> None:
        result = context.repository_def.get_implicit_global_asset_job_def().execute_in_process(
            run_id=config.run_id,
            instance=context.instance,
            partition_key=config.partition,
            asset_selection=[names.key(asset) for asset in config.assets],
            tags={**config.tags, **process_tags(), WHY_TAG: config.why},
            raise_on_error=False,
        )
        stop_if_interrupted(result)
        if not result.success:
            raise dg.Failure(f"run {config.run_id} says what failed", allow_retries=False)

    @dg.job(name=names.of(SIDE_BY_SIDE), description=_DESCRIPTION, executor_def=executor)
    def job() -> None:
        for step in steps_of(partitions).values():
            part.alias(step)()

    return job


def steps_of(partitions: Sequence[str]) -> dict[str, str]:
    """Return the step of each partition: its name as far as a step may have it, and its place."""
    words = (re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_") for name in partitions)
    return {
        name: f"{word or 'part'}_{place}"
        for place, (name, word) in enumerate(zip(partitions, words, strict=True))
    }


class SideBySide:
    """Runs parts in the executor that a team gave."""

    def __init__(
        self, job: ReconstructableJob, instance: dg.DagsterInstance, steps: Mapping[str, str]
    ) -> None:
        """Take what is run and where.

        Args:
            job: The job that has a step for each partition, as other processes can have it.
            instance: The instance.
            steps: The step of each partition.
        """
        self._job = job
        self._instance = instance
        self._steps = steps

    def run(self, asked: Sequence[Asked], tags: Mapping[str, str]) -> Answered:
        """Run parts at once, as many as the executor takes.

        Args:
            asked: The parts, each of another partition.
            tags: Tags for every run.

        Raises:
            KeyboardInterrupt: Somebody stopped it.
        """
        ids = {one.partition: str(uuid.uuid4()) for one in asked}
        config = {
            self._steps[one.partition]: {
                "config": {**asdict(one), "run_id": ids[one.partition], "tags": dict(tags)}
            }
            for one in asked
        }
        whole = dg.execute_job(
            self._job,
            self._instance,
            run_config={"ops": config},
            tags={**tags, **_ONCE},
            op_selection=list(config),
        )
        stop_if_interrupted(whole)
        errors = {
            event.step_key: event.step_failure_data.error
            for event in whole.get_step_failure_events()
        }
        parts = [
            self._part(whole, ids[one.partition], errors.get(self._steps[one.partition]))
            for one in asked
        ]
        return Answered(whole.run_id, parts)

    def _part(self, whole: dg.JobExecutionResult, run_id: str, error: Any) -> Part:
        """Read from the instance what a part did, since it did so in another process."""
        run = self._instance.get_run_by_id(run_id)
        lost = "" if run and run.is_finished else failure_sentence(error, _why_it_ended(whole))
        if lost:
            self._note_lost(whole.run_id, run)
        events = [
            entry.dagster_event
            for entry in self._instance.all_logs(run_id)
            if entry.dagster_event is not None
        ]
        said_by = run or dg.DagsterRun(job_name=whole.dagster_run.job_name, run_id=run_id)
        return Part(dg.JobExecutionResult(whole.job_def, nullcontext(), events, said_by), lost)  # type: ignore[arg-type]

    def _note_lost(self, whole: str, run: dg.DagsterRun | None) -> None:
        """A process that was killed can work the next time, as a run can that was."""
        self._instance.add_run_tags(whole, {CAN_PASS_TAG: "true"})
        if run is not None:
            report_gone(self._instance, run)


def _why_it_ended(whole: dg.JobExecutionResult) -> str:
    """Return what ended a run of which a step says nothing: its process did not begin."""
    for event in whole.all_events:
        if event.event_type == dg.DagsterEventType.RUN_FAILURE and event.job_failure_data.error:
            return event.job_failure_data.error.message.strip()
    return "its process is gone"


def side_by_side_of(
    context: dg.OpExecutionContext, partitions: Sequence[str], names: Names
) -> SideBySide | None:
    """Return what runs partitions side by side; None where a run has this process alone.

    That is where no executor was given, and where the run's own job cannot be had by other
    processes, as one of the command line.
    """
    origin, name = context.run.job_code_origin, names.of(SIDE_BY_SIDE)
    if origin is None or not context.repository_def.has_job(name):
        return None
    repository = recon_repository_from_origin(origin.repository_origin)
    job = repository.get_reconstructable_job(name)
    return SideBySide(job, context.instance, steps_of(partitions))
