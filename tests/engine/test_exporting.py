"""Exports: the files hold exactly the ledger's draws, in even files, for old versions too."""

import itertools
import os
import shutil
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from samplemix_dagster.core.hashing import doc_id
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.errors import InputError
from samplemix_dagster.export_formats.format import FilePlan, ReadDraw
from samplemix_dagster.export_formats.table import FORMATS
from samplemix_dagster.export_formats.wanted import Wanted
from samplemix_dagster.stages.export.exporting import export_version
from tests.engine.changes import (
    count_with_another_tokenizer,
    raise_the_least_length,
    remove_a_shard,
    rename_a_shard,
    settings_changed,
    turn_a_dial,
)
from tests.engine.runs import copies, manifest, rows, run, version
from tests.projects import (
    copy_project,
    finished_project,
    needs_encoder,
    open_project,
    read_settings,
    reference_folder,
    write_settings,
)

pytestmark = needs_encoder


def read(folder: Path, files: int, form: str = "parquet") -> list[ReadDraw]:
    """Return the draws that a format's own reader finds in an export's folder."""
    return list(FORMATS[form].read_back(folder, FilePlan(num_files=files)))


def export(
    root: Path, folder: Path, form: str = "parquet", files: int = 2, of: str | None = None
) -> dict[str, int]:
    """Export the default mixture's version; return how often each document stands in the files."""
    wanted = Wanted.of(form, files, {"eos": "end"})
    export_version(open_project(root), "default", of or version(root), wanted, folder=folder)
    if wanted.has_places:
        table = pq.read_table(folder / "draws.parquet", columns=["doc_id"])
        return Counter(table.column("doc_id").to_pylist())
    return Counter(draw.row["doc_id"] for draw in read(folder, files, form))


def drawn(root: Path) -> dict[str, int]:
    return {document: count for document, count in copies(root).items() if count}


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("files", [1, 3, 200])
def test_the_files_hold_exactly_the_draws_of_the_ledger(
    form: str, files: int, finished: Path, tmp_path: Path
) -> None:
    files = max(files, FORMATS[form].least_files)
    assert export(finished, tmp_path / "x", form, files) == drawn(finished)
    names = {FORMATS[form].file_names(number)[0] for number in range(files)}
    assert names <= {path.name for path in (tmp_path / "x").iterdir()}


def test_every_row_is_the_text_of_its_document_with_its_place_in_the_corpus(
    finished: Path, tmp_path: Path
) -> None:
    export(finished, tmp_path / "x", files=1)
    known = {
        (row["doc_id"], row["source"], row["num_tokens"], row["id"])
        for row in rows(finished, "select doc_id, source, num_tokens, id from documents")
    }
    for row in (draw.row for draw in read(tmp_path / "x", 1)):
        assert doc_id(row["text"]) == row["doc_id"]
        assert (row["doc_id"], row["source"], row["num_tokens"], row["id"]) in known


def test_copies_of_a_document_are_numbered_from_0(root: Path, tmp_path: Path) -> None:
    settings_changed("mixtures", "default", "budget_tokens", to=40_000)(root)
    run(root)
    export(root, tmp_path / "x", files=1)
    seen: dict[str, list[int]] = {}
    for row in (draw.row for draw in read(tmp_path / "x", 1)):
        seen.setdefault(row["doc_id"], []).append(row["copy"])
    assert max(map(len, seen.values())) > 1
    assert all(sorted(numbers) == list(range(len(numbers))) for numbers in seen.values())


@pytest.mark.parametrize("files", [1, 2, 5])
def test_files_have_near_equal_tokens(files: int, finished: Path, tmp_path: Path) -> None:
    export(finished, tmp_path / "x", files=files)
    stated = open_project(finished).lake.read_json(str(tmp_path / "x/manifest.json"))
    tokens = [file["num_tokens"] for file in stated["files"]]
    [longest] = rows(finished, "select max(num_tokens) as n from documents")
    assert sum(tokens) == stated["num_tokens"] == manifest(finished)["report"]["realised_tokens"]
    assert all(abs(count - sum(tokens) / files) <= longest["n"] for count in tokens)


