"""A job's partitions in a team's executor: killed, failed, damaged, and the same bytes then."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.reconstruct import ReconstructableRepository

from samplemix_dagster.definitions import build_defs
from samplemix_dagster.wiring.jobs.side_by_side import SIDE_BY_SIDE, steps_of
from samplemix_dagster.wiring.run_tags import CAN_PASS_TAG, LASTS_TAG, PART_OF_TAG
from tests.projects import SOURCES, copy_project, finished_project, needs_encoder, open_project

pytestmark = needs_encoder
_LOCATION = """
import os
import signal
from pathlib import Path

import dagster as dg

from samplemix_dagster import build_defs
from samplemix_dagster.errors import InputError
from samplemix_dagster.wiring.assets import asset

mark, begin = Path({root!r}) / "trouble", asset.begin

def begin_in_trouble(context, project):
    trouble = mark.read_text() if mark.exists() else ""
    if context.has_partition_key and context.partition_key == "news" and trouble:
        mark.unlink()
        if trouble == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        raise InputError("news is not to be had.")
    return begin(context, project)

asset.begin = begin_in_trouble
defs = build_defs(
    config={root!r} + "/samplemix.yaml",
    with_report=False,
    executor=dg.multiprocess_executor.configured({{"max_concurrent": 2}}),
)
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A finished project without its scores of quality, as a team's code location has it."""
    root = copy_project(finished_project(), tmp_path / "project")
    shutil.rmtree(root / ".samplemix/lake/features/quality")
    (root / "location.py").write_text(_LOCATION.format(root=str(root)))
    return root


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as found:
        yield found


@pytest.fixture
def score(root: Path, instance: dg.DagsterInstance) -> Callable[[], dg.JobExecutionResult]:
    """What runs the job ``score`` of the location, as a run launcher does."""
    location = ReconstructableRepository.for_file(str(root / "location.py"), "defs", str(root))
    return lambda: dg.execute_job(location.get_reconstructable_job("score"), instance)


def scores(root: Path) -> dict[str, bytes]:
    lake = root / ".samplemix/lake"
    return {
        str(path.relative_to(lake)): path.read_bytes()
        for path in sorted(lake.glob("features/quality/*/*.parquet"))
    }


def part_runs(instance: dg.DagsterInstance, whole: str) -> dict[str, dg.DagsterRun]:
    """The runs of a job's partitions, by partition."""
    runs = instance.get_runs(dg.RunsFilter(tags={PART_OF_TAG: whole}))
    return {run.tags["dagster/partition"]: run for run in runs if "dagster/partition" in run.tags}


@pytest.mark.slow
def test_a_part_whose_process_is_killed_leaves_the_others_done_and_can_work_the_next_time(
    root: Path, instance: dg.DagsterInstance, score: Callable[[], dg.JobExecutionResult]
) -> None:
    (root / "trouble").write_text("killed")
    result = score()
    parts = part_runs(instance, result.run_id)
    assert {name: run.status.value for name, run in parts.items()} == {
        "letters": "SUCCESS",
        "news": "FAILURE",
        "web": "SUCCESS",
    }
    whole = instance.get_run_by_id(result.run_id)
    assert whole is not None
    assert CAN_PASS_TAG in whole.tags
    [failure] = result.get_step_failure_events()
    assert "quality_scores [news]: " in str(failure.step_failure_data.error)
    assert score().success
    assert scores(root) == scores(finished_project())


@pytest.mark.slow
def test_a_part_that_fails_says_why_and_leaves_the_others_done(
    root: Path, instance: dg.DagsterInstance, score: Callable[[], dg.JobExecutionResult]
) -> None:
    (root / "trouble").write_text("failed")
    result = score()
    assert {run.status.value for run in part_runs(instance, result.run_id).values()} == {
        "SUCCESS",
        "FAILURE",
    }
    whole = instance.get_run_by_id(result.run_id)
    assert whole is not None
    assert LASTS_TAG in whole.tags
    [failure] = result.get_step_failure_events()
    assert failure.step_failure_data.error is not None
    assert failure.step_failure_data.error.message.strip().endswith(
        "quality_scores [news]: news is not to be had."
    )
    assert len(scores(root)) == len(scores(finished_project())) * 2 // 3


@pytest.mark.slow
def test_a_damaged_file_that_a_part_meets_is_made_again(
    root: Path, score: Callable[[], dg.JobExecutionResult]
) -> None:
    whole = finished_project()
    damaged = min((root / ".samplemix/lake/features").glob("perplexity/*/*.parquet"))
    before = damaged.read_bytes()
    damaged.write_bytes(before[:100])
    assert score().success
    assert damaged.read_bytes() == before
    assert scores(root) == scores(whole)


def test_each_partition_has_a_step_of_a_name_that_dagster_takes() -> None:
    assert steps_of(["news", "web-part-3", "a.b", "a_b", "日本"]) == {
        "news": "news_0",
        "web-part-3": "web_part_3_1",
        "a.b": "a_b_2",
        "a_b": "a_b_3",
        "日本": "part_4",
    }


@pytest.mark.parametrize("executor", [None, dg.in_process_executor])
def test_where_there_is_one_process_there_is_no_job_for_several(
    executor: dg.ExecutorDefinition | None,
) -> None:
    project = open_project(finished_project())
    alone = build_defs(project, with_report=False, executor=executor)
    assert not alone.get_repository_def().has_job(SIDE_BY_SIDE)


def test_where_there_are_several_its_steps_are_the_partitions() -> None:
    project = open_project(finished_project())
    defs = build_defs(project, with_report=False, executor=dg.multiprocess_executor)
    nodes = defs.get_repository_def().get_job(SIDE_BY_SIDE).nodes
    assert {node.name.rpartition("_")[0] for node in nodes} == set(SOURCES)
