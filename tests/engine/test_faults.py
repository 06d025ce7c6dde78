"""Damaged files, full disks, changing models: an error that says what, or a repair that does.

Whatever is damaged, the next run ends at the same ledgers as an undisturbed one.
"""

import errno
import shutil
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from samplemix_dagster.errors import DamagedError, LakeError, ModelError
from samplemix_dagster.runs.upkeep.repair import check_lake, repair
from samplemix_dagster.runs.work.run import run_project
from samplemix_dagster.storage.lake import lake as lake_module
from samplemix_dagster.storage.lake import table_files
from tests.engine.changes import turn_a_dial
from tests.engine.runs import ledgers, run
from tests.projects import (
    copy_project,
    finished_project,
    make_project,
    needs_encoder,
    open_project,
    read_settings,
    reference_folder,
    write_settings,
)

pytestmark = needs_encoder

IMMUTABLE = (
    "documents/*/*.parquet",
    "features/*/*/*.parquet",
    "fits/*/*/*.safetensors",
    "fits/*/*/*.parquet",
    "fits/*/*/*.json",
    "mixtures/*/*/ledger/*.parquet",
)
REPLACED = ("fits/*/current.json", "mixtures/*/current.json", "shards/*/current.json")


def lake_files(root: Path, *patterns: str) -> list[Path]:
    lake = root / ".samplemix/lake"
    return sorted(path for pattern in patterns for path in lake.glob(pattern))


def truncate(path: Path, where: int) -> None:
    path.write_bytes(path.read_bytes()[: where % max(1, path.stat().st_size)])


def flip(path: Path, where: int) -> None:
    content = bytearray(path.read_bytes())
    content[where % len(content)] ^= 1 << (where % 8)
    path.write_bytes(content)


