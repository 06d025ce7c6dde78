"""Dagster calls unsynced what the plan calls stale: no more, no less, after any change."""

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from samplemix_dagster.definitions import build_defs
from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.stages.stepping.steps import build_steps
from samplemix_dagster.wiring.automation import staleness
from samplemix_dagster.wiring.automation.staleness import Seen, look_and_note
from samplemix_dagster.wiring.names import PLAIN
from samplemix_dagster.wiring.running.resources import ProjectResource, ProjectS3
from tests.engine.changes import CHANGES, add_a_shard, settings_changed, turn_a_dial
from tests.engine.runs import run_stale, version
from tests.projects import copy_project, finished_project, needs_encoder, open_project

pytestmark = needs_encoder
States = set[tuple[str, str]]
"""Assets, each with its partition or nothing."""


class Watched:
    """A finished project whose instance has looked at it once."""

    def __init__(self, root: Path, instance: dg.DagsterInstance) -> None:
        self.root, self.instance = root, instance
        project = open_project(root)
        self.config = project.config
        self.repository = build_defs(project, with_report=False).get_repository_def()
        self.look()

    def look(self) -> Seen:
        return look_and_note(open_project(self.root), self.instance, self.repository)

    def tick(self, cursor: str | None) -> Any:
        """Evaluate the sensor that looks, in the process that holds the definitions."""
        resource = ProjectResource(
            config_file=str(self.root / "samplemix.yaml"), s3=ProjectS3.of(self.config.s3)
        )
        with dg.build_sensor_context(
            instance=self.instance,
            repository_def=self.repository,
            cursor=cursor,
            resources={"project": resource},
        ) as context:
            return self.repository.get_sensor_def("observe_inputs").evaluate_tick(context)

    def run(self) -> None:
        report = run_stale(
            open_project(self.root), self.repository, self.instance, with_report=False, quiet=True
        )
        assert report.succeeded, report.failures

    def planned(self) -> States:
        tasks = Planner(open_project(self.root)).plan().tasks
        return {(task.step.asset, task.partition) for task in tasks}

    def unsynced(self) -> States:
        """What the resolver behind Dagster's GraphQL calls stale or missing."""
        ask = CachingStaleStatusResolver(
            self.instance, self.repository.asset_graph, LoadingContextForTest(self.instance)
        )
        project = open_project(self.root)
        return {
            (step.asset, partition)
            for step in build_steps(project)
            for partition in (project.partitions if step.is_partitioned else [""])
            if ask.get_status(PLAIN.key(step.asset), partition or None) != StaleStatus.FRESH
        }


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    root = copy_project(finished_project(), tmp_path / "project")
    with dg.DagsterInstance.ephemeral() as instance:
        yield Watched(root, instance)


def test_a_lake_that_another_instance_made_is_in_sync_after_a_look(watched: Watched) -> None:
    assert not watched.planned()
    assert not watched.unsynced()


@pytest.mark.parametrize("change", CHANGES)
def test_after_any_change_both_say_the_same(watched: Watched, change: str) -> None:
    CHANGES[change](watched.root)
    seen = watched.look()
    assert watched.unsynced() == watched.planned()
    assert set(seen.stale) == {asset for asset, _ in watched.planned()}


def test_a_second_look_writes_nothing(watched: Watched) -> None:
    add_a_shard(watched.root)
    assert watched.look().num_noted > 0
    assert watched.look().num_noted == 0


def test_what_was_turned_back_is_in_sync_again(watched: Watched) -> None:
    turn_a_dial(watched.root)
    watched.look()
    settings_changed("mixtures", "default", "balance", to={"quality": 1, "diversity": 1})(
        watched.root
    )
    watched.look()
    assert watched.unsynced() == watched.planned()


def test_a_run_leaves_nothing_unsynced_though_frozen_fits_were_kept(watched: Watched) -> None:
    add_a_shard(watched.root)
    watched.look()
    watched.run()
    watched.look()
    assert not watched.planned()
    assert not watched.unsynced()


def test_what_is_noted_again_keeps_the_words_of_its_checks(watched: Watched) -> None:
    add_a_shard(watched.root)
    watched.run()
    mixture, fetch = PLAIN.key("mixture/default"), watched.instance.fetch_materializations
    before = len(fetch(mixture, limit=10).records)
    turn_a_dial(watched.root)
    watched.look()
    settings_changed("mixtures", "default", "balance", to={"quality": 1, "diversity": 1})(
        watched.root
    )
    watched.look()
    made = fetch(mixture, limit=10).records
    assert len(made) == before + 1
    for name in ("ledger_adds_up", "budget_is_met", "is_current"):
        check = dg.AssetCheckKey(mixture, name)
        storage = watched.instance.event_log_storage
        said = storage.get_latest_asset_check_execution_by_key([check])[check].event
        assert said.timestamp >= made[0].timestamp
        assert said.dagster_event.asset_check_evaluation_data.passed


def test_a_model_that_was_replaced_is_seen_within_minutes(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [1000.0]
    monkeypatch.setattr(staleness.time, "time", lambda: now[0])
    cursor = watched.tick(None).cursor
    looks: list[object] = []
    monkeypatch.setattr(staleness, "look_and_note", lambda *given: looks.append(given))
    watched.tick(cursor)
    assert not looks
    now[0] += 600.0
    with contextlib.suppress(AttributeError):  # what stands in for a look saw nothing
        watched.tick(cursor)
    assert looks


def test_a_change_that_was_never_looked_at_is_seen_after_a_run(watched: Watched) -> None:
    turn_a_dial(watched.root)
    watched.run()
    settings_changed("mixtures", "default", "balance", to={"quality": 0.7})(watched.root)
    watched.look()
    assert watched.unsynced() == watched.planned() != set()


def test_the_check_of_a_mixture_says_why_it_is_no_longer_current(watched: Watched) -> None:
    turn_a_dial(watched.root)
    watched.look()
    key = dg.AssetCheckKey(PLAIN.key("mixture/default"), "is_current")
    storage = watched.instance.event_log_storage
    event = storage.get_latest_asset_check_execution_by_key([key])[key].event
    said = event.dagster_event.asset_check_evaluation_data
    assert not said.passed
    made = version(watched.root)[:12]
    words = rf"The published version {made} of \d{{4}}-.* UTC is stale: mixture changed"
    assert re.fullmatch(words, said.description)


def test_words_name_what_is_stale_and_why(watched: Watched) -> None:
    assert watched.look().in_words == "everything is current"
    add_a_shard(watched.root)
    words = watched.look().in_words
    num_stale = len({asset for asset, _ in watched.planned()})
    assert words.startswith(f"{num_stale} of ")
    assert " assets are stale: raw_shards (1 new shard)" in words


def test_a_tick_says_what_is_stale_and_asks_for_no_run(watched: Watched) -> None:
    add_a_shard(watched.root)
    result = watched.tick(None)
    assert not result.run_requests
    assert "raw_shards (1 new shard)" in (result.skip_message or "")
    assert watched.unsynced() == watched.planned() != set()
    assert watched.tick(result.cursor).skip_message == result.skip_message


def test_a_settings_file_that_breaks_a_rule_is_told_by_the_tick(watched: Watched) -> None:
    (watched.root / "samplemix.yaml").write_text("corpus: 3\n", encoding="utf-8")
    result = watched.tick(None)
    assert "corpus" in (result.skip_message or "")
