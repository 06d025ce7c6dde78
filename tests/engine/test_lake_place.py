"""A lake has a folder of its own: nothing of the user's is in it, and no source reads it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from samplemix_dagster.engine.project import Project
from samplemix_dagster.errors import ConfigError, InputError
from samplemix_dagster.storage.lake.keys import MARKER

ROW = '{"id": "1", "text": "a text that is long enough to be a document"}\n'


def write(root: Path, path: str, lake: str, **more: Any) -> Path:
    """Write a project's file, and a corpus below ``data`` and ``documents``."""
    for folder in ("data", "documents"):
        (root / folder).mkdir(parents=True, exist_ok=True)
        (root / folder / "a.jsonl").write_text(ROW)
    settings = {
        "corpus": {"sources": {"a": {"path": path}}},
        "lake": lake,
        "mixtures": {"default": {"budget_tokens": 10}},
        **more,
    }
    file = root / "samplemix.yaml"
    file.write_text(yaml.safe_dump(settings))
    return file


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder two below the temporary one, so that ``..`` is a test's own."""
    made = tmp_path / "work" / "project"
    made.mkdir(parents=True)
    return made


@pytest.mark.parametrize(
    "lake",
    [".", "./", "..", "../..", "../project", "data/..", "", ".samplemix", "/", "samplemix.yaml"],
)
def test_a_lake_that_holds_the_project_is_refused(lake: str, root: Path) -> None:
    with pytest.raises(ConfigError, match=r"lake: .*choose an empty folder"):
        Project.open(write(root, "data/*.jsonl", lake))


def test_a_lake_given_as_an_absolute_path_is_held_to_the_same(root: Path) -> None:
    with pytest.raises(ConfigError, match=r"samplemix\.yaml lies in it"):
        Project.open(write(root, "data/*.jsonl", str(root)))


