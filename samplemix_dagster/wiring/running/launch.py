"""Run what is stale as Dagster runs in this process, phase by phase.

The command line, the jobs and the schedule all come here, so a run looks the same whoever asked:
one run for each partition of a phase and one for what is not partitioned, all in the project's
instance. A partition's failure leaves the others done; what depends on it is not started.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import groupby
from typing import Any

import dagster as dg

from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.shards.carrying import note_what_stands
from samplemix_dagster.engine.stages import NotFittedError
from samplemix_dagster.errors import DamagedError, SampleMixError
from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.runs.plan.planned import Plan, Task
from samplemix_dagster.runs.upkeep.hooks import tell_failure
from samplemix_dagster.runs.upkeep.repair import MOST_REPAIRS, repair, retry_deferred
from samplemix_dagster.stages.step import Step
from samplemix_dagster.stages.steps import build_steps
from samplemix_dagster.storage.report.dbt_run import report_models
from samplemix_dagster.storage.report.published import report_reason
from samplemix_dagster.wiring.assets.told import LOST
from samplemix_dagster.wiring.automation.staleness import begin_to_observe, look_and_note
from samplemix_dagster.wiring.checks.shards import REJECTED_CHECK
from samplemix_dagster.wiring.names import PLAIN, Names
from samplemix_dagster.wiring.running.run_report import RunReport
from samplemix_dagster.wiring.running.run_tags import (
    CAN_PASS_TAG,
    REPORTS_TO_TAG,
    REPOSITORY_TAGS,
    WHY_CHARACTERS,
    WHY_TAG,
    process_tags,
)

Listener = Callable[[str], None]
_REPORT_WHY = "what it reports on changed"


def console(*, quiet: bool) -> dict[str, object]:
    """Return the run configuration that keeps Dagster's own log off the console, or on it."""
    level = "CRITICAL" if quiet else "INFO"
    return {"loggers": {"console": {"config": {"log_level": level}}}}


def _ignore(sentence: str) -> None:
    del sentence


