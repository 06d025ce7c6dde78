"""Freshness: a mixture is overdue when nobody saw it current for longer than a night promises."""

import asyncio
import datetime as dt
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.freshness import FreshnessState, TimeWindowFreshnessPolicy
from dagster._core.definitions.freshness_evaluator import TimeWindowFreshnessPolicyEvaluator
from dagster._core.loader import LoadingContextForTest

from samplemix_dagster.definitions import build_defs
from samplemix_dagster.wiring.automation import mirror, staleness
from samplemix_dagster.wiring.automation.freshness import longest_wait, mixture_freshness
from samplemix_dagster.wiring.automation.staleness import look_and_note
from samplemix_dagster.wiring.names import PLAIN
from tests.engine.changes import settings_changed, turn_a_dial
from tests.projects import copy_project, finished_project, needs_encoder, open_project

pytestmark = needs_encoder
KEY = PLAIN.key("mixture/default")
HOUR = 3600.0


class Nights:
    """A finished project with a nightly schedule, and a clock that the test moves."""

    def __init__(
        self, root: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        self.root, self.instance, self.patch = root, instance, monkeypatch
        settings_changed("schedule", to={"rescore": "0 2 * * *"})(root)
        self.definitions = build_defs(open_project(root), with_report=False)
        self.repository = self.definitions.get_repository_def()
        self.look()

    def later(self, hours: float) -> None:
        """Let everything that was noted be older."""
        began = time.time() + hours * HOUR
        self.patch.setattr(staleness.time, "time", lambda: began)
        self.patch.setattr(
            "dagster._core.definitions.freshness_evaluator.get_current_timestamp", lambda: began
        )

    def look(self) -> int:
        return look_and_note(open_project(self.root), self.instance, self.repository).num_noted

    def tick(self) -> str:
        """Evaluate the schedule; return why it skips."""
        schedule = self.definitions.resolve_schedule_def("nightly")
        with dg.build_schedule_context(
            instance=self.instance,
            resources={"project": (self.definitions.resources or {})["project"]},
            scheduled_execution_time=dt.datetime(2026, 1, 2, 2, tzinfo=dt.UTC),
            repository_def=self.repository,
        ) as context:
            return schedule.evaluate_tick(context).skip_message or ""

    def made(self) -> int:
        return len(self.instance.fetch_materializations(KEY, limit=20).records)

    def state(self) -> FreshnessState:
        """What Dagster's daemon would say of the mixture."""
        node = self.repository.asset_graph.get(KEY)
        context = LoadingContextForTest(self.instance)
        return asyncio.run(TimeWindowFreshnessPolicyEvaluator().evaluate_freshness(context, node))


@pytest.fixture
def nights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nights]:
    root = copy_project(finished_project(), tmp_path / "project")
    with dg.instance_for_test() as instance:
        yield Nights(root, instance, monkeypatch)


def test_a_mixture_that_nobody_has_seen_for_a_night_and_its_slack_is_overdue(
    nights: Nights,
) -> None:
    nights.later(29)
    assert nights.state() == FreshnessState.PASS
    nights.later(31)
    assert nights.state() == FreshnessState.FAIL


def test_a_night_that_finds_nothing_to_do_keeps_it_fresh_and_names_what_is_current(
    nights: Nights,
) -> None:
    before = nights.made()
    nights.patch.setattr(mirror, "_JUST_NOTED_SECONDS", 0)
    words = nights.tick()
    assert words.startswith("Everything is current: default version ")
    assert ", flat version " in words
    assert nights.made() == before + 1
    last = nights.instance.fetch_materializations(KEY, limit=1).records[0]
    assert last.asset_materialization is not None
    noted = last.asset_materialization.metadata["noted_again"].value
    assert noted == "it was looked at and found current"
    assert nights.look() == 0


def test_a_look_notes_it_once_a_period_and_not_more(nights: Nights) -> None:
    before = nights.made()
    nights.later(23)
    nights.look()
    assert nights.made() == before
    nights.later(25)
    nights.look()
    assert nights.made() == before + 1


def test_what_is_stale_is_never_noted_as_seen_and_becomes_overdue(nights: Nights) -> None:
    turn_a_dial(nights.root)
    before = nights.made()
    nights.later(31)
    nights.look()
    assert nights.made() == before
    assert nights.state() == FreshnessState.FAIL


@pytest.mark.parametrize(
    ("cron", "hours"),
    [("0 2 * * *", 24), ("0 * * * *", 1), ("0 2 * * 1-5", 72), ("0 2 1 * *", 31 * 24)],
)
def test_the_window_is_the_longest_wait_of_the_schedule_and_a_quarter(
    cron: str, hours: int, tmp_path: Path
) -> None:
    root = copy_project(finished_project(), tmp_path / "project")
    settings_changed("schedule", to={"rescore": cron})(root)
    project = open_project(root)
    assert longest_wait(project) == dt.timedelta(hours=hours)
    policy = mixture_freshness(project)
    assert isinstance(policy, TimeWindowFreshnessPolicy)
    assert policy.fail_window.to_timedelta() == dt.timedelta(hours=hours) * 1.25


def test_without_a_schedule_nothing_is_promised_and_nothing_noted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = open_project(copy_project(finished_project(), tmp_path / "project"))
    assert mixture_freshness(project) is None
    repository = build_defs(project, with_report=False).get_repository_def()
    with dg.DagsterInstance.ephemeral() as instance:
        look_and_note(project, instance, repository)
        later = time.time() + 100 * HOUR
        monkeypatch.setattr(staleness.time, "time", lambda: later)
        assert look_and_note(project, instance, repository).num_noted == 0