def test_the_home_folder_is_no_lake(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = root.parent / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    with pytest.raises(ConfigError, match="home folder"):
        Project.open(write(root, "data/*.jsonl", str(home)))


@pytest.mark.parametrize("own", ["dagster", "claims", "looks", "cache", "dbt", "cache/mine"])
def test_what_dagster_and_others_write_into_is_no_lake(own: str, root: Path) -> None:
    with pytest.raises(ConfigError, match=r"\.samplemix/[a-z]+ is for"):
        Project.open(write(root, "data/*.jsonl", f".samplemix/{own}"))


@pytest.mark.parametrize(
    ("path", "lake"),
    [
        (".", "lake"),
        ("./", "lake"),
        ("..", "lake"),
        ("*", "lake"),
        ("**", "lake"),
        ("**/*.jsonl", "lake"),
        ("**/*.parquet", "results/of/mine"),
        ("*/*.json", "lake"),
        ("l*ke/**", "lake"),
        ("../project/**/*.jsonl", "lake"),
        ("data", "data/lake"),
        ("data/*", "data/lake"),
        ("data/**", "data/lake"),
        ("data/*.jsonl", "data"),
        ("data", "data"),
        ("lake/documents/*/*.parquet", "lake"),
        ("lake/exports/default/*", "lake"),
        ("lake", "lake"),
        ("[l]ake/*", "lake"),
        (".samplemix/**", ".samplemix/lake"),
        (".samplemix/*/*", ".samplemix/lake"),
        (".*/**", ".samplemix/lake"),
        (".samplemix/looks/*.json", "lake"),
        (".samplemix/dagster", "lake"),
        (".s*/*", "lake"),
    ],
)
def test_a_source_that_reaches_into_the_lake_is_refused(path: str, lake: str, root: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        Project.open(write(root, path, lake))
    assert "lake" in str(caught.value)
    assert not (root / "lake").exists()


def test_one_of_several_patterns_is_enough(root: Path) -> None:
    file = write(root, "data/*", "lake", corpus={"sources": {"a": {"path": ["data/*", "lake/*"]}}})
    with pytest.raises(ConfigError, match=r"sources\.a\.path: lake/\* reaches into the lake"):
        Project.open(file)


@pytest.mark.parametrize(
    ("path", "lake"),
    [
        (".", ".samplemix/lake"),
        ("**/*.jsonl", ".samplemix/lake"),
        ("*.jsonl", "lake"),
        ("data/*.jsonl", "lake"),
        ("data/*.jsonl", "data/lake"),
        ("data/*/*.jsonl", "lake"),
        ("data", ".samplemix/lake"),
        ("data/a.jsonl", "Data"),
        ("../other/**", "lake"),
        ("data/*", "../beside"),
        ("s3://bucket/**", "lake"),
    ],
)
def test_a_lake_beside_the_sources_is_taken(path: str, lake: str, root: Path) -> None:
    assert Project.open(write(root, path, lake)).lake.names("") == set()


def test_a_link_to_a_source_is_no_lake(root: Path) -> None:
    file = write(root, "data/*.jsonl", "lake")
    (root / "lake").symlink_to(root / "data")
    with pytest.raises(ConfigError, match=r"holds what is not of a lake: a\.jsonl"):
        Project.open(file)


def test_a_source_that_is_a_link_to_the_lake_is_refused(root: Path) -> None:
    file = write(root, "corpus", "lake")
    (root / "lake").mkdir()
    (root / "corpus").symlink_to(root / "lake")
    with pytest.raises(ConfigError, match="reaches into the lake"):
        Project.open(file)


def test_a_link_below_a_source_is_found_when_the_source_is_listed(root: Path) -> None:
    file = write(root, "data/*/*.jsonl", "lake")
    (root / "lake" / "shards" / "a").mkdir(parents=True)
    (root / "lake" / "shards" / "a" / "current.jsonl").write_text(ROW)
    (root / "data" / "more").symlink_to(root / "lake" / "shards" / "a")
    with pytest.raises(InputError, match="results would be read as corpus"):
        Project.open(file).scan("a")


def test_a_link_to_a_file_of_the_lake_is_found_when_the_source_is_listed(root: Path) -> None:
    file = write(root, "data/*.jsonl", "lake")
    (root / "lake" / "shards" / "a").mkdir(parents=True)
    (root / "lake" / "shards" / "a" / "b.jsonl").write_text(ROW)
    (root / "data" / "b.jsonl").symlink_to(root / "lake" / "shards" / "a" / "b.jsonl")
    with pytest.raises(InputError, match="results would be read as corpus"):
        Project.open(file).scan("a")


def test_the_tables_of_another_lake_are_no_corpus(root: Path) -> None:
    other = root / "other"
    (other / "documents").mkdir(parents=True)
    (other / MARKER).write_text("{}")
    (other / "documents" / "a.jsonl").write_text(ROW)
    with pytest.raises(InputError, match="other, so that results would be read as corpus"):
        Project.open(write(root, "other/documents/*", "lake")).scan("a")


def test_what_another_lake_exports_is_a_corpus(root: Path) -> None:
    folder = root / "other" / "exports" / "default"
    folder.mkdir(parents=True)
    (root / "other" / MARKER).write_text("{}")
    (folder / "a.jsonl").write_text(ROW)
    assert len(Project.open(write(root, "other/exports/**/*.jsonl", "lake")).scan("a").shards) == 1


@pytest.mark.parametrize(
    ("name", "is_folder"),
    [
        ("thesis.txt", False),
        ("photos", True),
        (".git", True),
        ("a.jsonl", False),
        ("documents", False),
        ("documents/part-0.jsonl", False),
        ("documents/drafts", True),
        ("exports/thesis.txt", False),
        ("features/notes.md", False),
        ("fits/data.csv", False),
        ("state/a", False),
        ("reports/mine", True),
        ("reports/Sales 2026.xlsx", False),
        ("machines/laptop.json", False),
        ("shards/a.jsonl", False),
    ],
)
def test_a_folder_with_something_foreign_is_no_lake(name: str, is_folder: bool, root: Path) -> None:
    path = root / "lake" / name
    path.parent.mkdir(parents=True)
    path.mkdir() if is_folder else path.write_text("mine")
    with pytest.raises(ConfigError) as caught:
        Project.open(write(root, "data/*.jsonl", "lake"))
    assert f"holds what is not of a lake: {name}" in str(caught.value)


@pytest.mark.parametrize("name", ["lost+found", ".DS_Store", ".nfs0001", ".gitignore"])
def test_what_systems_put_into_folders_is_in_nobodys_way(name: str, root: Path) -> None:
    (root / "lake" / name).mkdir(parents=True)
    assert Project.open(write(root, "data/*.jsonl", "lake"))


def test_a_lake_inside_a_lake_is_refused(root: Path) -> None:
    (root / "outer").mkdir()
    (root / "outer" / MARKER).write_text("{}")
    with pytest.raises(ConfigError, match="lies inside another lake"):
        Project.open(write(root, "data/*.jsonl", "outer/exports/mine"))


def test_a_lake_gets_its_marker_when_somebody_is_at_work(root: Path) -> None:
    project = Project.open(write(root, "data/*.jsonl", "lake"))
    assert not project.lake.exists(MARKER)
    with project.at_work():
        assert project.lake.exists(MARKER)
    assert project.lake.names("") == {MARKER}


@pytest.mark.parametrize("to", ["lake/out", "lake", ".samplemix/out", "data/out", "data"])
def test_no_export_goes_where_it_would_be_taken_for_something_else(to: str, root: Path) -> None:
    project = Project.open(write(root, "data", "lake"))
    with pytest.raises(ConfigError, match=r"^--to .*; choose"):
        project.export_target(str(root / to))


def test_an_export_beside_lake_and_sources_has_a_place(root: Path) -> None:
    project = Project.open(write(root, "data/*.jsonl", "lake"))
    assert project.export_target(str(root / "out"))[1] == "out"


@pytest.mark.parametrize(
    ("path", "lake"),
    [
        ("s3://b/**", "s3://b/lake"),
        ("s3://b/corpus", "s3://b/corpus/lake"),
        ("s3://b/corpus/*", "s3://b/corpus/lake"),
        ("s3://b/lake/documents", "s3://b/lake"),
        ("s3://b/corpus/*", "s3://b"),
    ],
)
def test_on_s3_a_source_that_reaches_into_the_lake_is_refused_likewise(
    path: str, lake: str, root: Path
) -> None:
    with pytest.raises(ConfigError, match="reaches into the lake"):
        Project.open(write(root, path, lake))


def test_on_s3_prefixes_are_compared_by_their_parts(root: Path) -> None:
    assert Project.open(write(root, "s3://b/lakeside/*", "s3://b/lake"))
    assert Project.open(write(root, "s3://other/lake/*", "s3://b/lake"))


def test_signs_of_patterns_in_the_name_of_a_lake_or_an_export_mean_themselves(root: Path) -> None:
    project = Project.open(write(root, "data/*.jsonl", "la[k]e*"))
    project.export_target(str(root / "out[1]*"))
    with pytest.raises(ConfigError, match=r"lies in the lake"):
        project.export_target(str(root / "la[k]e*/out"))
    with pytest.raises(ConfigError, match=r"reaches into the lake"):
        Project.open(write(root, "la*/*.jsonl", "la[k]e*"))


def test_a_project_below_a_folder_with_brackets_is_held_to_the_same(tmp_path: Path) -> None:
    root = tmp_path / "a[1]*"
    root.mkdir()
    Project.open(write(root, "data/*.jsonl", "lake"))
    with pytest.raises(ConfigError, match=r"reaches into the lake"):
        Project.open(write(root, "*/*.jsonl", "lake"))
