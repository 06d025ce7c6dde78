"""The project's own folder is not for version control, wherever it is first made."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from samplemix_dagster.cli.session import dagster_home
from samplemix_dagster.cli.start.init import describe
from samplemix_dagster.cli.start.written import write_config
from samplemix_dagster.engine.places.claims import claimed
from samplemix_dagster.engine.places.lake_place import in_the_way, refuse_place
from samplemix_dagster.engine.project import Project
from samplemix_dagster.runs.standing.last_run import note_failures
from samplemix_dagster.storage.corpus.home import HOME, make_folder, write_note
from samplemix_dagster.storage.lake.lake import Lake

CONFIG = "corpus: {sources: {a: {path: data}}}\nmixtures: {default: {budget_tokens: 1k}}\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.jsonl").write_text('{"text": "Some words that stand in a row."}\n')
    (tmp_path / "samplemix.yaml").write_text(CONFIG)
    return tmp_path


def ignored(root: Path) -> str:
    return (root / ".samplemix/.gitignore").read_text()


def opened(root: Path) -> Project:
    return Project.open(root / "samplemix.yaml")


def _claim(root: Path) -> None:
    with claimed(root / ".samplemix", "run"):
        pass


MAKERS: dict[str, Callable[[Path], object]] = {
    "claims": _claim,
    "the lake": lambda root: Lake(root / ".samplemix/lake").write_json("a.json", {}),
    "failures": lambda root: note_failures(opened(root), [], []),
    "Dagster": lambda root: dagster_home(opened(root)),
    "init": lambda root: write_config(describe(str(root / "data"), root), root / "made.yaml"),
}


@pytest.mark.parametrize("maker", MAKERS)
def test_whoever_makes_the_home_keeps_it_out_of_git(maker: str, root: Path) -> None:
    MAKERS[maker](root)
    assert ignored(root) == "*\n"


def test_what_a_person_removed_is_not_written_again(root: Path) -> None:
    make_folder(root / ".samplemix/looks")
    (root / ".samplemix/.gitignore").unlink()
    make_folder(root / ".samplemix/claims")
    assert not (root / ".samplemix/.gitignore").exists()


def test_a_folder_that_is_no_home_has_no_gitignore(root: Path) -> None:
    make_folder(root / "elsewhere/lake")
    assert list(root.glob("**/.gitignore")) == []


def test_the_file_is_not_in_the_way_of_a_lake(root: Path) -> None:
    make_folder(root / ".samplemix/lake")
    project = opened(root)
    refuse_place(project.config, root, project.config_path)
    assert list(in_the_way(root / ".samplemix/lake")) == []


def test_many_that_write_one_note_at_a_time_all_end_well_and_leave_a_whole_one(
    tmp_path: Path,
) -> None:
    note = tmp_path / HOME / "note.json"
    texts = [str(number) * 50_000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: write_note(note, text), texts * 40))
    assert note.read_text() in texts
    assert [path.name for path in note.parent.iterdir() if path.name != ".gitignore"] == [note.name]


def test_a_note_that_cannot_take_its_place_leaves_nothing_beside(tmp_path: Path) -> None:
    (tmp_path / "note.json").mkdir()
    with pytest.raises(OSError):
        write_note(tmp_path / "note.json", "{}")
    assert [path.name for path in tmp_path.iterdir()] == ["note.json"]
