"""What writes into Dagster's log where it says another thing than the plan (``staleness.py``)."""

import time
from collections.abc import Collection, Mapping
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

from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.project import Project
from samplemix_dagster.runs.plan.stated_versions import stated_version
from samplemix_dagster.runs.standing.standing import standing
from samplemix_dagster.stages.stepping.step import Step
from samplemix_dagster.wiring.assets.inputs import inputs_key, inputs_partition
from samplemix_dagster.wiring.automation.freshness import longest_wait
from samplemix_dagster.wiring.checks.versions import IS_CURRENT_CHECK
from samplemix_dagster.wiring.names import Names

_JUST_NOTED_SECONDS = 60
_AS_IT_WAS = "what it was made from is as it was"


def observe_inputs_of(
    instance: dg.DagsterInstance,
    step: Step,
    partition: str,
    version: str,
    why: str,
    names: Names,
) -> None:
    """Note a version of an asset's partition of the inputs, with the reason why it is stale."""
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


class Mirror:
    """Writes what is missing in Dagster's log."""

    def __init__(
        self,
        instance: dg.DagsterInstance,
        repository: dg.RepositoryDefinition,
        project: Project,
        names: Names,
    ) -> None:
        """Take what ``staleness.look_and_note`` is given."""
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

    def leave_open(self, step: Step, problems: str) -> None:
        """Say of a mixture that nobody can tell, where a source cannot be listed."""
        if step.is_published:
            self.say_how_it_stands(step, None, (), problems)

    def say_how_it_stands(
        self, step: Step, why: str | None, stale: Collection[str], unknown: str = ""
    ) -> None:
        """Let the check ``is_current`` say what the plan says, once for each change."""
        told = standing(self.project, step.name, why, stale, unknown)
        words = told.replace("*", r"\*") or None  # the page takes it for Markdown
        passed = why is None and not unknown
        check = dg.AssetCheckKey(self.names.key(step.asset), IS_CURRENT_CHECK)
        said = self._said(check)
        if said is not None and (said.passed, said.description) == (passed, words):
            return
        self.num_noted += 1
        self.instance.report_runless_asset_event(
            dg.AssetCheckEvaluation(
                asset_key=check.asset_key,
                check_name=IS_CURRENT_CHECK,
                passed=passed,
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
        observe_inputs_of(self.instance, step, partition, version, why, self.names)

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
        """Return what a check said last; None where its step failed before it could be made."""
        records = self.instance.event_log_storage.get_latest_asset_check_execution_by_key([check])
        event = records[check].event if check in records else None
        said = None if event is None else event.dagster_event
        if said is None or said.event_type != dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            return None
        return said.asset_check_evaluation_data
