"""Run what is stale as Dagster runs in this process, phase by phase.

The command line, the jobs and the schedule all come here, so a run looks the same whoever asked:
one run for each partition of a phase and one for what is not partitioned, all in the project's
instance. A partition's failure leaves the others done; what depends on it is not started.
"""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import dagster as dg

from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.stages import NotFittedError
from samplemix_dagster.errors import DamagedError, SampleMixError
from samplemix_dagster.runs.hooks.hooks import tell_failure
from samplemix_dagster.runs.plan.planned import Plan, Task
from samplemix_dagster.runs.work.loop import bring_up_to_date
from samplemix_dagster.stages.stepping.step import Step
from samplemix_dagster.stages.stepping.steps import build_steps
from samplemix_dagster.storage.report.dbt_run import report_models
from samplemix_dagster.storage.report.published import report_reason
from samplemix_dagster.wiring.automation.staleness import begin_to_observe, look_and_note
from samplemix_dagster.wiring.jobs.parts import console
from samplemix_dagster.wiring.jobs.side_by_side import Asked, SideBySide
from samplemix_dagster.wiring.names import PLAIN, Names
from samplemix_dagster.wiring.run_tags import (
    CAN_PASS_TAG,
    REPORTS_TO_TAG,
    REPOSITORY_TAGS,
    WHY_CHARACTERS,
    WHY_TAG,
    process_tags,
)
from samplemix_dagster.wiring.running.resources import adopt_project
from samplemix_dagster.wiring.running.results import (
    Result,
    failed_checks,
    failures_of,
    has_met_damage,
    lost_workers,
    seconds_of,
    stop_if_interrupted,
)
from samplemix_dagster.wiring.running.run_report import RunReport

Listener = Callable[[str], None]
_REPORT_WHY = "what it reports on changed"


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
        side_by_side: SideBySide | None = None,
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
            side_by_side: What runs several partitions of a phase at once; when absent, they run
                in this process, one after the other.
        """
        self.side_by_side = side_by_side
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
        self.with_report = False

    def bring(
        self, steps: list[Step], needed: list[Step] | None = None, *, with_report: bool = False
    ) -> None:
        """Run what is stale of some steps.

        Args:
            steps: What is looked at first.
            needed: What is looked at after damage was found: the steps, and all that they need.
            with_report: Whether to bring the report models up to date afterwards.
        """
        begin_to_observe(self.project, self.instance, self.names)
        self.with_report = with_report
        bring_up_to_date(self.project, steps, self, every=self.every, needed=needed)

    def cannot_read(self, problems: Mapping[str, str], steps: Sequence[Step]) -> None:
        """Note it: the other sources go on, but nothing is fitted to the whole."""
        for problem in problems.values():
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

    def make(self, plan: Plan) -> None:
        """Run what is stale of a phase: one run a partition, and one for the rest."""
        for tasks in self._left_over(list(_runs(plan))):
            self._take(tasks, self._execute(tasks))

    def when_through(self) -> None:
        """Bring the report up to date, where that is asked for and all else went well."""
        if self.with_report and self.report.succeeded:
            self.run_report()

    def start_over(self, repairs: Sequence[str]) -> None:
        """Forget what failed for damaged files, which are removed by now; it is tried again."""
        self._note_repairs(repairs)
        self.broken.clear()
        self.report.failures.clear()
        self.report.failed_assets.clear()

    def give_up(self, repairs: Sequence[str], error: DamagedError | None) -> None:
        """Note that damage comes back."""
        del error  # the failures tell of it
        self._note_repairs(repairs)
        self.report.failures.append(
            "files of the lake are damaged again and again: look at the disk."
        )

    def _note_repairs(self, repairs: Sequence[str]) -> None:
        self.report.repairs += repairs
        for sentence in repairs:
            self.on_event(sentence)

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

    def _left_over(self, runs: list[list[Task]]) -> list[list[Task]]:
        """Run those of several partitions side by side, where that can be; return the others.

        What met damage in another process is among them: it is noted where it is met.
        """
        cut = [tasks for tasks in runs if tasks[0].partition]
        if self.side_by_side is None or len(cut) < 2:
            return runs
        for tasks in cut:
            self._say(tasks)
        asked = [Asked(tasks[0].partition, _assets(tasks), _why(tasks)) for tasks in cut]
        answered = self.side_by_side.run(asked, self.tags)
        adopt_project(self.project)  # Dagster has read the definitions again, to hand them on
        self.project.refresh()
        self.report.run_ids.append(answered.run_id)
        again = []
        for tasks, part in zip(cut, answered.parts, strict=True):
            if has_met_damage(part.result):
                again.append(tasks)
            else:
                self._take(tasks, part.result, part.lost)
        return [*again, *(tasks for tasks in runs if tasks not in cut)]

    def _say(self, tasks: list[Task]) -> None:
        self.on_event(", ".join(_assets(tasks)) + _where(tasks))

    def _execute(self, tasks: list[Task]) -> Result:
        self._say(tasks)
        return self.job.execute_in_process(
            instance=self.instance,
            run_config=self.run_config,
            partition_key=tasks[0].partition or None,
            asset_selection=[self.names.key(asset) for asset in _assets(tasks)],
            tags={**self.tags, WHY_TAG: _why(tasks)},
            raise_on_error=False,
        )

    def _take(self, tasks: list[Task], result: Result, lost: str = "") -> None:
        """Note what a run came to; ``lost`` says why its process ended before it did."""
        where = _where(tasks)
        self.report.run_ids.append(result.run_id)
        stop_if_interrupted(result)
        seconds = seconds_of(result)
        for task in tasks:
            key = self.names.key(task.step.asset)
            if key in seconds:
                self.report.note(task, seconds[key])
            else:
                self.broken.add(task.step.asset)
                self.report.failed_assets.add(task.step.asset)
        if lost:
            self.report.failures.append(f"{', '.join(_assets(tasks))}{where}: {lost}")
        for asset, failure in failures_of(result, self.names):
            self.report.failures.append(f"{asset}{where}: {failure}")
        self._warn(result)
        for asset, failure in failed_checks(result, self.names):
            self.broken.add(asset)
            self.report.failed_assets.add(asset)
            self.report.failures.append(f"{asset}{where}: {failure}")

    def _warn(self, result: Result) -> None:
        for asset, words in failed_checks(result, self.names, dg.AssetCheckSeverity.WARN):
            self.report.warn("check", asset, words)
        for asset, words in lost_workers(result, self.names):
            self.report.warn("workers", asset, words)

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
        found = [*failures_of(result, self.names), *failed_checks(result, self.names)]
        self.report.failures += [f"report: {failure}" for _, failure in found]
        if result.success:
            self.report.note_tables(_REPORT_WHY, time.perf_counter() - began)


def _runs(plan: Plan) -> Iterator[list[Task]]:
    """Yield tasks that go in one run: those of one partition, in the order of the steps."""
    partitions = dict.fromkeys(task.partition for task in plan.tasks)
    for partition in partitions:
        yield [task for task in plan.tasks if task.partition == partition]


def _assets(tasks: Iterable[Task]) -> list[str]:
    return [task.step.asset for task in tasks]


def _where(tasks: list[Task]) -> str:
    """Return the partition of a run's tasks, as it stands behind their names."""
    return f" [{tasks[0].partition}]" if tasks[0].partition else ""


def _why(tasks: Iterable[Task]) -> str:
    return "; ".join(dict.fromkeys(task.why for task in tasks))[:WHY_CHARACTERS]
