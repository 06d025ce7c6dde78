"""Exports that point into one array of the corpus: the same draws, and never other bytes."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from samplemix_dagster.errors import CheckFailedError, ConfigError, InputError
from samplemix_dagster.export_formats.ids.megatron import index_bytes, read_index
from samplemix_dagster.export_formats.table import FORMATS
from samplemix_dagster.export_formats.wanted import Wanted
from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.runs.upkeep.repair import check_lake, repair
from samplemix_dagster.stages.export.exporting import export_version
from samplemix_dagster.stages.export.pointers.pointers_back import read_pointers_back
from samplemix_dagster.trace.exports.exported import draws_of, open_export
from tests.engine.changes import repeat_documents, settings_changed, turn_a_dial
from tests.engine.runs import run, run_changed, version
from tests.projects import copy_project, needs_encoder, open_project

pytestmark = needs_encoder
SIZES = ("num_ids", "num_tokens")
SHARED = Wanted.of("megatron", 2, {"array": "corpus"})


def point_into_the_corpus(root: Path) -> None:
    settings_changed("export", to={"format": "megatron", "files": 2, "array": "corpus"})(root)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose mixtures point into the corpus, with documents drawn more than once."""
    folder = tmp_path_factory.mktemp("shared") / "project"
    return run_changed(folder, repeat_documents, point_into_the_corpus).root


@pytest.fixture
def own(shared: Path, tmp_path: Path) -> Path:
    """A copy of it, to be changed."""
    return copy_project(shared, tmp_path / "project")


def arrays(root: Path) -> list[Path]:
    return sorted((root / ".samplemix/lake/exports").glob("*/*/megatron-end-corpus-2/*.bin"))


def export(root: Path, folder: Path, **options: str) -> dict[str, Any]:
    wanted = Wanted.of("megatron", 2, options)
    return export_version(open_project(root), "default", version(root), wanted, folder=folder)


def test_the_draws_are_those_of_an_array_of_its_own(shared: Path, tmp_path: Path) -> None:
    project = open_project(shared)
    export(shared, tmp_path / "x")
    places = [draws_of(open_export(project, one)) for one in ("default", str(tmp_path / "x"))]
    same = ["doc_id", "source", "copy", "num_tokens", "id", "file", "num_ids", "digest"]
    one, two = (table.select(same) for table in places)
    assert one.equals(two)


def test_bos_stands_in_an_array_of_its_own(shared: Path, tmp_path: Path) -> None:
    for folder, options in (("own", {}), ("corpus", {"array": "corpus"})):
        export(shared, tmp_path / folder, bos="start", **options)
    own, corpus = (
        draws_of(open_export(open_project(shared), str(tmp_path / folder)))
        for folder in ("own", "corpus")
    )
    assert own.column("digest").equals(corpus.column("digest"))
    added = [a - b for a, b in zip(*(own.column(n).to_pylist() for n in SIZES), strict=True)]
    assert set(added) == {2}


def test_mixtures_of_one_corpus_share_one_array(shared: Path) -> None:
    found = arrays(shared)
    assert len(found) == 2 * len(open_project(shared).config.mixtures)
    assert len({path.stat().st_ino for path in found}) == 1


def test_a_new_version_links_to_the_array_that_stands(own: Path) -> None:
    before = {path.stat().st_ino for path in arrays(own)}
    num_arrays = len(arrays(own))
    turn_a_dial(own)
    run(own)
    assert len(arrays(own)) == num_arrays + 2
    assert {path.stat().st_ino for path in arrays(own)} == before


def test_an_array_with_other_bytes_is_not_linked_to(own: Path) -> None:
    old = arrays(own)
    before = old[0].read_bytes()
    for path in old:
        path.write_bytes(bytes([before[0] ^ 1]) + before[1:])
    turn_a_dial(own)
    run(own)
    assert {path.read_bytes() for path in set(arrays(own)) - set(old)} == {before}


def test_an_export_outside_of_the_lake_is_no_link_into_it(shared: Path, tmp_path: Path) -> None:
    export(shared, tmp_path / "x", array="corpus")
    copied = tmp_path / "x/part-00000.bin"
    assert copied.read_bytes() == arrays(shared)[0].read_bytes()
    assert copied.stat().st_ino not in {path.stat().st_ino for path in arrays(shared)}


def test_a_damaged_array_is_found_and_made_again(own: Path) -> None:
    path = arrays(own)[0]
    before = path.read_bytes()
    path.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    project = open_project(own)
    check_lake(project)
    assert project.lake.damaged
    repair(project)
    run(own)
    assert {one.read_bytes() for one in arrays(own)} == {before}
    assert not Planner(open_project(own)).plan().tasks


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "at", "words"),
    [
        ("part-00000.bin", 0, "exported tokens are not those of the document"),
        ("part-00001.idx", -9, "cannot be read back: a document of part-00001.idx"),
        ("part-00001.idx", 42, "exported tokens are not those of the document"),
        ("part-00001.idx", 9, "cannot be read back: part-00001.idx is of another version"),
    ],
)
def test_reading_back_finds_other_bytes(
    name: str, at: int, words: str, shared: Path, tmp_path: Path
) -> None:
    export(shared, tmp_path / "x", array="corpus")
    pairs = [FORMATS["megatron"].file_names(number) for number in range(2)]
    read_pointers_back(tmp_path / "x", pairs)
    if name.endswith(".bin"):  # in a document that is drawn
        first = pq.read_table(tmp_path / "x/draws.parquet").column("offset")[0].as_py()
        at = 2 * first
    flip(tmp_path / "x" / name, at)
    with pytest.raises(CheckFailedError, match=words):
        read_pointers_back(tmp_path / "x", pairs)


def test_reading_back_finds_that_two_draws_changed_places(shared: Path, tmp_path: Path) -> None:
    export(shared, tmp_path / "x", array="corpus")
    pairs = [FORMATS["megatron"].file_names(number) for number in range(2)]
    dtype, lengths, pointers = read_index(tmp_path / "x/part-00000.idx")
    turned = index_bytes(dtype, lengths[::-1], pointers[::-1])
    (tmp_path / "x/part-00000.idx").write_bytes(turned)
    with pytest.raises(CheckFailedError, match="are not those of the document"):
        read_pointers_back(tmp_path / "x", pairs)


def test_texts_that_were_never_stored_as_ids_cannot_be_pointed_to(
    finished: Path, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=r"points to stored ids, and shard .* has none"):
        export(finished, tmp_path / "x", array="corpus")
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("other", [{"materialise": "true"}, {"eos_inside": "escape"}])
def test_what_writes_ids_anew_cannot_point(other: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match="`array: corpus` points to those there"):
        Wanted.of("megatron", 1, {**other, "array": "corpus"})


def test_a_folder_says_what_it_points_into() -> None:
    assert SHARED.folder == "megatron-end-corpus-2"
    assert Wanted.of_folder(SHARED.folder) == SHARED
    assert FORMATS["megatron"].points_into_corpus(SHARED.options)
