"""What was lost of a corpus is said in one sentence, by each command; a clean one is quiet."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.shards.working.first_reading import run_raw_shards
from samplemix_dagster.runs.standing.losses import losses
from samplemix_dagster.runs.standing.warned import Warned
from samplemix_dagster.storage.lake.table_files import RECIPE
from tests.projects import jsonl, needs_encoder, packed, prose

GOOD = 30


def texts(name: str, count: int = GOOD, field: str = "text") -> bytes:
    return jsonl([{field: prose(f"{name}-{number}")} for number in range(count)])


def make(root: Path, files: dict[str, bytes], **corpus: Any) -> Path:
    """Write a project of one source, ``a``: everything in ``data``."""
    for name, content in files.items():
        path = root / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    settings = {
        "corpus": {"sources": {"a": {"path": "data/*"}}, **corpus},
        "mixtures": {"default": {"budget_tokens": 1000}},
        "compute": {"workers": 1, "device": "cpu"},
    }
    (root / "samplemix.yaml").write_text(yaml.safe_dump(settings))
    return root


def opened(root: Path) -> Project:
    return Project.open(root / "samplemix.yaml")


def lost(root: Path) -> list[Warned]:
    """What is lost of a project whose shards have been read."""
    run_raw_shards(opened(root), "a", "")
    return losses(Recipes(opened(root)))


def sentences(root: Path) -> dict[str, str]:
    return {warned.kind: warned.sentence for warned in lost(root)}


# -- the sentences ---------------------------------------------------------------------------------


def test_nothing_is_said_of_a_clean_corpus(tmp_path: Path) -> None:
    assert lost(make(tmp_path, {"a.jsonl": texts("a"), "b.jsonl": texts("b")})) == []


def test_nothing_is_said_before_anything_was_read(tmp_path: Path) -> None:
    root = make(tmp_path, {"a.jsonl": texts("a", field="content")})
    assert losses(Recipes(opened(root))) == []


def test_an_empty_file_beside_others_is_no_loss(tmp_path: Path) -> None:
    assert lost(make(tmp_path, {"a.jsonl": texts("a"), "b.jsonl": b""})) == []


def test_rejected_rows_are_said_with_their_reasons_and_the_first_of_them(tmp_path: Path) -> None:
    short = jsonl([{"text": "short"}] * 3)
    root = make(tmp_path, {"a.jsonl": texts("a"), "b.jsonl": texts("b", 20, "content") + short})
    assert sentences(root)["rejected"] == (
        "a: 23 of 53 rows rejected (20 missing_text, 3 too_short, first data/b.jsonl#0)"
    )


def test_rows_up_to_the_bound_are_not_said(tmp_path: Path) -> None:
    files = {"a.jsonl": texts("a", 9) + texts("b", 1, "content") + texts("c", 10)}
    assert sentences(make(tmp_path / "few", files)) == {}
    strict = make(tmp_path / "none", files, warn_rejected=0)
    assert set(sentences(strict)) == {"rejected"}


def test_a_source_without_a_document_is_said(tmp_path: Path) -> None:
    root = make(tmp_path, {"a.jsonl": texts("a", 4, "content"), "b.jsonl": b""})
    assert sentences(root) == {
        "no_document": "a: 2 shards read, no document (4 missing_text, 1 empty_file, first "
        "data/a.jsonl#0)"
    }


def test_a_shard_without_a_document_is_said(tmp_path: Path) -> None:
    root = make(tmp_path, {"a.jsonl": texts("a", 400), "b.jsonl": texts("b", 2, "content")})
    assert sentences(root) == {
        "shard": "a: no document in data/b.jsonl (2 missing_text), unlike the source's other shards"
    }


def test_shards_without_a_document_are_counted_where_they_are_many(tmp_path: Path) -> None:
    barren = {f"{n}.jsonl": texts(str(n), 1, "content") for n in range(5)}
    root = make(tmp_path, {"a.jsonl": texts("a", 400), **barren})
    assert " and 2 more, unlike the source's other shards" in sentences(root)["shard"]


def test_a_shard_that_breaks_off_is_said(tmp_path: Path) -> None:
    whole = packed(texts("b", 300))
    root = make(tmp_path, {"a.jsonl": texts("a"), "b.jsonl.gz": whole[: len(whole) - 200]})
    assert sentences(root) == {
        "truncated": "a: data/b.jsonl.gz ends in the middle; what came before is kept"
    }


def test_few_documents_are_said(tmp_path: Path) -> None:
    root = make(tmp_path, {"a.jsonl": texts("a", 1)})
    assert sentences(root) == {"few_documents": "a: 1 document in 1 shard: too few to tell apart"}


def test_files_that_are_not_read_are_said(tmp_path: Path) -> None:
    root = make(tmp_path, {"a.jsonl": texts("a"), "b.pdf": b"12", "c.pdf": b"34"})
    (root / "data/d.jsonl").symlink_to("gone")
    assert sentences(root) == {
        "unread": "a: not read: 2 files of 4 bytes, .pdf is a document with a layout: extract its "
        "text (first data/b.pdf); 1 file, a link to what is not there (first data/d.jsonl)"
    }


def test_the_marks_of_a_writer_that_is_done_are_not_said(tmp_path: Path) -> None:
    assert lost(make(tmp_path, {"a.jsonl": texts("a"), "_SUCCESS": b"", "a.jsonl.done": b""})) == []


def test_a_folder_in_the_place_of_a_shard_is_said(tmp_path: Path) -> None:
    root = make(tmp_path, {"a.jsonl": texts("a"), "x.jsonl/b.txt": b"12"})
    assert sentences(root) == {
        "folder": "a: a folder stands where a shard was expected: data/x.jsonl"
    }


def test_a_source_that_cannot_be_listed_is_told_elsewhere(tmp_path: Path) -> None:
    root = make(tmp_path, {"a.jsonl": texts("a")})
    (root / "data/a.jsonl").unlink()
    assert losses(Recipes(opened(root))) == []


def test_each_part_of_a_source_counts(tmp_path: Path) -> None:
    root = make(tmp_path, {f"{n}.jsonl": texts(str(n), 10, "content") for n in range(4)})
    settings = yaml.safe_load((root / "samplemix.yaml").read_text())
    settings["corpus"]["sources"]["a"]["parts"] = 2
    (root / "samplemix.yaml").write_text(yaml.safe_dump(settings))
    for partition in opened(root).partitions:
        run_raw_shards(opened(root), partition, "")
    [warned] = losses(Recipes(opened(root)))
    assert warned.words.startswith("4 shards read, no document (40 missing_text")


def test_rejected_rows_of_the_first_version_count_one_each(tmp_path: Path) -> None:
    root = make(tmp_path, {"a.jsonl": texts("a", 20) + texts("b", 20, "content")})
    before = sentences(root)
    recipes = Recipes(opened(root))
    [shard] = recipes.project.all_shards()
    path = recipes.lake.path(recipes.rejections_key(shard))
    table = pq.read_table(path).drop_columns(["num_rows"])
    table = table.replace_schema_metadata({RECIPE: table.schema.metadata[RECIPE]})
    path.unlink()
    pq.write_table(table, path)
    assert {w.kind: w.sentence for w in losses(Recipes(opened(root)))} == before


# -- the commands ----------------------------------------------------------------------------------


def samplemix(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "samplemix_dagster.cli", *words]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that lost rows and whose configuration does not want that; its corpus was read."""
    root = tmp_path_factory.mktemp("strict")
    make(root, {"a.jsonl": texts("a"), "b.jsonl": texts("b", field="content")}, warn="fail")
    done = samplemix(root, "run", "--select", "shards", "--json")
    (root / "run.json").write_text(done.stdout)
    (root / "run.txt").write_text(f"{done.returncode}\n{done.stderr}")
    return root


@needs_encoder
def test_a_run_that_lost_rows_ends_with_3_where_that_is_wanted(strict: Path) -> None:
    code, *lines = (strict / "run.txt").read_text().splitlines()
    assert code == "3"
    assert lines[-1] == (
        "samplemix: 2 warnings of the corpus, and corpus.warn is `fail`. What was made is kept."
    )


@needs_encoder
def test_what_such_a_run_made_is_kept(strict: Path) -> None:
    project = opened(strict)
    assert project.lake.names("features/grams")
    done = samplemix(strict, "run", "--select", "shards")
    assert done.returncode == 3
    assert "Everything is current" in done.stderr


@needs_encoder
@pytest.mark.parametrize("command", ["run", "status"])
def test_warnings_stand_in_the_json_of_each_command(command: str, strict: Path) -> None:
    said = (
        (strict / "run.json").read_text()
        if command == "run"
        else samplemix(strict, command, "--json").stdout
    )
    warnings = {w["kind"]: w for w in json.loads(said)["warnings"]}
    assert warnings["rejected"] == {
        "kind": "rejected",
        "where": "a",
        "words": "30 of 60 rows rejected (30 missing_text, first data/b.jsonl#0)",
    }
    assert {"rejected", "shard"} <= set(warnings)