class Flow:
    """One bringing up to date: what was done and what failed so far, over all its parts."""

    def __init__(
        self,
        project: Project,
        repository: dg.RepositoryDefinition,
        instance: dg.DagsterInstance,
        *,
        on_event: Listener = _ignore,
        tags: Mapping[str, str] | None = None,
        quiet: bool = False,
        names: Names = PLAIN,
    ) -> None:
        """Take what is run and where.

        Args:
            project: The project.
            repository: The repository of its definitions.
            instance: The project's instance.
            on_event: Told in a sentence what starts.
            tags: More tags for every run.
            quiet: Whether to keep Dagster's own log off the console.
            names: What the definitions are called.
        """
        self.run_config = console(quiet=quiet)
        self.project = project
        self.names = names
        self.instance = instance
        self.every = build_steps(project)
        self.repository = repository
        self.job = repository.get_implicit_global_asset_job_def()
        self.on_event = on_event
        first = {**REPOSITORY_TAGS, **process_tags(), REPORTS_TO_TAG: "command line"}
        self.tags = {**first, **(tags or {})}
        self.report = RunReport()
        self.broken: set[str] = set()

    def bring(
        self, steps: list[Step], needed: list[Step] | None = None, *, with_report: bool = False
    ) -> None:
        """Run what is stale of some steps.

        Args:
            steps: What is looked at first.
            needed: What is looked at after damage was found: the steps, and all that they need.
            with_report: Whether to bring the report models up to date afterwards.
        """
        project = self.project
        begin_to_observe(project, self.instance, self.names)
        for attempt in range(MOST_REPAIRS + 1):
            with contextlib.suppress(DamagedError):  # the lake has noted it
                by_phase = sorted(steps, key=lambda step: step.phase)
                for _, group in groupby(by_phase, key=lambda step: step.phase):
                    self.run_phase(list(group), self.every)
                if with_report and not project.lake.damaged and self.report.succeeded:
                    self.run_report()
            if not project.lake.damaged and not retry_deferred(project):
                break
            self.start_over(repair(project), is_last=attempt == MOST_REPAIRS)
            steps = needed or steps

    def can_go_on(self, steps: Iterable[Step]) -> bool:
        """Whether any of the steps does not depend on what failed."""
        broken = set(self.broken)
        for step in steps:
            if broken.intersection(step.deps):
                broken.add(step.asset)
            if step.asset not in broken:
                return True
        return False

    def end(self, where: str) -> RunReport:
        """Call the failure hook, once for all that failed; let Dagster say what is current now."""
        if not self.report.succeeded:
            self._tell(where)
        if self.report.run_ids or self.report.failures:
            self.look()
        return self.report

    def _tell(self, where: str) -> None:
        report = self.report
        runs = [self.instance.get_run_by_id(run_id) for run_id in report.run_ids]
        report.can_pass = any(run is not None and CAN_PASS_TAG in run.tags for run in runs)
        ids = [run.run_id for run in runs if run and run.status == dg.DagsterRunStatus.FAILURE]
        for problem in tell_failure(self.project, report.failures, ids, where):
            self.on_event(problem)

    def look(self) -> None:
        """Note what is stale or was kept, so that the UI need not wait for its next look."""
        with contextlib.suppress(SampleMixError):  # what it would say, the run has said
            look_and_note(self.project, self.instance, self.repository, self.names)

    def start_over(self, repairs: list[str], *, is_last: bool) -> None:
        """Forget what failed for damaged files, which are removed by now; it is tried again."""
        self.report.repairs += repairs
        for sentence in repairs:
            self.on_event(sentence)
        if is_last:
            self.report.failures.append(
                "files of the lake are damaged again and again: look at the disk."
            )
            return
        self.broken.clear()
        self.report.failures.clear()
        self.report.failed_assets.clear()

    def run_phase(self, steps: list[Step], every: list[Step]) -> None:
        """Run a phase's stale steps: one run a partition, and one for the rest."""
        runnable = [step for step in steps if not self.broken.intersection(step.deps)]
        blocked = [step for step in steps if step not in runnable]
        self.broken |= {step.asset for step in blocked}
        plan = self._plan(runnable, every)
        if plan.problems:
            self._note_problems(plan, runnable)
        for tasks in _runs(plan):
            self._run(tasks)
        stages = (stage for step in runnable for stage in step.stages)
        note_what_stands(Recipes(self.project), stages)

    def _note_problems(self, plan: Plan, steps: list[Step]) -> None:
        """A source cannot be listed: the others go on, but nothing is fitted to the whole."""
        for problem in plan.problems.values():
            if problem not in self.report.failures:
                self.report.failures.append(problem)
        recipes = Recipes(self.project)
        for step in steps:
            if step.is_partitioned:
                continue
            try:
                if step.fit is None:
                    self.broken.add(step.asset)
                elif not step.is_given(self.project.config):
                    recipes.fit(step.fit, step.name)
            except NotFittedError:
                self.broken.add(step.asset)

    def _plan(self, steps: list[Step], every: list[Step]) -> Plan:
        names = {step.asset for step in steps}
        return Planner(self.project, every).plan(names)

    def _run(self, tasks: list[Task]) -> None:
        partition = tasks[0].partition
        keys = [self.names.key(task.step.asset) for task in tasks]
        where = f" [{partition}]" if partition else ""
        self.on_event(", ".join(task.step.asset for task in tasks) + where)
        why = "; ".join(dict.fromkeys(task.why for task in tasks))
        result = self.job.execute_in_process(
            instance=self.instance,
            run_config=self.run_config,
            partition_key=partition or None,
            asset_selection=keys,
            tags={**self.tags, WHY_TAG: why[:WHY_CHARACTERS]},
            raise_on_error=False,
        )
        self.report.run_ids.append(result.run_id)
        stop_if_interrupted(result)
        seconds = _seconds(result)
        for task in tasks:
            key = self.names.key(task.step.asset)
            if key in seconds:
                self._note(task, seconds[key])
            else:
                self.broken.add(task.step.asset)
                self.report.failed_assets.add(task.step.asset)
        for asset, failure in _failures(result, self.names):
            self.report.failures.append(f"{asset}{where}: {failure}")
        self._warn(result)
        for asset, failure in _failed_checks(result, self.names):
            self.broken.add(asset)
            self.report.failed_assets.add(asset)
            self.report.failures.append(f"{asset}{where}: {failure}")

    def _warn(self, result: dg.ExecuteInProcessResult) -> None:
        for asset, words in _failed_checks(result, self.names, dg.AssetCheckSeverity.WARN):
            self._add_warning("check", asset, words)
        for asset, words in _lost_workers(result, self.names):
            self._add_warning("workers", asset, words)

    def _add_warning(self, kind: str, asset: str, words: str) -> None:
        warning = {"kind": kind, "where": asset, "words": words}
        if warning not in self.report.warnings:
            self.report.warnings.append(warning)

    def _note(self, task: Task, seconds: float) -> None:
        for entry in self.report.done:
            if entry["asset"] == task.step.asset:
                entry["num_shards"] += task.num_shards
                entry["num_documents"] += task.num_documents
                entry["seconds"] = round(entry["seconds"] + seconds, 3)
                if task.why not in entry["why"]:
                    entry["why"] += f"; {task.why}"
                return
        self.report.done.append(
            {
                "stage": task.step.group,
                "asset": task.step.asset,
                "num_shards": task.num_shards,
                "num_documents": task.num_documents,
                "why": task.why,
                "seconds": round(seconds, 3),
            }
        )

    def run_report(self) -> None:
        """Bring the dbt models up to date when a mixture or the corpus has changed."""
        if not report_reason(self.project.lake):
            return
        self.on_event("report")
        began = time.perf_counter()
        result = self.job.execute_in_process(
            instance=self.instance,
            run_config=self.run_config,
            asset_selection=[self.names.key(model) for model in report_models()],
            tags={**self.tags, WHY_TAG: _REPORT_WHY},
            raise_on_error=False,
        )
        self.report.run_ids.append(result.run_id)
        stop_if_interrupted(result)
        self._warn(result)
        found = [*_failures(result, self.names), *_failed_checks(result, self.names)]
        self.report.failures += [f"report: {failure}" for _, failure in found]
        if result.success:
            self.report.done.append(
                {
                    "stage": "report",
                    "asset": "report",
                    "num_shards": 0,
                    "num_documents": 0,
                    "why": _REPORT_WHY,
                    "seconds": round(time.perf_counter() - began, 3),
                }
            )


