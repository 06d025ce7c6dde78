"""An asset that a person materializes alone: what it says when what it reads is not there yet."""

from pathlib import Path

import dagster as dg
import pytest

from samplemix_dagster.definitions import build_defs
from samplemix_dagster.wiring.names import names_of
from tests.engine.changes import add_a_shard, nothing, turn_a_dial
from tests.projects import copy_project, finished_project, needs_encoder, open_project

pytestmark = needs_encoder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return copy_project(finished_project(), tmp_path / "project")


def materialize(
    root: Path, asset: str, partition: str | None = None, prefix: str | None = None
) -> dg.ExecuteInProcessResult:
    definitions = build_defs(open_project(root), with_report=False, key_prefix=prefix)
    job = definitions.get_repository_def().get_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        return job.execute_in_process(
            instance=instance,
            asset_selection=[names_of(prefix).key(asset)],
            partition_key=partition,
            raise_on_error=False,
        )


def said(result: dg.ExecuteInProcessResult) -> str:
    """What the one failure says, which is no error inside another one."""
    [event] = result.get_step_failure_events()
    error = event.step_failure_data.error
    assert error is not None
    assert (error.cls_name, error.cause) == ("Failure", None)
    return error.message


@pytest.mark.parametrize(
    ("asset", "partition"),
    [
        ("corpus", None),
        ("mixture/default", None),
        ("embeddings", "news"),
        ("quality_scores", "news"),
    ],
)
def test_what_reads_a_shard_that_is_not_read_names_it_and_the_job(
    asset: str, partition: str | None, root: Path
) -> None:
    add_a_shard(root)
    words = said(materialize(root, asset, partition))
    assert f"{asset} reads what is to be made first (raw_shards [news]: 1 new shard" in words
    assert "Start the job `publish`" in words


def test_under_a_prefix_the_job_is_the_one_that_is_there(root: Path) -> None:
    add_a_shard(root)
    assert "Start the job `mine_publish`" in said(materialize(root, "corpus", prefix="mine"))


@pytest.mark.parametrize("change", [nothing, turn_a_dial])
def test_what_has_all_that_it_reads_is_made_alone(root: Path, change: object) -> None:
    assert callable(change)
    change(root)
    assert materialize(root, "mixture/default").success


def test_another_source_than_the_stale_one_is_made_alone(root: Path) -> None:
    add_a_shard(root)
    assert materialize(root, "embeddings", "web").success
