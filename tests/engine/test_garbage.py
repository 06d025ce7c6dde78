"""What is removed from a lake nothing needs: every kept version can still be drawn again."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from samplemix_dagster.errors import SampleMixError
from samplemix_dagster.runs.upkeep.garbage import collect_garbage, find_garbage
from samplemix_dagster.runs.work.run import run_project
from samplemix_dagster.storage.lake.keys import (
    evaluation_losses,
    evaluation_overlaps,
    evaluation_steps,
    is_ours,
)
from samplemix_dagster.storage.lake.lake import Lake
from samplemix_dagster.tables import LOSSES
from samplemix_dagster.trace.verify.verifying import verify
from samplemix_dagster.trace.versions import list_versions
from tests.engine.changes import CHANGES, settings_changed, turn_a_dial
from tests.engine.runs import ledgers, run, version
from tests.fake_lake import write_evaluation
from tests.projects import copy_project, finished_project, needs_encoder, open_project

pytestmark = needs_encoder

SOME_CHANGES = (
    "a document rewritten",
    "a shard added",
    "a shard removed",
    "a shard renamed",
    "a dial turned",
    "embeddings shortened",
    "another tokenizer",
    "duplicates kept",
)


def keys(root: Path) -> set[str]:
    return {file.key for file in open_project(root).lake.walk()}


def test_a_project_with_one_version_has_no_garbage(root: Path) -> None:
    assert find_garbage(open_project(root), grace_seconds=0).keys == []


def test_a_dry_look_removes_nothing(root: Path) -> None:
    turn_a_dial(root)
    run(root)
    before = keys(root)
    assert find_garbage(open_project(root), keep=0, grace_seconds=0).keys
    assert keys(root) == before


def test_an_old_version_goes_with_its_export_and_the_current_one_stays(root: Path) -> None:
    old = version(root)
    turn_a_dial(root)
    run(root)
    before = ledgers(root)
    found = collect_garbage(open_project(root), keep=0, grace_seconds=0)
    assert found.removed_versions == [f"default@{old}"]
    assert f"default@{version(root)}" in found.kept_versions
    left = keys(root)
    assert not [key for key in left if old in key]
    assert ledgers(root) == before
    assert run(root).done == []


def test_tables_of_a_recipe_that_nobody_uses_go(root: Path) -> None:
    CHANGES["embeddings shortened"](root)
    run(root)
    before = {key for key in keys(root) if key.startswith("features/embeddings/")}
    collect_garbage(open_project(root), grace_seconds=0)
    assert {key for key in keys(root) if key.startswith("features/embeddings/")} == before
    collect_garbage(open_project(root), keep=0, grace_seconds=0)
    after = {key for key in keys(root) if key.startswith("features/embeddings/")}
    assert len(after) == len(before) / 2
    assert run(root).done == []


def test_what_killed_runs_left_goes(root: Path) -> None:
    lake = open_project(root).lake
    file = lake.path("features/quality/.abc.parquet.0123456789ab")
    file.write_bytes(b"half")
    folder = lake.path("fits/topic_fit/.xyz.0123456789ab")
    folder.mkdir()
    (folder / "topics.safetensors").write_bytes(b"half")
    found = collect_garbage(open_project(root), grace_seconds=0)
    assert found.by_kind == {"leftovers": {"files": 2, "bytes": 8}}
    assert not file.exists()
    assert not folder.exists()


def test_what_is_young_stays_since_somebody_may_be_at_work(root: Path) -> None:
    turn_a_dial(root)
    run(root)
    assert find_garbage(open_project(root), keep=0).keys == []
    for file in open_project(root).lake.walk():
        os.utime(open_project(root).lake.path(file.key), (1, 1))
    assert find_garbage(open_project(root), keep=0).keys


def unnamed(lake: Lake) -> set[str]:
    """Write what an evaluation leaves that was killed before its result; return the keys."""
    losses, steps = (at(f"{7:024x}") for at in (evaluation_losses, evaluation_steps))
    nats = LOSSES.make(group=["prose"], doc_id=["0" * 32], num_bytes=[5], nats=[1.0])
    lake.write_table(losses, nats, LOSSES, {"learner": "made up"})
    lake.write_arrays(steps, {"weights": np.zeros(3)})
    lake.write_json(evaluation_overlaps(f"{8:024x}"), {"shares": []})
    return {losses, steps, evaluation_overlaps(f"{8:024x}")}


def test_losses_that_a_result_names_stay_and_others_go(root: Path) -> None:
    lake = open_project(root).lake
    write_evaluation(lake)
    before = keys(root)
    gone = unnamed(lake)
    found = collect_garbage(open_project(root), grace_seconds=-1)
    assert set(found.keys) == gone
    assert found.by_kind["evaluations"]["files"] == len(gone)
    assert keys(root) == before


def test_an_evaluation_that_is_at_work_loses_nothing_however_old(root: Path) -> None:
    lake = open_project(root).lake
    losses, *others = sorted(unnamed(lake))
    os.utime(lake.path(losses), (1, 1))
    assert find_garbage(open_project(root)).keys == []
    for key in others:
        os.utime(lake.path(key), (1, 1))
    assert set(find_garbage(open_project(root)).keys) == {losses, *others}


def test_nothing_is_removed_while_a_run_is_at_work(root: Path) -> None:
    project = open_project(root)
    with project.claim("run"), pytest.raises(SampleMixError, match="a run is at work"):
        collect_garbage(open_project(root), grace_seconds=0)


def test_a_folder_loses_its_marker_first(root: Path) -> None:
    turn_a_dial(root)
    run(root)
    found = find_garbage(open_project(root), keep=0, grace_seconds=0).keys
    marked = [key.endswith(("manifest.json", "fit.json")) for key in found]
    assert True in marked
    assert marked == sorted(marked, reverse=True)


def test_a_project_without_a_run_has_nothing_to_remove(root: Path) -> None:
    settings_changed("lake", to="other-lake")(root)
    assert find_garbage(open_project(root), grace_seconds=0).keys == []


@settings(max_examples=4, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    changes=st.lists(st.sampled_from(SOME_CHANGES), min_size=1, max_size=4, unique=True),
    keep=st.sampled_from([None, 0, 1, 2]),
)
def test_every_kept_version_can_be_drawn_again(
    changes: list[str], keep: int | None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = copy_project(finished_project(), tmp_path_factory.mktemp("gc") / "project")
    for change in changes:
        CHANGES[change](root)
        run_project(open_project(root))
    before = ledgers(root)
    found = collect_garbage(open_project(root), keep=keep, grace_seconds=0)
    assert run(root).done == []
    assert ledgers(root) == before
    left = [f"{entry['name']}@{entry['version']}" for entry in list_versions(open_project(root))]
    assert sorted(left) == sorted(found.kept_versions)
    for name, _, wanted in (words.partition("@") for words in left):
        assert verify(open_project(root), name, wanted)["holds"] is True


def test_every_file_of_a_finished_lake_has_a_form_that_is_ours() -> None:
    lake = open_project(finished_project()).lake
    keys = [file.key for file in lake.walk()]
    assert len(keys) > 100
    assert [key for key in keys if not is_ours(key)] == []
