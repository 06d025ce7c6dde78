"""The sensor of shards, the nightly schedule's words, jobs: what a tick asks for and says."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from samplemix_dagster.definitions import build_defs
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.watching import looking
from samplemix_dagster.errors import ConfigError, TransientError
from samplemix_dagster.runs.work.run import run_project
from samplemix_dagster.wiring.assets import asset
from samplemix_dagster.wiring.assets.asset import begin, retries
from samplemix_dagster.wiring.automation import failures, sensors, staleness
from samplemix_dagster.wiring.automation.schedules import what_is_stale
from samplemix_dagster.wiring.automation.sensors import tick
from samplemix_dagster.wiring.jobs.jobs import build_jobs
from samplemix_dagster.wiring.names import PUBLISH, READ_SHARDS
from samplemix_dagster.wiring.run_tags import (
    ATTEMPT_TAG,
    CAN_PASS_TAG,
    FILES_TAG,
    FINDING_TAG,
    LASTS_TAG,
    PID_TAG,
    WHY_TAG,
    old_name,
    process_tags,
)
from samplemix_dagster.wiring.running.resources import ProjectResource, ProjectS3
from tests.engine.changes import add_a_shard, rewrite_one_document, settings_changed
from tests.projects import (
    copy_project,
    finished_project,
    needs_encoder,
    open_project,
    shard_rows,
    write_shard,
)

pytestmark = needs_encoder


class Sensor:
    """The sensor of a project whose clock the test moves: a tick is a minute after the last."""

    def __init__(self, root: Path, instance: dg.DagsterInstance, clock: list[float]) -> None:
        self.root, self.instance, self.clock = root, instance, clock
        self.project = open_project(root)
        self.cursor: str | None = None
        self.job = next(job for job in build_jobs() if job.name == PUBLISH)

    def tick(self) -> dg.SensorResult:
        self.clock[0] += 60.0
        context = dg.build_sensor_context(instance=self.instance, cursor=self.cursor)
        found = tick(context, self.project)
        self.cursor = found.cursor
        return found

    def skipped(self) -> str:
        found = self.tick()
        assert not found.run_requests
        assert found.skip_reason is not None
        return str(found.skip_reason.skip_message)

    def asked(self) -> list[dg.RunRequest]:
        found = self.tick()
        assert found.run_requests, found.skip_reason
        return list(found.run_requests or [])

    def ran(self, request: dg.RunRequest, status: str, **tags: str) -> None:
        """Note the run that a request led to, as it ended."""
        self.instance.create_run_for_job(
            self.job, tags={**request.tags, **tags}, status=dg.DagsterRunStatus(status)
        )


@pytest.fixture
def sensor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Sensor]:
    clock = [1_000.0]
    monkeypatch.setattr(looking, "clock", lambda: clock[0])
    root = copy_project(finished_project(), tmp_path / "project")
    with dg.instance_for_test() as instance:
        yield Sensor(root, instance, clock)


def test_nothing_new_is_skipped_in_words(sensor: Sensor) -> None:
    assert sensor.skipped() == "Nothing new, changed or removed among 6 files."


def test_many_changed_shards_are_one_run_and_each_tick_says_what_it_saw(sensor: Sensor) -> None:
    add_a_shard(sensor.root)
    rewrite_one_document(sensor.root)
    write_shard(sensor.root, "web", 5, shard_rows("web", 5, 8))
    assert "2 files are still being written" in sensor.skipped()
    (request,) = sensor.asked()
    assert request.job_name == PUBLISH
    assert request.tags[FILES_TAG] == "settled"
    assert request.tags[WHY_TAG] == ("2 new shards in news (1), web (1); 1 changed shard in news")


def test_while_a_corpus_file_moves_nothing_is_asked_for(sensor: Sensor) -> None:
    add_a_shard(sensor.root)
    sensor.skipped()
    rewrite_one_document(sensor.root)
    assert "Nothing is asked for until these files are settled" in sensor.skipped()
    assert len(sensor.asked()) == 1


def test_while_a_run_is_at_work_nothing_more_is_asked_for(sensor: Sensor) -> None:
    add_a_shard(sensor.root)
    sensor.skipped()
    sensor.instance.create_run_for_job(
        sensor.job, tags=process_tags(), status=dg.DagsterRunStatus.STARTED
    )
    assert "A run is at work" in sensor.skipped()


def test_a_run_whose_process_is_gone_does_not_block_the_next(sensor: Sensor) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    add_a_shard(sensor.root)
    sensor.skipped()
    (first,) = sensor.asked()
    sensor.ran(first, "STARTED", **{**process_tags(), PID_TAG: str(gone.pid)})
    (second,) = sensor.asked()
    assert second.run_key != first.run_key
    assert second.tags[FINDING_TAG] == first.tags[FINDING_TAG]


def test_a_failure_that_lasts_is_not_asked_for_again_until_a_file_changes(sensor: Sensor) -> None:
    add_a_shard(sensor.root)
    sensor.skipped()
    (first,) = sensor.asked()
    sensor.ran(first, "FAILURE", **{LASTS_TAG: "true"})
    assert "would fail again" in sensor.skipped()
    write_shard(sensor.root, "news", 2, shard_rows("news", 2, 4))
    sensor.skipped()
    (second,) = sensor.asked()
    assert second.run_key != first.run_key


def test_what_a_run_of_an_earlier_release_came_to_is_known_by_its_old_tags(sensor: Sensor) -> None:
    add_a_shard(sensor.root)
    sensor.skipped()
    (first,) = sensor.asked()
    names = {FINDING_TAG, ATTEMPT_TAG}
    tags = {old_name(tag): value for tag, value in first.tags.items() if tag in names}
    sensor.instance.create_run_for_job(
        sensor.job,
        tags={**tags, old_name(LASTS_TAG): "true"},
        status=dg.DagsterRunStatus.FAILURE,
    )
    assert "would fail again" in sensor.skipped()


def test_a_failure_that_can_pass_is_asked_for_a_few_times(sensor: Sensor) -> None:
    add_a_shard(sensor.root)
    sensor.skipped()
    keys = []
    for _ in range(sensors.MAX_ATTEMPTS):
        (request,) = sensor.asked()
        keys.append(request.run_key)
        sensor.ran(request, "FAILURE", **{CAN_PASS_TAG: "true"})
    assert len(set(keys)) == sensors.MAX_ATTEMPTS
    assert f"{sensors.MAX_ATTEMPTS} runs were asked for" in sensor.skipped()


def test_a_killed_run_that_dagster_started_again_is_not_asked_for_once_more(
    sensor: Sensor,
) -> None:
    add_a_shard(sensor.root)
    sensor.skipped()
    (request,) = sensor.asked()
    run_project(open_project(sensor.root))
    sensor.ran(request, "FAILURE")
    sensor.ran(request, "SUCCESS")
    assert sensor.skipped().startswith("Nothing new")


@pytest.mark.parametrize(("tags", "again"), [({}, True), ({LASTS_TAG: "true"}, False)])
def test_a_run_that_was_killed_after_its_shards_were_recorded_is_asked_for_again(
    sensor: Sensor, tags: dict[str, str], again: bool
) -> None:
    add_a_shard(sensor.root)
    sensor.skipped()
    (first,) = sensor.asked()
    run_project(open_project(sensor.root))
    sensor.ran(first, "FAILURE", **tags)
    if again:
        (second,) = sensor.asked()
        assert second.run_key != first.run_key
        sensor.ran(second, "SUCCESS")
    assert sensor.skipped().startswith("Nothing new")


def test_a_run_that_a_person_stopped_is_not_asked_for_again(sensor: Sensor) -> None:
    add_a_shard(sensor.root)
    sensor.skipped()
    (request,) = sensor.asked()
    sensor.ran(request, "CANCELED")
    assert "stopped by a person" in sensor.skipped()


def test_a_request_that_never_became_a_run_is_made_again_with_the_same_key(sensor: Sensor) -> None:
    add_a_shard(sensor.root)
    sensor.skipped()
    assert sensor.asked()[0].run_key == sensor.asked()[0].run_key


def test_with_automation_on_only_the_changed_sources_are_read(
    sensor: Sensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "automation_is_on", lambda *_: True)
    add_a_shard(sensor.root)
    write_shard(sensor.root, "web", 5, shard_rows("web", 5, 8))
    sensor.skipped()
    found = {(one.job_name, one.partition_key) for one in sensor.asked()}
    assert found == {(READ_SHARDS, "news"), (READ_SHARDS, "web")}


def test_what_was_recorded_is_not_found_again(sensor: Sensor) -> None:
    add_a_shard(sensor.root)
    sensor.skipped()
    sensor.asked()
    run_project(open_project(sensor.root))
    assert sensor.skipped() == "Nothing new, changed or removed among 7 files."


def test_a_broken_cursor_is_an_empty_one(sensor: Sensor) -> None:
    add_a_shard(sensor.root)
    sensor.skipped()
    for cursor in ("not json", "[]", "{}"):
        sensor.cursor = cursor
        assert len(sensor.asked()) == 1


def test_the_nightly_run_knows_of_shards_without_reading_them(sensor: Sensor) -> None:
    project = sensor.project
    assert what_is_stale(project, with_report=False) == ""
    add_a_shard(sensor.root)
    assert what_is_stale(project, with_report=False) == "1 file is still being written"
    sensor.clock[0] += 60.0
    assert what_is_stale(project, with_report=False) == "1 new shard in news"


# -- retries --------------------------------------------------------------------------------------


def flaky(errors: list[Exception]) -> tuple[dg.AssetsDefinition, list[int]]:
    """Return an asset that raises the errors in turn, as a step would, and a list of its tries."""
    tries: list[int] = []

    @dg.asset
    def thing(context: dg.AssetExecutionContext, project: ProjectResource) -> None:
        opened = begin(context, project)
        tries.append(context.retry_number)
        with retries(context, opened):
            if errors:
                raise errors.pop(0)

    return thing, tries


def materialize(
    thing: dg.AssetsDefinition, project: Project, monkeypatch: pytest.MonkeyPatch
) -> tuple[Any, dict[str, str]]:
    monkeypatch.setattr(asset, "RETRY_SECONDS", 0.0)
    s3 = ProjectS3.of(project.config.s3)
    resource = ProjectResource(config_file=str(project.config_path), s3=s3)
    with dg.instance_for_test() as instance:
        result = dg.materialize(
            [thing], instance=instance, resources={"project": resource}, raise_on_error=False
        )
        return result, dict(instance.get_run_by_id(result.run_id).tags)


def test_an_error_that_can_pass_is_tried_again(
    sensor: Sensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    thing, tries = flaky([TransientError("no network"), TransientError("no network")])
    result, tags = materialize(thing, sensor.project, monkeypatch)
    assert result.success
    assert tries == [0, 1, 2]
    assert PID_TAG in tags


def test_tries_end_and_the_run_says_that_it_can_pass(
    sensor: Sensor, monkeypatch: pytest.MonkeyPatch
) -> None:
    thing, tries = flaky([TransientError("no network")] * 9)
    result, tags = materialize(thing, sensor.project, monkeypatch)
    assert not result.success
    assert tries == [0, 1, 2, 3]
    assert CAN_PASS_TAG in tags
    (event,) = result.get_step_failure_events()
    assert "no network" in failures.failure_sentence(event.step_failure_data.error)


@pytest.mark.parametrize("error", [ConfigError("wrong"), ValueError("unforeseen")])
def test_an_error_that_cannot_pass_is_tried_once(
    sensor: Sensor, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    thing, tries = flaky([error])
    result, tags = materialize(thing, sensor.project, monkeypatch)
    assert not result.success
    assert tries == [0]
    assert CAN_PASS_TAG not in tags
    assert LASTS_TAG in tags


# -- definitions ----------------------------------------------------------------------------------


def test_sensors_and_schedule_are_off_at_first_and_say_what_they_do(tmp_path: Path) -> None:
    project = open_project(copy_project(finished_project(), tmp_path / "project"))
    repository = build_defs(project, with_report=False).get_repository_def()
    found = {sensor.name: sensor for sensor in repository.sensor_defs}
    looks = found.pop("observe_inputs")  # it starts no run
    assert looks.default_status.value == "RUNNING"
    assert looks.description
    assert set(found) == {"new_shards", "follow_changes", "tell_failures"}
    for one in (*found.values(), repository.get_schedule_def("nightly")):
        assert one.description
        assert one.default_status.value == "STOPPED"
    assert found["new_shards"].minimum_interval_seconds == 60


def test_what_must_not_be_drawn_is_seen_at_the_next_tick(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(staleness.time, "time", lambda: 1_000.0)
    root = copy_project(finished_project(), tmp_path / "project")
    (root / "quiz.jsonl").write_text('{"text": "one two three four five"}\n')
    settings_changed("exclude", to={"evaluation": {"quiz": "quiz.jsonl"}})(root)
    with dg.DagsterInstance.ephemeral() as instance:
        seen = [staleness._what_is_seen(open_project(root), instance)]
        assert staleness._what_is_seen(open_project(root), instance) == seen[0]
        (root / "takedown.jsonl").write_text("")
        seen.append(staleness._what_is_seen(open_project(root), instance))
        (root / "quiz.jsonl").write_text('{"text": "six seven eight nine ten eleven"}\n')
        seen.append(staleness._what_is_seen(open_project(root), instance))
    assert len(set(seen)) == 3
