"""Automation: what runs by itself after a change, in which order, and how often."""

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from samplemix_dagster.definitions import build_defs
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.shards.working.maps import data_version
from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.stages.stepping.steps import build_steps
from samplemix_dagster.wiring.names import PLAIN
from samplemix_dagster.wiring.run_tags import FILES_TAG
from tests.engine.changes import rewrite_one_document
from tests.engine.runs import version
from tests.projects import (
    copy_project,
    finished_project,
    needs_encoder,
    open_project,
    shard_rows,
    write_shard,
)

pytestmark = needs_encoder
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
Requested = dict[str, set[str | None]]
"""Partitions that a tick asks for, by asset; an asset without partitions has the partition None."""


class Automation:
    """A project whose automation is evaluated tick by tick, in an instance of its own."""

    def __init__(self, root: Path, instance: dg.DagsterInstance) -> None:
        self.root = root
        self.instance = instance
        self.project = open_project(root)
        self.definitions = build_defs(self.project, with_report=False)
        self.cursor = None

    def materialize(self, asset: str, version_: str, partition: str | None = None) -> None:
        """Record that an asset was made with a data version, without a run."""
        self.instance.report_runless_asset_event(
            dg.AssetMaterialization(
                asset_key=PLAIN.key(asset),
                partition=partition,
                tags={"dagster/data_version": version_},
            )
        )

    def record_everything(self) -> None:
        """Record every asset at the version that the finished lake has."""
        recipes = Recipes(self.project)
        for step in build_steps(self.project):
            for partition in self.project.partitions if step.is_partitioned else [None]:
                made = data_version(recipes, step.stages, partition) if partition else "1"
                self.materialize(step.asset, made, partition)

    def tick(self) -> Requested:
        """Evaluate every condition once."""
        found = dg.evaluate_automation_conditions(
            defs=self.definitions, instance=self.instance, cursor=self.cursor
        )
        self.cursor = found.cursor
        requested: Requested = defaultdict(set)
        for result in found.results:
            subset = result.true_subset
            if subset.is_empty:
                continue
            keys = subset.expensively_compute_asset_partitions()
            for one in keys:
                requested["/".join(one.asset_key.path)].add(one.partition_key)
        return dict(requested)

    def execute(self, requested: Requested) -> list[str | None]:
        """Run what was asked for, one run a partition; return the partitions of the runs."""
        runs: dict[str | None, list[dg.AssetKey]] = defaultdict(list)
        for asset, partitions in requested.items():
            for partition in partitions:
                runs[partition].append(PLAIN.key(asset))
        job = self.definitions.resolve_implicit_global_asset_job_def()
        for partition, keys in runs.items():
            self.project.refresh()
            result = job.execute_in_process(
                instance=self.instance,
                partition_key=partition,
                asset_selection=keys,
                run_config=QUIET,
            )
            assert result.success
        return list(runs)


@pytest.fixture
def automation(tmp_path: Path) -> Iterator[Automation]:
    root = copy_project(finished_project(), tmp_path / "project")
    with dg.instance_for_test() as instance:
        found = Automation(root, instance)
        found.record_everything()
        found.tick()  # a first evaluation asks for nothing: it is where changes are counted from
        assert found.tick() == {}
        yield found


def test_the_same_version_made_again_asks_for_nothing(automation: Automation) -> None:
    automation.record_everything()
    assert automation.tick() == {}


def test_a_changed_partition_asks_for_itself_and_for_what_reads_all(automation: Automation) -> None:
    automation.materialize("raw_shards", "other", "news")
    requested = automation.tick()
    assert requested["perplexity"] == {"news"}
    assert requested["embeddings"] == {"news"}
    assert requested["corpus"] == {None}
    partitions = {p for found in requested.values() for p in found}
    assert partitions == {"news", None}


def test_an_asset_waits_until_everything_upstream_is_done(automation: Automation) -> None:
    automation.materialize("raw_shards", "other", "news")
    requested = automation.tick()
    # Each of them reads raw_shards, and also something that is yet to be made from it.
    for early in ("token_counts", "clusters", "topics", "export/default", "beta_parameters"):
        assert early not in requested, early


def test_a_new_reference_asks_for_every_partition_of_perplexity_and_not_for_diversity(
    automation: Automation,
) -> None:
    automation.materialize("reference_model/main", "other")
    requested = automation.tick()
    assert requested["perplexity"] == {"news", "web", "letters"}
    assert not {"embeddings", "cluster_diversity", "raw_shards"} & set(requested)


def test_many_changed_shards_are_one_run_a_partition_and_lead_to_a_published_version(
    automation: Automation,
) -> None:
    root, project = automation.root, automation.project
    before = version(root)
    rewrite_one_document(root)
    for number in range(3, 6):
        write_shard(root, "news", number, shard_rows("news", number, 2))
    runs = automation.execute({"raw_shards": {"news"}})
    made: dict[tuple[str, str | None], int] = defaultdict(int)
    while requested := automation.tick():
        for asset, partitions in requested.items():
            for partition in partitions:
                made[asset, partition] += 1
        runs += automation.execute(requested)
    assert version(root) != before
    assert set(made.values()) == {1}, dict(made)
    assert {("mixture/default", None), ("export/default", None)} <= set(made)
    assert ("perplexity", "web") not in made
    assert len(runs) < 25
    project.refresh()
    assert Planner(project).plan().is_empty


def test_what_is_downstream_of_a_failed_check_waits_and_the_last_version_stays(
    automation: Automation,
) -> None:
    before = version(automation.root)
    lake = automation.project.lake
    key = f"mixtures/default/{before}"
    ledger = min(lake.read_json(f"{key}/manifest.json")["ledger"])
    lake.path(f"{key}/{ledger}").unlink()
    job = automation.definitions.resolve_implicit_global_asset_job_def()
    result = job.execute_in_process(
        instance=automation.instance,
        asset_selection=[PLAIN.key("mixture/default")],
        run_config=QUIET,
        raise_on_error=False,
    )
    assert not result.success
    assert automation.tick() == {}
    assert version(automation.root) == before


def test_every_asset_has_a_condition_and_the_sensor_that_evaluates_it_is_off_at_first(
    tmp_path: Path,
) -> None:
    project: Project = open_project(copy_project(finished_project(), tmp_path / "project"))
    definitions = build_defs(project, with_report=False)
    repository = definitions.get_repository_def()
    made = repository.asset_graph.materializable_asset_keys
    specs = {spec.key: spec for spec in definitions.resolve_all_asset_specs()}
    assert all(specs[key].automation_condition for key in made)
    looked_at = specs.keys() - made
    assert {key.path[0] for key in looked_at} == {"inputs"}
    assert not any(specs[key].automation_condition for key in looked_at)
    kinds = [sensor.sensor_type.value for sensor in repository.sensor_defs]
    assert kinds.count("AUTO_MATERIALIZE") == 1
    sensor = repository.get_sensor_def("follow_changes")
    assert sensor.default_status == dg.DefaultSensorStatus.STOPPED
    assert sensor.run_tags[FILES_TAG] == "settled"
