"""Nights: what a tick leads to, and what a person finds in the morning.

Ticks are evaluated as Dagster's daemon evaluates them, and the runs that they ask for are run.
"""

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.reconstruct import ReconstructableRepository

from samplemix_dagster.cli.session import _instance
from samplemix_dagster.definitions import build_defs
from samplemix_dagster.engine.watching import looking
from samplemix_dagster.wiring.names import PLAIN
from samplemix_dagster.wiring.run_tags import ASKED_BY_TAG, WHY_TAG
from samplemix_dagster.wiring.running import resources
from tests.engine.changes import add_a_shard, settings_changed, turn_a_dial
from tests.engine.runs import ledgers, manifest, rows, version
from tests.engine.test_publishing import lose_a_document
from tests.projects import (
    SHARD_DOCUMENTS,
    copy_project,
    finished_project,
    needs_encoder,
    open_project,
)

_LOCATION = """
from samplemix_dagster.definitions import build_defs

defs = build_defs(config={config!r}, with_report=False)
"""
pytestmark = [needs_encoder, pytest.mark.slow]


class House:
    """A project left alone, with the Dagster of its own: the test moves the clock."""

    def __init__(self, root: Path, instance: dg.DagsterInstance, clock: list[float]) -> None:
        self.root, self.instance, self.clock = root, instance, clock
        self.definitions = build_defs(open_project(root), with_report=False)
        self.repository = self.definitions.get_repository_def()
        self.cursor: str | None = None
        self.night = 1

    def _given(self) -> dict[str, Any]:
        resources = {"project": (self.definitions.resources or {})["project"]}
        return {
            "instance": self.instance,
            "repository_def": self.repository,
            "resources": resources,
        }

    def notice(self) -> Any:
        """A tick of the sensor of shards, a minute after the last."""
        self.clock[0] += 60.0
        with dg.build_sensor_context(cursor=self.cursor, **self._given()) as context:
            found = self.repository.get_sensor_def("new_shards").evaluate_tick(context)
        self.cursor = found.cursor
        return found

    def nightly(self) -> Any:
        """A tick of the schedule, a day after the last."""
        self.clock[0] += 60.0
        moment = dt.datetime(2026, 1, self.night, 2, tzinfo=dt.UTC)
        self.night += 1
        with dg.build_schedule_context(scheduled_execution_time=moment, **self._given()) as context:
            return self.repository.get_schedule_def("nightly").evaluate_tick(context)

    def launch(self, tick: Any) -> Any:
        """Run what a tick asks for, as a location loads it."""
        (request,) = tick.run_requests
        place = self.root / "location.py"
        place.write_text(_LOCATION.format(config=str(self.root / "samplemix.yaml")))
        found = ReconstructableRepository.for_file(str(place), "defs", str(self.root))
        return dg.execute_job(
            found.get_reconstructable_job("publish"),
            instance=self.instance,
            run_config=request.run_config,
            tags=dict(request.tags),
        )

    def said(self, mixture: str = "default") -> tuple[bool, str]:
        """What the check of a mixture says on its page."""
        check = dg.AssetCheckKey(PLAIN.key(f"mixture/{mixture}"), "is_current")
        found = self.instance.event_log_storage.get_latest_asset_check_execution_by_key([check])
        said = found[check].event.dagster_event.asset_check_evaluation_data
        return said.passed, said.description or ""

    def num_documents(self) -> dict[str, int]:
        """Documents by source, as they are read now."""
        found = rows(self.root, "select source, count(*) as n from documents group by source")
        return {row["source"]: row["n"] for row in found}


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[House]:
    clock = [1_000.0]
    monkeypatch.setattr(looking, "clock", lambda: clock[0])
    root = copy_project(finished_project(), tmp_path / "project")
    settings_changed("schedule", to={"rescore": "0 2 * * *"})(root)
    with _instance(open_project(root)) as instance:
        yield House(root, instance, clock)


def take_the_drive_away(root: Path) -> Path:
    """Leave nothing of the source ``web``, as when its drive is not mounted."""
    return (root / "data/web").rename(root / "elsewhere")


