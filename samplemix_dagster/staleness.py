"""Staleness: what ``samplemix plan`` calls stale is what Dagster calls unsynced.

The planner is the truth, since it sees shards, settings and models. After each look, where the two
differ, one event in Dagster's log makes them agree:

- stale by the plan, in sync by Dagster: a new version, with the reason, of the asset's partition in
  ``inputs/<stage>`` (``assets/inputs.py``);
- current by the plan, never made by Dagster (the lake was made by another instance): it is noted as
  found, with the version that it has;
- current by the plan, unsynced by Dagster: the asset's last materialisation is noted again, with
  the versions that its dependencies have now. That is so after a dial was turned and turned back,
  and for a fit that is kept although its corpus has grown;
- a mixture that is current by both, and was noted before the last night: noted again, since Dagster
  would call it overdue (``freshness.py``).
"""

import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg
from dagster._core.definitions.data_version import (
    CODE_VERSION_TAG,
    DATA_VERSION_IS_USER_PROVIDED_TAG,
    DATA_VERSION_TAG,
    NULL_EVENT_POINTER,
    CachingStaleStatusResolver,
    StaleStatus,
    extract_data_provenance_from_entry,
    get_input_data_version_tag,
    get_input_event_pointer_tag,
)
from dagster._core.loader import LoadingContext

from samplemix_dagster import __version__
from samplemix_dagster.assets.inputs import inputs_key, inputs_partition
from samplemix_dagster.checks import IS_CURRENT_CHECK
from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.engine.flow import Step, build_steps
from samplemix_dagster.engine.plan import Planner
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.recipes import Recipes
from samplemix_dagster.engine.standing import standing
from samplemix_dagster.engine.stated_versions import stated_version
from samplemix_dagster.errors import InputError, SampleMixError
from samplemix_dagster.freshness import longest_wait
from samplemix_dagster.names import PLAIN, Names
from samplemix_dagster.reaping import reap_dead_runs
from samplemix_dagster.resources import ProjectResource

LOOK_SENSOR = "observe_inputs"
_LEAST_SECONDS, _MOST_SECONDS = 30, 600
_MOST_NAMED = 4
_RUNS_LOOKED_AT = 20
_CURSOR_CHARACTERS = 2000
_JUST_NOTED_SECONDS = 60
_AS_IT_WAS = "what it was made from is as it was"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a look found, and what it had to note."""

    stale: Mapping[str, str]
    """Why each stale asset is stale, in the order of the flow."""
    num_assets: int
    num_noted: int
    """Events that were written, so that Dagster says the same."""
    problems: Mapping[str, str]
    """Why a partition's files cannot be listed."""
    is_known: bool
    """Whether every asset of the configuration is among Dagster's definitions."""

    @property
    def in_words(self) -> str:
        """What a person reads of a look."""
        words = [f"{where}: {problem}" for where, problem in self.problems.items()]
        if not self.is_known:
            words.append("samplemix.yaml has other assets than are shown: reload this location")
        if self.stale:
            named = [f"{asset} ({why})" for asset, why in self.stale.items()]
            more = "" if len(named) <= _MOST_NAMED else f" and {len(named) - _MOST_NAMED} more"
            list_ = ", ".join(named[:_MOST_NAMED])
            words.append(f"{len(named)} of {self.num_assets} assets are stale: {list_}{more}")
        return "; ".join(words) or "everything is current"