# -- damage ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("pattern", [*IMMUTABLE, *REPLACED])
def test_what_is_cut_short_is_found_removed_and_made_again(
    pattern: str, root: Path, finished: Path
) -> None:
    path = lake_files(root, pattern)[0]
    truncate(path, 20)
    project = open_project(root)
    check_lake(project)
    run_project(project)
    assert ledgers(root) == ledgers(finished)
    assert open_project(root).lake.damaged == []
    check_lake(open_project(root))
    assert run(root).done == []


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_flipped_byte_anywhere_never_changes_a_ledger(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = copy_project(finished_project(), tmp_path_factory.mktemp("flip") / "project")
    path = data.draw(st.sampled_from(lake_files(root, *IMMUTABLE)))
    flip(path, data.draw(st.integers(4, max(4, path.stat().st_size - 5))))
    project = open_project(root)
    check_lake(project)
    run_project(project)
    assert ledgers(root) == ledgers(finished_project())
    shutil.rmtree(root)


def test_damage_that_a_run_meets_is_repaired_on_the_way(root: Path, tmp_path: Path) -> None:
    turned = copy_project(root, tmp_path / "turned")
    turn_a_dial(turned)
    run(turned)
    [damaged, *_] = lake_files(root, "features/scores/*/*.parquet")
    truncate(damaged, 100)
    turn_a_dial(root)
    done = run(root)
    assert "document_scores" in done.assets
    assert "perplexity" not in done.assets
    assert damaged.stat().st_size > 100
    assert ledgers(root) == ledgers(turned)


def test_a_repair_says_what_it_did(root: Path) -> None:
    [table, *_] = lake_files(root, "documents/*/*.parquet")
    [fit, *_] = lake_files(root, "fits/topic_fit/*/topics.safetensors")
    truncate(table, 100)
    truncate(fit, 100)
    project = open_project(root)
    check_lake(project)
    first, second = sorted(repair(project))
    assert first.startswith("documents/")
    assert first.endswith(".parquet was damaged; it is removed and made again.")
    assert "topics.safetensors was damaged; fits/topic_fit/" in second
    assert not fit.parent.exists()


def test_damage_that_comes_back_is_an_error_not_an_endless_run(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = lake_module.Lake.read_table

    def always_damaged(self: Any, key: str, columns: Any = None) -> Any:
        if key.startswith("features/scores/"):
            raise self.damage(key, "a bad disk")
        return read(self, key, columns)

    monkeypatch.setattr(lake_module.Lake, "read_table", always_damaged)
    turn_a_dial(root)
    with pytest.raises(DamagedError, match="a bad disk"):
        run_project(open_project(root))


# -- the disk --------------------------------------------------------------------------------------


def test_a_full_disk_is_named_and_what_was_done_is_kept(
    tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_project(tmp_path / "fresh", reference_folder())
    left = [8]

    def full(*words: Any, **options: Any) -> Any:
        if left[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        left[0] -= 1
        return write(*words, **options)

    write = table_files.pq.write_table
    with monkeypatch.context() as patch:
        patch.setattr(table_files.pq, "write_table", full)
        with pytest.raises(LakeError, match=r"the disk is full: .* could not be written. Free"):
            run_project(open_project(root))
    assert not [path for path in lake_files(root, "**/.*") if path.is_file()]
    run(root)
    assert ledgers(root) == ledgers(finished)


def test_a_lake_that_may_not_be_written_is_named(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_only(*words: Any, **options: Any) -> Any:
        raise OSError(errno.EROFS, "Read-only file system")

    turn_a_dial(root)
    monkeypatch.setattr(table_files.pq, "write_table", read_only)
    with pytest.raises(LakeError, match=r"may not be written .*the lake needs write access"):
        run_project(open_project(root))


# -- models ----------------------------------------------------------------------------------------


def test_a_reference_that_changes_while_it_scores_spoils_nothing(
    tmp_path: Path, finished: Path
) -> None:
    model = tmp_path / "model"
    shutil.copytree(reference_folder(), model)
    root = make_project(tmp_path / "project", model)
    project = open_project(root)

    def replace_model(outcome: Any) -> None:
        if outcome.asset == "raw_shards" and outcome.partition == "letters":
            shutil.copytree(reference_folder("second"), model, dirs_exist_ok=True)

    run_project(project, on_outcome=replace_model)
    second = make_project(tmp_path / "second", reference_folder("second"))
    run(second)
    assert ledgers(root) == ledgers(second)
    shutil.copytree(reference_folder(), model, dirs_exist_ok=True)
    run(root)
    assert ledgers(root) == ledgers(finished)


def test_scores_of_a_model_that_was_replaced_under_them_are_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from samplemix_dagster.engine.shards.working import loaded

    model = tmp_path / "model"
    shutil.copytree(reference_folder(), model)
    root = make_project(tmp_path / "project", model)
    load = loaded.reference

    def replaced_while_loading(*words: Any) -> Any:
        shutil.copytree(reference_folder("second"), model, dirs_exist_ok=True)
        return load(*words)

    monkeypatch.setattr(loaded, "reference", replaced_while_loading)
    with pytest.raises(ModelError, match="changed while this ran"):
        run_project(open_project(root))
    assert lake_files(root, "features/perplexity/*/*.parquet") == []


# -- two at once -----------------------------------------------------------------------------------


def test_two_runs_at_once_end_at_the_same_bytes(tmp_path: Path, finished: Path) -> None:
    root = make_project(tmp_path / "fresh", reference_folder())
    errors: list[BaseException] = []

    def go() -> None:
        try:
            run_project(open_project(root))
        except BaseException as error:  # noqa: BLE001  shown below
            errors.append(error)

    threads = [threading.Thread(target=go) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert ledgers(root) == ledgers(finished)


def test_two_projects_on_one_lake_share_what_they_have_in_common(
    root: Path, tmp_path: Path, finished: Path
) -> None:
    other = make_project(tmp_path / "other", reference_folder())
    settings_ = read_settings(other)
    settings_["lake"] = str(root / ".samplemix/lake")
    settings_["mixtures"] = {"mine": {"budget_tokens": 5000}}
    write_settings(other, settings_)
    done = run(other)
    assert sum(count for asset, _, count in done.done if asset == "perplexity") == 0
    assert ledgers(root) == ledgers(finished)