def test_a_night_with_a_new_shard_and_a_source_that_fails_and_the_night_after(
    house: House,
) -> None:
    before, published = version(house.root), ledgers(house.root)
    read = house.num_documents()
    add_a_shard(house.root)
    drive = take_the_drive_away(house.root)

    # The sensor sees both, waits until they are settled, and asks for one run.
    assert "still being written" in house.notice().skip_message
    tick = house.notice()
    (request,) = tick.run_requests
    assert request.tags[WHY_TAG].startswith("1 new shard in news; ")
    assert "web" in request.tags[WHY_TAG]
    assert not house.launch(tick).success

    # The new shard was read; what was published stays, and the page says so.
    assert house.num_documents()["news"] == read["news"] + 7
    assert (version(house.root), ledgers(house.root)) == (before, published)
    held, words = house.said()
    assert not held
    assert words.startswith(f"The published version {before[:12]} of ")
    gone = (
        r" stays; nobody can tell whether it is current: source 'web': nothing matches data/web/\*"
    )
    assert gone in words
    assert "; the last run of " in words
    assert words.endswith(" failed for that")
    assert house.notice().skip_message.startswith("source 'web': nothing matches data/web/*")

    # The next night tries again, and fails again while the drive is away.
    tick = house.nightly()
    assert tick.run_requests[0].tags[ASKED_BY_TAG] == "schedule nightly"
    assert not house.launch(tick).success
    assert version(house.root) == before

    # A person mounts it again; the night after heals everything.
    drive.rename(house.root / "data/web")
    assert house.launch(house.nightly()).success
    assert version(house.root) != before
    assert house.said() == (True, "")
    assert_all_is_accounted_for(house)
    made = version(house.root)
    assert house.nightly().skip_message.startswith(
        f"Everything is current: default version {made[:12]} of "
    )
    assert "Nothing new" in house.notice().skip_message


def assert_all_is_accounted_for(house: House) -> None:
    """Every row of the files is a document or a rejection, every document is in the ledger."""
    found = house.num_documents()
    assert found["news"] == 2 * SHARD_DOCUMENTS + 7
    (rejected,) = rows(house.root, "select sum(num_rows)::bigint as n from rejections")
    written = 6 * SHARD_DOCUMENTS + 7 + 2 * 2
    assert sum(found.values()) + rejected["n"] == written
    for mixture in ("default", "flat"):
        report = manifest(house.root, mixture)["report"]
        (ledger,) = rows(
            house.root,
            "select count(*) as n, sum(copies * num_tokens)::bigint as tokens from ledger "
            f"where mixture = '{mixture}'",
        )
        assert ledger["n"] == sum(found.values())
        assert ledger["tokens"] == report["realised_tokens"]


def test_a_check_that_fails_in_the_night_leaves_the_other_mixture_and_says_which(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = ledgers(house.root)
    settings_changed("mixtures", "default", "balance", to={"quality": 0.3})(house.root)
    house.definitions = build_defs(open_project(house.root), with_report=False)
    house.repository = house.definitions.get_repository_def()
    with monkeypatch.context() as broken:
        lose_a_document(broken)
        assert not house.launch(house.nightly()).success
    assert ledgers(house.root) == before
    held, words = house.said()
    assert not held
    assert "ledger_adds_up" in words
    held, words = house.said("flat")
    assert held
    assert words.startswith(f"The published version {version(house.root, 'flat')[:12]} of ")
    assert " is still current; the last run of " in words
    assert "mixture/default: " in words
    assert house.launch(house.nightly()).success
    assert house.said() == house.said("flat") == (True, "")


def test_a_night_after_a_dial_was_turned_runs_though_the_process_is_older(house: House) -> None:
    assert "Everything is current" in house.nightly().skip_message
    turn_a_dial(house.root)
    tick = house.nightly()
    [request] = tick.run_requests
    assert "mixture/default" in request.tags[WHY_TAG]
    resources._projects.clear()  # a run is a process of its own
    assert house.launch(tick).success
    assert "Everything is current" in house.nightly().skip_message


def test_a_night_whose_configuration_cannot_be_read_failed_and_is_not_quiet(house: House) -> None:
    (house.root / "samplemix.yaml").write_text("mixtures: [", encoding="utf-8")
    with pytest.raises(dg.DagsterError) as error:
        house.nightly()
    assert "this is not YAML" in str(error.value.__cause__)
    assert "this is not YAML" in house.notice().skip_message