def look_and_note(
    project: Project,
    instance: dg.DagsterInstance,
    repository: dg.RepositoryDefinition,
    names: Names = PLAIN,
    *,
    is_night: bool = False,
) -> Seen:
    """Compare the plan with what Dagster says, and make Dagster say what the plan says.

    Args:
        project: The project as its configuration is now.
        instance: The instance whose log is read and written.
        repository: The definitions that the instance's pages show.
        names: What the project's definitions are called there.
        is_night: Whether current mixtures are noted whatever their age: the next look that is sure
            to come is a whole night's period away.
    """
    project.refresh()
    planner = Planner(project, counts=False)
    plan = planner.plan()
    stale = {(task.step.asset, task.partition): task.why for task in plan.tasks}
    mirror = _Mirror(instance, repository, project, names)
    for step in planner.steps:
        if not mirror.knows(step):
            continue
        for partition in project.partitions if step.is_partitioned else [""]:
            if partition not in plan.problems:
                why = stale.get((step.asset, partition))
                mirror.agree(step, partition, why)
                if step.group == "mixture":
                    mirror.say_how_it_stands(step, why, {asset for asset, _ in stale})
                    if why is None:
                        mirror.note_seen(step, is_night=is_night)
    return Seen(
        stale={entry["asset"]: entry["why"] for entry in plan.by_asset()},
        num_assets=len(planner.steps),
        num_noted=mirror.num_noted,
        problems=plan.problems,
        is_known=all(mirror.knows(step) for step in planner.steps),
    )


def observe(context: dg.OpExecutionContext, project: ProjectResource, names: Names) -> None:
    """Look because a person asked, and say what was seen."""
    seen = look_and_note(project.open_anew(), context.instance, context.repository_def, names)
    context.log.info("%s", seen.in_words)


def build_look(project: Project, names: Names) -> dg.SensorDefinition:
    """Return the sensor that looks by itself: it is on from the start, and starts no run."""

    def observe_inputs(
        context: dg.SensorEvaluationContext, project: ProjectResource
    ) -> dg.SensorResult:
        return _tick(context, project, names)

    return dg.sensor(
        name=names.of(LOOK_SENSOR),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=max(_LEAST_SECONDS, project.config.sensor.interval),
        description=(
            "Looks at samplemix.yaml, at the files of the sources and at the lake, and notes which "
            "assets are stale and why, so that these pages say what `samplemix plan` says. It "
            "starts no run."
        ),
    )(names.hand_project(observe_inputs))


def _tick(
    context: dg.SensorEvaluationContext, resource: ProjectResource, names: Names
) -> dg.SensorResult:
    """Look, unless nothing has moved since the last look a few minutes ago."""
    assert context.repository_def is not None  # noqa: S101  a sensor's context has one
    reap_dead_runs(context.instance)  # others wait for what a dead run holds
    try:
        project = resource.open_anew()
        moved = _what_is_seen(project, context.instance)
        before, _, words = (context.cursor or "").partition(" ")
        if before != moved or not words:
            seen = look_and_note(project, context.instance, context.repository_def, names)
            words = seen.in_words
            # What was just noted is no news to the next tick.
            moved = _what_is_seen(project, context.instance)
    except SampleMixError as error:
        return dg.SensorResult(skip_reason=str(error), cursor="")
    return dg.SensorResult(skip_reason=words, cursor=f"{moved} {words}"[:_CURSOR_CHARACTERS])


