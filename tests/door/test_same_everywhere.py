"""The same mixture, whoever asks for it: the UI, the command line, the night, a team's location."""

import hashlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._core.definitions.reconstruct import ReconstructableRepository

from samplemix_dagster.cli.session import dagster_home
from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.wiring.run_tags import ASKED_BY_TAG, PART_OF_TAG, PID_TAG
from tests.door.open_ui import Ui, open_ui
from tests.door.test_ui_process import launch
from tests.engine.changes import settings_changed
from tests.engine.runs import ledgers
from tests.projects import (
    copy_project,
    make_project,
    needs_encoder,
    open_project,
    reference_folder,
)

pytestmark = [needs_encoder, pytest.mark.slow]
RUN_SECONDS = 300.0
RUNS = """
query($f: RunsFilter) {
  runsOrError(filter: $f) {
    ... on Runs { results { runId status startTime endTime tags { key value } } }
  }
}
"""
START = """
mutation($s: ScheduleSelector!) { startSchedule(scheduleSelector: $s) { __typename } }
"""
BACKFILL = """
mutation($b: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $b) { ... on LaunchBackfillSuccess { backfillId } }
}
"""
_LOCATION = """
import dagster as dg
from samplemix_dagster.definitions import build_defs

defs = build_defs(
    config={config!r},
    key_prefix="far/corpus",
    with_report=False,
    executor=dg.multiprocess_executor.configured({{"max_concurrent": 2}}),
)
"""


