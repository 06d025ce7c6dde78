"""Damaged files in Dagster's runs: started over by the command, named and removed in a lone run."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from samplemix_dagster.definitions import build_defs
from tests.engine.changes import turn_a_dial
from tests.engine.runs import ledgers, run_stale
from tests.engine.runs import run as run_plainly
from tests.projects import copy_project, finished_project, needs_encoder, open_project

pytestmark = needs_encoder


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as found:
        yield found


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project whose next draw meets a score table that is cut short."""
    root = copy_project(finished_project(), tmp_path / "project")
    turn_a_dial(root)
    damaged(root).write_bytes(damaged(root).read_bytes()[:100])
    return root


def damaged(root: Path) -> Path:
    return min((root / ".samplemix/lake").glob("features/scores/*/*.parquet"))


def test_a_run_makes_a_damaged_file_again_and_says_so(
    root: Path, instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    project = open_project(root)
    repository = build_defs(project, with_report=False).get_repository_def()
    report = run_stale(project, repository, instance, with_report=False, quiet=True)
    assert report.succeeded
    [sentence] = report.repairs
    assert "was damaged; it is removed and made again" in sentence
    assert "document_scores" in {entry["asset"] for entry in report.done}
    undisturbed = copy_project(finished_project(), tmp_path / "undisturbed")
    turn_a_dial(undisturbed)
    run_plainly(undisturbed)
    assert ledgers(root) == ledgers(undisturbed)


def test_a_lone_run_removes_it_and_says_what_to_do(
    root: Path, instance: dg.DagsterInstance
) -> None:
    project = open_project(root)
    repository = build_defs(project, with_report=False).get_repository_def()
    result = repository.get_implicit_global_asset_job_def().execute_in_process(
        instance=instance,
        asset_selection=[dg.AssetKey(["mixture", "default"])],
        raise_on_error=False,
    )
    assert not result.success
    [failure] = result.get_step_failure_events()
    assert "was damaged; it is removed" in str(failure.step_failure_data)
    assert not (root / ".samplemix/lake/features/scores").joinpath(damaged_name(root)).exists()
    assert run_plainly(root).assets >= {"document_scores"}


def damaged_name(root: Path) -> str:
    """The key of the first score table of an undamaged project, below its stage."""
    whole = damaged(finished_project())
    return whole.relative_to(finished_project() / ".samplemix/lake/features/scores").as_posix()