@pytest.mark.parametrize("form", FORMATS)
def test_two_exports_of_one_version_are_the_same_bytes(
    form: str, finished: Path, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        export(finished, tmp_path / name, form, 3)
    names = {path.name for path in (tmp_path / "one").iterdir()} - {"manifest.json"}
    assert len(names) >= 3
    for file in names:
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_the_order_does_not_depend_on_the_number_of_files(finished: Path, tmp_path: Path) -> None:
    orders = []
    for files in (1, 4):
        export(finished, tmp_path / str(files), files=files)
        orders.append([draw.row["doc_id"] for draw in read(tmp_path / str(files), files)])
    assert orders[0] == orders[1]


def test_the_order_mixes_the_sources(finished: Path, tmp_path: Path) -> None:
    export(finished, tmp_path / "x", files=1)
    sources = [draw.row["source"] for draw in read(tmp_path / "x", 1)]
    changes = sum(one != other for one, other in itertools.pairwise(sources))
    assert changes > len(sources) / 3


# -- old versions ----------------------------------------------------------------------------------


def test_an_old_version_can_still_be_exported(root: Path, finished: Path, tmp_path: Path) -> None:
    old = version(root)
    for change in (turn_a_dial, raise_the_least_length, rename_a_shard):
        change(root)
    run(root)
    assert version(root) != old
    assert export(root, tmp_path / "x", of=old) == drawn(finished)


def test_an_old_version_whose_shard_is_gone_is_refused_with_its_name(
    root: Path, tmp_path: Path
) -> None:
    old = version(root)
    remove_a_shard(root)
    run(root)
    with pytest.raises(InputError, match=r"was data/web/part-1.* is gone or has changed"):
        export(root, tmp_path / "x", of=old)
    assert not (tmp_path / "x").exists()


def test_a_version_counted_by_another_tokenizer_is_refused(root: Path, tmp_path: Path) -> None:
    old = version(root)
    count_with_another_tokenizer(root)
    run(root)
    with pytest.raises(InputError, match="counted its tokens with another tokenizer"):
        export(root, tmp_path / "x", of=old)


# -- folders ---------------------------------------------------------------------------------------


def test_a_folder_that_holds_this_export_is_left_as_it_is(finished: Path, tmp_path: Path) -> None:
    export(finished, tmp_path / "x")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "x").iterdir()}
    export(finished, tmp_path / "x")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "x").iterdir()} == before


@pytest.mark.parametrize(("form", "files"), [("jsonl.zst", 2), ("parquet", 3)])
def test_a_folder_with_another_export_is_refused(
    form: str, files: int, finished: Path, tmp_path: Path
) -> None:
    export(finished, tmp_path / "x", "parquet", 2)
    with pytest.raises(InputError, match=r"holds another export; choose an empty folder"):
        export(finished, tmp_path / "x", form, files)


def test_a_folder_with_something_in_it_is_refused(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    (tmp_path / "x/mine.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty; choose an empty folder"):
        export(finished, tmp_path / "x")
    assert (tmp_path / "x/mine.txt").read_text() == "mine"


def test_an_empty_folder_will_do(finished: Path, tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    assert export(finished, tmp_path / "x") == drawn(finished)


def test_nothing_is_left_beside_an_export(finished: Path, tmp_path: Path) -> None:
    export(finished, tmp_path / "x")
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_a_shard_that_was_edited_since_is_noticed(root: Path, tmp_path: Path) -> None:
    path = root / "data/news/part-0.jsonl"
    status = path.stat()
    path.write_bytes(path.read_bytes().replace(b" the ", b" tha "))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    with pytest.raises(InputError, match="changed while it was exported; run again"):
        export(root, tmp_path / "x")
    assert not (tmp_path / "x").exists()


def test_the_tokenizer_of_a_pair_of_models_is_a_folder_that_any_library_opens(
    tmp_path: Path,
) -> None:
    root = copy_project(finished_project(), tmp_path / "project")
    for fold in ("fold-0", "fold-1"):
        shutil.copytree(reference_folder(), tmp_path / "pair" / fold)
    settings = read_settings(root)
    settings["references"] = {"main": {"model": str(tmp_path / "pair")}}
    write_settings(root, settings)
    folder = Recipes(open_project(root)).tokenizer_folder
    assert folder == tmp_path / "pair" / "fold-0"
    assert (folder / "tokenizer.json").is_file()