@pytest.fixture(scope="module")
def unmade(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that nobody has run; its nights come every minute."""
    root = make_project(tmp_path_factory.mktemp("same") / "unmade", reference_folder())
    settings_changed("schedule", to={"rescore": "* * * * *"})(root)
    settings_changed("sensor", to={"interval": 5})(root)
    return root


@pytest.fixture(scope="module")
def by_command(unmade: Path) -> Path:
    root = copy_project(unmade, unmade.with_name("by_command"))
    config = str(root / "samplemix.yaml")
    command = [sys.executable, "-m", "samplemix_dagster.cli", "run", "--config", config]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return root


@pytest.fixture
def opened(request: pytest.FixtureRequest) -> Callable[[Path], Ui]:
    """What opens the UI of a project until the test is over."""

    def open_one(root: Path) -> Ui:
        ui = open_ui(root)
        request.addfinalizer(ui.end)
        return ui

    return open_one


def runs_of(ui: Ui, **chosen: Any) -> list[dict[str, Any]]:
    return list(ui.graphql(RUNS, {"f": chosen})["runsOrError"]["results"])


def ended(ui: Ui, count: int, **chosen: Any) -> list[dict[str, Any]]:
    """Wait until so many runs have ended, and return them."""
    until = time.monotonic() + RUN_SECONDS
    while time.monotonic() < until:
        found = [one for one in runs_of(ui, **chosen) if one["endTime"]]
        if len(found) >= count:
            return found
        time.sleep(1)
    raise AssertionError(runs_of(ui, **chosen))


def stored(root: Path) -> dict[str, str]:
    """Every table of the lake, with the digest of its bytes; reports have the moment in them."""
    lake = root / ".samplemix" / "lake"
    return {
        str(path.relative_to(lake)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(lake.rglob("*.parquet"))
        if "reports" not in path.parts
    }


def test_the_ui_makes_what_the_command_line_makes(
    unmade: Path, by_command: Path, opened: Callable[[Path], Ui]
) -> None:
    root = copy_project(unmade, unmade.with_name("by_ui"))
    ui = opened(root)
    run_id = launch(ui, "publish", {})["run"]["runId"]  # type: ignore[index]
    (run,) = ended(ui, 1, runIds=[run_id])
    assert run["status"] == "SUCCESS"
    assert ledgers(root) == ledgers(by_command)
    assert stored(root) == stored(by_command)


def test_the_night_makes_what_the_command_line_makes(
    unmade: Path, by_command: Path, opened: Callable[[Path], Ui]
) -> None:
    root = copy_project(unmade, unmade.with_name("by_night"))
    ui = opened(root)
    selector = {
        "repositoryName": "__repository__",
        "repositoryLocationName": "samplemix_dagster.definitions",
        "scheduleName": "nightly",
    }
    ui.graphql(START, {"s": selector})
    (run, *_) = ended(ui, 1, pipelineName="publish")[::-1]
    assert {one["key"]: one["value"] for one in run["tags"]}[ASKED_BY_TAG] == "schedule nightly"
    assert run["status"] == "SUCCESS"
    assert ledgers(root) == ledgers(by_command)
    assert stored(root) == stored(by_command)


def test_a_team_with_processes_for_steps_makes_what_the_command_line_makes(
    unmade: Path, by_command: Path, tmp_path: Path
) -> None:
    root = copy_project(unmade, unmade.with_name("by_team"))
    place = root / "location.py"
    place.write_text(_LOCATION.format(config=str(root / "samplemix.yaml")))
    location = ReconstructableRepository.for_file(str(place), "defs", str(root))
    job = location.get_reconstructable_job("__ASSET_JOB")
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        for tags, assets in phases(root):
            keys = [dg.AssetKey(["far", "corpus", *asset.split("/")]) for asset in assets]
            with dg.execute_job(job, instance, tags=tags, asset_selection=keys) as result:
                assert result.success, assets
    assert ledgers(root) == ledgers(by_command)
    assert stored(root) == stored(by_command)


def test_a_teams_job_works_partitions_side_by_side_and_makes_what_the_command_line_makes(
    unmade: Path, by_command: Path, tmp_path: Path
) -> None:
    root = copy_project(unmade, unmade.with_name("by_team_job"))
    place = root / "location.py"
    place.write_text(_LOCATION.format(config=str(root / "samplemix.yaml")))
    location = ReconstructableRepository.for_file(str(place), "defs", str(root))
    job = location.get_reconstructable_job("far_corpus_publish")
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        with dg.execute_job(job, instance) as result:
            assert result.success
        parts = instance.get_runs(dg.RunsFilter(tags={PART_OF_TAG: result.run_id}))
        wide = [run for run in parts if run.job_name == "far_corpus_side_by_side"]
        cut = [run for run in parts if "dagster/partition" in run.tags]
        assert wide
        assert len({run.tags[PID_TAG] for run in cut}) == len(cut)
        assert all(began_at_once(instance, run.run_id) == 2 for run in wide)
    assert ledgers(root) == ledgers(by_command)
    assert stored(root) == stored(by_command)


def began_at_once(instance: dg.DagsterInstance, run_id: str) -> int:
    """How many processes for steps had begun before the first of them was through."""
    kinds = [entry.dagster_event_type for entry in instance.all_logs(run_id)]
    return kinds[: kinds.index(dg.DagsterEventType.STEP_SUCCESS)].count(
        dg.DagsterEventType.STEP_WORKER_STARTING
    )


def phases(root: Path) -> Iterator[tuple[dict[str, str], list[str]]]:
    """What a person would materialize, in order: the assets of a phase, a partition at a time."""
    project = open_project(root)
    for _, found in groupby(Planner(project).steps, key=lambda step: step.phase):
        group = list(found)
        cut = [step.asset for step in group if step.is_partitioned]
        for partition in project.partitions if cut else []:
            yield {"dagster/partition": partition}, cut
        whole = [step.asset for step in group if not step.is_partitioned]
        if whole:
            yield {}, whole


@pytest.mark.parametrize("at_once", [1, 2])
def test_two_runs_of_the_ui_on_one_lake_end_well_and_write_nothing_twice(
    unmade: Path, by_command: Path, opened: Callable[[Path], Ui], at_once: int
) -> None:
    root = copy_project(unmade, unmade.with_name(f"two_{at_once}"))
    let_run(root, at_once)
    ui = opened(root)
    asked = [launch(ui, "publish", {})["run"]["runId"] for _ in range(2)]  # type: ignore[index]
    first, second = sorted(ended(ui, 2, runIds=asked), key=lambda run: run["startTime"])
    assert (first["status"], second["status"]) == ("SUCCESS", "SUCCESS")
    assert (second["startTime"] < first["endTime"]) == (at_once == 2)
    assert ledgers(root) == ledgers(by_command)
    assert stored(root) == stored(by_command)


def let_run(root: Path, at_once: int) -> None:
    """Let so many runs of the project's UI be at work at once."""
    path = dagster_home(open_project(root)) / "dagster.yaml"
    settings = yaml.safe_load(path.read_text())
    settings["concurrency"]["runs"]["max_concurrent_runs"] = at_once
    path.write_text(yaml.safe_dump(settings))


def test_publish_mix_and_a_backfill_at_once_make_one_version_and_one_ledger(
    unmade: Path, by_command: Path, opened: Callable[[Path], Ui]
) -> None:
    root = copy_project(unmade, unmade.with_name("three"))
    let_run(root, 5)
    ui = opened(root)
    asked = {
        "assetSelection": [{"path": ["raw_shards"]}, {"path": ["embeddings"]}],
        "partitionNames": open_project(root).partitions,
    }
    backfill = ui.graphql(BACKFILL, {"b": asked})["launchPartitionBackfill"]["backfillId"]
    jobs = [launch(ui, job, {})["run"]["runId"] for job in ("publish", "mix")]  # type: ignore[index]
    of_backfill = {"tags": [{"key": "dagster/backfill", "value": backfill}]}
    runs = [*ended(ui, 2, runIds=jobs), *ended(ui, 3, **of_backfill)]
    assert [run["status"] for run in runs] == ["SUCCESS"] * 5
    assert max(run["startTime"] for run in runs[:2]) < min(run["endTime"] for run in runs[:2])
    assert min(run["startTime"] for run in runs[2:]) < max(run["endTime"] for run in runs[:2])
    assert ledgers(root) == ledgers(by_command)
    assert stored(root) == stored(by_command)
