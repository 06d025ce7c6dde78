"""What collecting garbage never touches: anything that is not ours by name, form and place."""

import os
from pathlib import Path

import pytest

from samplemix_dagster.config.text.reading import load_config
from samplemix_dagster.engine.project import Project
from samplemix_dagster.errors import ConfigError
from samplemix_dagster.runs.upkeep.garbage import collect_garbage
from samplemix_dagster.storage.lake.keys import MARKER
from tests.engine.test_lake_place import write

RECIPE, DIGEST = "a" * 24, "b" * 32
OURS = (
    f"documents/{RECIPE}/{DIGEST}.parquet",
    f"documents/{RECIPE}/{DIGEST}.rejected.parquet",
    f"features/quality/{RECIPE}/{DIGEST}.parquet",
    f"features/metric-far/{RECIPE}/{DIGEST}.parquet",
    f"fits/topic_fit/{RECIPE}/fit.json",
    f"fits/reference-main/{RECIPE}/model/model.safetensors",
    f"mixtures/default/{RECIPE}/ledger/a-{DIGEST}.parquet",
    f"exports/default/{RECIPE}/jsonl.zst-4/part-00000.jsonl.zst",
    f"features/quality/{RECIPE}/.{DIGEST}.parquet.0123456789ab",
    f"exports/default/{RECIPE}/.spill-x/part",
)
THEIRS = (
    f"documents/{RECIPE}/part-0.jsonl",
    f"documents/{RECIPE}/{DIGEST}.parquet.bak",
    f"documents/{RECIPE}/deeper/{DIGEST}.parquet",
    f"documents/{RECIPE}/{DIGEST.upper()}.parquet",
    f"features/quality/{RECIPE}/notes.md",
    f"features/quality/{RECIPE[:-1]}/{DIGEST}.parquet",
    f"features/quality/mine/{DIGEST}.parquet",
    f"fits/topic_fit/{RECIPE}/notes.docx",
    "fits/topic_fit/thesis.json",
    f"mixtures/default/{RECIPE}/ledger/mine.parquet",
    "mixtures/default/notes/a.json",
    "exports/default/thesis.txt",
    "exports/thesis/part-00000.parquet",
    f"exports/default/{RECIPE}/jsonl.zst-4/part-00000.jsonl.zst.torrent",
    f"exports/default/{RECIPE}/.hidden",
    "reports/.building/mine.txt",
)
EMPTY = ("exports/drafts", "documents/.cache", f"fits/topic_fit/{RECIPE}x", "mixtures/later")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project that never ran, with old files of both kinds in its lake."""
    root = tmp_path / "project"
    root.mkdir()
    file = write(root, "data/*.jsonl", "lake")
    for key in (*OURS, *THEIRS):
        path = root / "lake" / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    for key in EMPTY:
        (root / "lake" / key).mkdir(parents=True)
    (root / "lake" / MARKER).write_text("{}")
    # Opened by hand: some of this would be found near the root and refused.
    return Project(load_config(file), root)


def test_what_has_our_name_and_form_goes(project: Project) -> None:
    found = collect_garbage(project, grace_seconds=-1)
    assert sorted(found.keys) == sorted(OURS)
    assert not [key for key in OURS if (project.lake.root / key).exists()]


def test_what_has_not_stays(project: Project) -> None:
    collect_garbage(project, grace_seconds=-1)
    assert [key for key in THEIRS if not (project.lake.root / key).exists()] == []


def test_an_empty_folder_of_somebody_stays_and_one_that_was_emptied_goes(project: Project) -> None:
    collect_garbage(project, grace_seconds=-1)
    assert [key for key in EMPTY if not (project.lake.root / key).is_dir()] == []
    assert not (project.lake.root / "features/metric-far").exists()


def test_nothing_goes_without_the_marker(project: Project) -> None:
    (project.lake.root / MARKER).unlink()
    with pytest.raises(ConfigError, match="nothing says that this is a lake"):
        collect_garbage(project, grace_seconds=-1)
    assert [key for key in OURS if not (project.lake.root / key).exists()] == []


def test_links_and_what_they_lead_to_stay(project: Project, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    for name in (DIGEST, "c" * 32):
        path = elsewhere / RECIPE / f"{name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    (project.lake.root / "features/words").symlink_to(elsewhere)
    link = project.lake.root / f"documents/{RECIPE}/{'c' * 32}.parquet"
    link.symlink_to(elsewhere / RECIPE / f"{'c' * 32}.parquet")
    collect_garbage(project, grace_seconds=-1)
    assert link.is_symlink()
    assert len(list(elsewhere.rglob("*.parquet"))) == 2


def test_a_folder_behind_a_link_is_not_removed_for_being_empty(
    project: Project, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    (elsewhere / RECIPE).mkdir(parents=True)
    (project.lake.root / "features/words").symlink_to(elsewhere)
    collect_garbage(project, grace_seconds=-1)
    assert (elsewhere / RECIPE).is_dir()


def test_an_old_lake_gets_its_marker_and_then_its_garbage_goes(project: Project) -> None:
    (project.lake.root / MARKER).unlink()
    for key in THEIRS:
        (project.lake.root / key).unlink()
    with project.at_work():
        pass
    for key in OURS:
        os.utime(project.lake.root / key, (1, 1))
    assert sorted(collect_garbage(project).keys) == sorted(OURS)
