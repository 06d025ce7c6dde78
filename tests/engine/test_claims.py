"""Who is at work is known on one machine: runs together, garbage alone, and nobody for ever."""

import itertools
import subprocess
import sys
import threading
import time
from pathlib import Path

import dagster as dg
import pytest

from samplemix_dagster.engine.places.claims import RUN, claimed, shared
from samplemix_dagster.errors import LakeError, SampleMixError
from samplemix_dagster.runs.upkeep.garbage import collect_garbage
from samplemix_dagster.wiring.running.resources import ProjectResource, ProjectS3
from tests.engine.changes import settings_changed
from tests.engine.runs import ledgers, run
from tests.engine.test_lake_place import write
from tests.projects import needs_encoder, open_project

HOLD = """
import sys, time
from pathlib import Path
from samplemix_dagster.engine.places.claims import shared
with shared(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""
COLLECT = """
import sys, time
from pathlib import Path
from samplemix_dagster.runs.upkeep.garbage import collect_garbage
from samplemix_dagster.engine.project import Project
from samplemix_dagster.errors import SampleMixError
done = refused = 0
print("ready", flush=True)
until = time.monotonic() + float(sys.argv[2])
while time.monotonic() < until:
    try:
        collect_garbage(Project.open(Path(sys.argv[1])), keep=1, grace_seconds=0)
        done += 1
    except SampleMixError as error:
        assert "a run is at work" in str(error), error
        refused += 1
    time.sleep(0.02)
print(done, refused)
"""


def python(code: str, *words: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-c", code, *words], stdout=subprocess.PIPE, text=True)


def test_runs_hold_the_claim_together(tmp_path: Path) -> None:
    told: list[str] = []
    with shared(tmp_path, tell=told.append), shared(tmp_path, tell=told.append):
        pass
    assert told == ["Another run is at work on this project; both will end with the same bytes."]


def test_who_would_remove_files_does_not_get_it_meanwhile(tmp_path: Path) -> None:
    with shared(tmp_path), claimed(tmp_path, RUN) as is_free:
        assert not is_free
    with claimed(tmp_path, RUN) as is_free:
        assert is_free


def test_a_run_waits_until_files_are_removed(tmp_path: Path) -> None:
    ended: list[float] = []

    def wait() -> None:
        with shared(tmp_path):
            ended.append(time.monotonic())

    with claimed(tmp_path, RUN):
        waiting = threading.Thread(target=wait)
        waiting.start()
        time.sleep(0.3)
        before = time.monotonic()
        assert ended == []
    waiting.join(timeout=10)
    assert ended[0] >= before


def test_a_run_does_not_wait_for_ever(tmp_path: Path) -> None:
    with (
        claimed(tmp_path, RUN),
        pytest.raises(LakeError, match="garbage is being collected"),
        shared(tmp_path, wait_seconds=0.2),
    ):
        pass


def test_a_run_that_was_killed_holds_nothing(tmp_path: Path) -> None:
    with python(HOLD, str(tmp_path)) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with claimed(tmp_path, RUN) as is_free:
            assert not is_free
        holder.kill()
        holder.wait()
        assert list(tmp_path.rglob("*.holder")) != []
    with claimed(tmp_path, RUN) as is_free:
        assert is_free
    assert list(tmp_path.rglob("*.holder")) == []


def test_what_one_thread_took_another_gives_back(tmp_path: Path) -> None:
    held = shared(tmp_path)
    taking = threading.Thread(target=held.__enter__)
    taking.start()
    taking.join()
    with claimed(tmp_path, RUN) as is_free:
        assert not is_free
    held.__exit__(None, None, None)
    with claimed(tmp_path, RUN) as is_free:
        assert is_free


def test_many_runs_begin_and_end_beside_one_that_would_be_alone(tmp_path: Path) -> None:
    at_work: list[str] = []
    seen: list[tuple[str, ...]] = []

    def work(name: str) -> None:
        at_work.append(name)
        time.sleep(0.001)
        seen.append(tuple(at_work))
        at_work.remove(name)

    def run_often() -> None:
        for _ in range(30):
            with shared(tmp_path):
                work("run")

    runs = [threading.Thread(target=run_often) for _ in range(3)]
    for each in runs:
        each.start()
    refused = 0
    while any(each.is_alive() for each in runs):
        time.sleep(0.002)
        with claimed(tmp_path, RUN) as is_free:
            if is_free:
                work("alone")
            else:
                refused += 1
    assert [names for names in seen if "alone" in names and len(names) > 1] == []
    assert refused > 0
    assert list(tmp_path.rglob("*.holder")) == []


def test_a_place_that_cannot_be_locked_is_named(tmp_path: Path) -> None:
    with shared(tmp_path):
        pass
    (gate,) = tmp_path.rglob("gate")
    gate.unlink()
    gate.mkdir()
    with (
        pytest.raises(LakeError, match=r"gate cannot be locked .*: who is at work"),
        shared(tmp_path),
    ):
        pass


def test_a_run_inside_dagster_holds_it_from_its_first_step_to_its_last(tmp_path: Path) -> None:
    root = tmp_path / "project"
    root.mkdir()
    write(root, "data/*.jsonl", "lake")
    project = open_project(root)
    seen: list[str] = []

    @dg.asset
    def first(project: ProjectResource) -> None:
        with pytest.raises(SampleMixError, match="a run is at work"):
            collect_garbage(project.open(), grace_seconds=0)
        seen.append("first")

    @dg.asset(deps=[first])
    def second(project: ProjectResource) -> None:
        with project.open().claim(RUN) as is_free:
            seen.append(f"second: {is_free}")

    s3 = ProjectS3.of(project.config.s3)
    resource = ProjectResource(config_file=str(project.config_path), s3=s3)
    assert dg.materialize([first, second], resources={"project": resource}).success
    assert seen == ["first", "second: False"]
    with project.claim(RUN) as is_free:
        assert is_free


def _runs_beside(root: Path, seconds: float) -> tuple[int, int]:
    """Change and run a project again and again beside one that collects its garbage."""
    until = time.monotonic() + seconds
    with python(COLLECT, str(root / "samplemix.yaml"), str(seconds)) as collector:
        assert collector.stdout is not None
        assert collector.stdout.readline() == "ready\n"
        for seed in itertools.takewhile(lambda _: time.monotonic() < until, itertools.count(1)):
            settings_changed("mixtures", "default", "seed", to=seed)(root)
            run(root)
            assert ledgers(root)
        done, refused = collector.communicate(timeout=60)[0].split()
    assert collector.returncode == 0
    return int(done), int(refused)


@needs_encoder
def test_garbage_is_collected_between_runs_and_never_within(root: Path) -> None:
    _, refused = _runs_beside(root, 6)
    assert refused > 0
    assert run(root).done == []


@needs_encoder
@pytest.mark.slow
def test_garbage_is_collected_beside_runs_for_minutes(root: Path) -> None:
    done, refused = _runs_beside(root, 180)
    assert done > 10
    assert refused > 10
    assert run(root).done == []