def _runs(plan: Plan) -> Iterator[list[Task]]:
    """Yield tasks that go in one run: those of one partition, in the order of the steps."""
    partitions = dict.fromkeys(task.partition for task in plan.tasks)
    for partition in partitions:
        yield [task for task in plan.tasks if task.partition == partition]


def _seconds(result: dg.ExecuteInProcessResult) -> dict[dg.AssetKey, float]:
    found: dict[dg.AssetKey, float] = {}
    for event in result.get_asset_materialization_events():
        materialization = event.step_materialization_data.materialization
        value = materialization.metadata.get("seconds")
        found[materialization.asset_key] = float(value.value) if value is not None else 0.0  # type: ignore[arg-type]
    return found


def _lost_workers(result: dg.ExecuteInProcessResult, names: Names) -> Iterator[tuple[str, str]]:
    """Yield (asset, sentence) for each that lost workers and made up for it."""
    for event in result.get_asset_materialization_events():
        materialization = event.step_materialization_data.materialization
        found = materialization.metadata.get(LOST)
        if found is not None:
            where = f" [{materialization.partition}]" if materialization.partition else ""
            yield names.asset(materialization.asset_key) + where, str(found.value)


def stop_if_interrupted(result: dg.ExecuteInProcessResult | dg.JobExecutionResult) -> None:
    """Stop everything when somebody stopped this run: Dagster takes the signal for a failure.

    Raises:
        KeyboardInterrupt: A step was interrupted.
    """
    for event in result.get_step_failure_events():
        error = event.step_failure_data.error
        names = {error.cls_name, error.cause.cls_name if error.cause else None} if error else set()
        if names & {"DagsterExecutionInterruptedError", "KeyboardInterrupt"}:
            raise KeyboardInterrupt


def _failures(result: dg.ExecuteInProcessResult, names: Names) -> list[tuple[str, str]]:
    """Return (asset, sentence) of each step that failed by itself, not by a check of its own."""
    return [
        (names.asset_of_step(event.step_key), failure_sentence(event.step_failure_data.error))
        for event in result.get_step_failure_events()
        if not is_failed_check(event.step_failure_data.error)
    ]


def is_failed_check(error: Any) -> bool:
    """Whether a step's error only says that a blocking check did not hold."""
    return error is not None and error.cls_name == "DagsterAssetCheckFailedError"


def failure_sentence(error: Any, default: str = "failed") -> str:
    """Return what a person is told of a step's error: the message, without the class's name."""
    cause = error.cause if error and error.cause else error
    text = cause.message.strip() if cause else default
    # "module.ClassName: message": people want the message.
    head, _, rest = text.partition(": ")
    return rest if rest and " " not in head else text


def _failed_checks(
    result: dg.ExecuteInProcessResult,
    names: Names,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> list[tuple[str, str]]:
    """Return (asset, sentence) of each check of a kind that did not hold, a sentence once.

    Checks of severity ``ERROR`` block; others warn.
    """
    found = [
        (
            names.asset(evaluation.asset_key),
            evaluation.description or f"the check {evaluation.check_name} did not hold",
        )
        for evaluation in result.get_asset_check_evaluations()
        if not evaluation.passed
        and evaluation.severity == severity
        and evaluation.check_name != REJECTED_CHECK  # losses tell that, whoever runs
    ]
    return list(dict.fromkeys(found))