def _what_is_seen(project: Project, instance: dg.DagsterInstance) -> str:
    """Return a digest of what mostly moves, for the price of listing files.

    What else a plan sees (a model's files, a table that somebody removed) is looked at when the
    next ten minutes begin.
    """
    project.refresh()
    return fingerprint(
        {
            "code": __version__,
            "moment": int(time.time() // _MOST_SECONDS),
            "settings": project.config.model_dump(mode="json"),
            "files": {name: _listed(project, name) for name in project.partitions},
            "runs": [
                [run.run_id, run.status.value] for run in instance.get_runs(limit=_RUNS_LOOKED_AT)
            ],
        }
    )


def _listed(project: Project, partition: str) -> Any:
    try:
        return project.scan(partition).to_json()
    except InputError as error:
        return str(error)


def begin_to_observe(project: Project, instance: dg.DagsterInstance, names: Names = PLAIN) -> None:
    """Give each stage's inputs a first version, where they have none.

    What is materialised afterwards notes up to which event it knew them.
    """
    first: dict[str, Step] = {}
    for step in build_steps(project):
        first.setdefault(step.group, step)
    for group, step in first.items():
        key = inputs_key(group, names)
        if instance.get_latest_data_version_record(key, is_source=True) is None:
            partition = project.partitions[0] if step.is_partitioned else ""
            _observe(instance, step, partition, "at first", "", names)


def _observe(
    instance: dg.DagsterInstance,
    step: Step,
    partition: str,
    version: str,
    why: str,
    names: Names,
) -> None:
    instance.report_runless_asset_event(
        dg.AssetObservation(
            inputs_key(step.group, names),
            partition=inputs_partition(step.asset, partition),
            metadata={"asset": step.asset, "why": why or "it is current"},
            tags={DATA_VERSION_TAG: version},
        )
    )


class _Loading(LoadingContext):
    """What Dagster reads records through, for the length of one look."""

    def __init__(self, instance: dg.DagsterInstance) -> None:
        self._instance = instance
        self._loaders: dict[Any, Any] = {}

    @property
    def instance(self) -> dg.DagsterInstance:
        return self._instance

    @property
    def loaders(self) -> dict[Any, Any]:
        return self._loaders


class _Mirror:
    """Writes what is missing in Dagster's log."""

    def __init__(
        self,
        instance: dg.DagsterInstance,
        repository: dg.RepositoryDefinition,
        project: Project,
        names: Names,
    ) -> None:
        self.instance = instance
        self.graph = repository.asset_graph
        self.names = names
        self.project, self.recipes = project, Recipes(project)
        self.wait = longest_wait(project)
        self.partitions = set(project.partitions)
        self.num_noted = 0
        self._ask = self._resolver()

    def _resolver(self) -> CachingStaleStatusResolver:
        return CachingStaleStatusResolver(self.instance, self.graph, _Loading(self.instance))

    def knows(self, step: Step) -> bool:
        """Whether Dagster's definitions have an asset, with all partitions of the project."""
        if not self.graph.has(self.names.key(step.asset)):
            return False
        cut = self.graph.get(self.names.key(step.asset)).partitions_def
        return not step.is_partitioned or (
            cut is not None and self.partitions <= {*cut.get_partition_keys()}
        )

    def agree(self, step: Step, partition: str, why: str | None) -> None:
        """Make Dagster say of an asset what the plan says."""
        key = self.names.key(step.asset)
        status = self._ask.get_status(key, partition or None)
        if status == StaleStatus.MISSING:
            if why is None:
                self._note_found(step, partition)
            return
        if why is None and status == StaleStatus.STALE:
            self._note_again(step, partition)
        elif why is not None and status == StaleStatus.FRESH:
            if not self._looks_at_inputs(step, partition):
                self._observe(step, partition, "as it was made", "")
                self._note_again(step, partition)
            self._observe(step, partition, self._mark(step, partition, why), why)

    def say_how_it_stands(self, step: Step, why: str | None, stale: Collection[str]) -> None:
        """Let the check ``is_current`` say what the plan says, once for each change."""
        words = standing(self.project, step.name, why, stale) or None
        check = dg.AssetCheckKey(self.names.key(step.asset), IS_CURRENT_CHECK)
        said = self._said(check)
        if said is not None and (said.passed, said.description) == (why is None, words):
            return
        if said is None and words is None:
            return
        self.num_noted += 1
        self.instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=check.asset_key,
                check_name=IS_CURRENT_CHECK,
                passed=why is None,
                severity=dg.AssetCheckSeverity.WARN,
                description=words,
                metadata={},
            )
        )

    def note_seen(self, step: Step, *, is_night: bool) -> None:
        """Note that a mixture was found current, before Dagster calls it overdue."""
        last = self._last(step, "")
        if self.wait is None or last is None:
            return
        age = time.time() - last.timestamp
        if age >= (_JUST_NOTED_SECONDS if is_night else self.wait.total_seconds()):
            self._note_again(step, "", "it was looked at and found current")

    def _last(self, step: Step, partition: str) -> Any:
        """Return the event of an asset's last materialisation."""
        return self.instance.get_latest_data_version_record(
            self.names.key(step.asset), is_source=False, partition_key=partition or None
        )

    def _looks_at_inputs(self, step: Step, partition: str) -> bool:
        """Whether a materialisation noted up to which event it knew what it stands on."""
        found = extract_data_provenance_from_entry(self._last(step, partition).event_log_entry)
        key = inputs_key(step.group, self.names)
        return found is not None and found.input_storage_ids.get(key) is not None

    def _mark(self, step: Step, partition: str, why: str) -> str:
        """Return a version that the partition never had: of one materialisation, for one reason."""
        made = self._last(step, partition).storage_id
        return f"stale-{fingerprint({'why': why, 'made': made})[:12]}"

    def _observe(self, step: Step, partition: str, version: str, why: str) -> None:
        self.num_noted += 1
        _observe(self.instance, step, partition, version, why, self.names)

    def _note_again(self, step: Step, partition: str, why: str = _AS_IT_WAS) -> None:
        """Note that what was made stands, beside the versions that its dependencies have now."""
        last = self._last(step, partition).event_log_entry.asset_materialization
        words = {"noted_again": why}
        self._note(step, partition, last.tags[DATA_VERSION_TAG], {**last.metadata, **words})
        self._check_again(self.names.key(step.asset))

    def _note_found(self, step: Step, partition: str) -> None:
        """Note what stands in the lake and was not made through this instance."""
        version = stated_version(self.recipes, step, partition)
        if version is not None:
            self._observe(step, partition, "as it was found", "")
            self._note(step, partition, version, {"why": "found in the lake"})

    def _note(self, step: Step, partition: str, version: str, metadata: Mapping[str, Any]) -> None:
        self.num_noted += 1
        key = self.names.key(step.asset)
        tags = {
            DATA_VERSION_TAG: version,
            DATA_VERSION_IS_USER_PROVIDED_TAG: "true",
            CODE_VERSION_TAG: self.graph.get(key).code_version or "",
        }
        fresh = self._resolver()  # one that has not looked before
        for dep in self.graph.get(key).parent_keys:
            is_cut = self.graph.get(dep).is_partitioned
            seen = "by partition" if is_cut else fresh.get_current_data_version(dep).value
            tags[get_input_data_version_tag(dep)] = seen
            tags[get_input_event_pointer_tag(dep)] = self._newest(dep)
        self.instance.report_runless_asset_event(
            dg.AssetMaterialization(
                key, partition=partition or None, metadata=dict(metadata), tags=tags
            )
        )

    def _newest(self, key: dg.AssetKey) -> str:
        record = self.instance.get_latest_data_version_record(
            key, is_source=self.graph.get(key).is_external
        )
        return NULL_EVENT_POINTER if record is None else str(record.storage_id)

    def _check_again(self, key: dg.AssetKey) -> None:
        """Say again what the checks said: to Dagster they are of the materialisation before."""
        checks = [check for check in self.graph.asset_check_keys if check.asset_key == key]
        for check in checks:
            said = self._said(check)
            if said is not None and said.partition is None:
                self.instance.report_runless_asset_event(
                    dg.AssetCheckEvaluation(
                        asset_key=key,
                        check_name=check.name,
                        passed=said.passed,
                        severity=said.severity,
                        description=said.description,
                        metadata=dict(said.metadata),
                    )
                )

    def _said(self, check: dg.AssetCheckKey) -> dg.AssetCheckEvaluation | None:
        """Return what a check said last."""
        records = self.instance.event_log_storage.get_latest_asset_check_execution_by_key([check])
        event = records[check].event if check in records else None
        return event.dagster_event.asset_check_evaluation_data if event else None
