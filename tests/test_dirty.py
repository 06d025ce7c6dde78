"""`samplemix dirty`: a pool that the product reads, labels for all of it, the same bytes again."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner, Result

from samplemix_dagster.cli import app
from samplemix_dagster.cli.start.corpora.dirty import LABELS, rules_of, weights_of
from samplemix_dagster.cli.start.init import describe, describe_files
from samplemix_dagster.core.hashing import doc_id
from samplemix_dagster.core.junk.table import CLEAN, DEFAULT_WEIGHTS, KINDS
from samplemix_dagster.errors import ConfigError, InputError
from samplemix_dagster.storage.corpus.shards import Document, read_shard
from tests.projects import packed, parquet, prose

NUM_TEXTS = 40


def rows(source: str) -> list[dict[str, Any]]:
    return [
        {"id": f"{source}-{n}", "text": prose(f"{source}-{n}", sentences=20)}
        for n in range(NUM_TEXTS)
    ]


def lines(found: list[dict[str, Any]]) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in found).encode()


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A folder with two sources, in two formats, and rows that are no documents."""
    folder = tmp_path / "texts"
    for source in ("news", "web"):
        (folder / source).mkdir(parents=True)
    (folder / "news" / "a.parquet").write_bytes(parquet(rows("news")))
    (folder / "web" / "a.jsonl").write_bytes(lines([*rows("web")[:9], {"id": "x", "text": "no"}]))
    (folder / "web" / "b.jsonl.gz").write_bytes(packed(lines(rows("web")[9:])))
    return folder


def dirty(*words: object) -> Result:
    return CliRunner().invoke(app, ["dirty", *map(str, words)])


def made(texts: Path, out: Path, *words: object) -> dict[str, Any]:
    result = dirty(texts, out, *words, "--json")
    assert result.exit_code == 0, result.exception
    return dict(json.loads(result.stdout))


def labels(out: Path) -> list[dict[str, Any]]:
    return pq.read_table(out / "labels.parquet").to_pylist()


def documents(out: Path, source: str) -> dict[str, str]:
    """The pool's documents of a source by id, as the product itself finds and reads them."""
    found = {s.name: s for s in describe(str(out), out).sources}
    read: dict[str, str] = {}
    for path in sorted(found[source].files):
        for row in read_shard(out / path, rules_of(found[source])):
            assert isinstance(row, Document), row
            read[str(row.id)] = row.text
    return read


def test_every_document_has_a_label_and_every_label_a_document(texts: Path, tmp_path: Path) -> None:
    made(texts, tmp_path / "pool")
    labelled = {(row["source"], row["id"]): row for row in labels(tmp_path / "pool")}
    read = {
        (source, identity): text
        for source in ("news", "web")
        for identity, text in documents(tmp_path / "pool", source).items()
    }
    assert read.keys() == labelled.keys()
    assert {key: doc_id(text) for key, text in read.items()} == {
        key: row["doc_id"] for key, row in labelled.items()
    }


def test_the_clean_texts_are_those_of_the_folder(texts: Path, tmp_path: Path) -> None:
    made(texts, tmp_path / "pool")
    clean = {row["id"]: row["original_id"] for row in labels(tmp_path / "pool")}
    read = documents(tmp_path / "pool", "web")
    found = {(clean[i], text) for i, text in read.items() if clean[i] is not None}
    assert found == {(row["id"], row["text"]) for row in rows("web")}


def test_half_of_the_characters_of_each_source_are_junk(texts: Path, tmp_path: Path) -> None:
    said = made(texts, tmp_path / "pool")
    longest = max(row["num_characters"] for row in labels(tmp_path / "pool"))
    for source in said["sources"].values():
        clean = source["kinds"][CLEAN]["num_characters"]
        junk = sum(kind["num_characters"] for kind in source["kinds"].values()) - clean
        assert 0 <= junk - clean < longest


def test_what_is_counted_is_what_the_labels_say(texts: Path, tmp_path: Path) -> None:
    said = made(texts, tmp_path / "pool")
    counted = duckdb.sql(
        "select source, kind, count(*), sum(num_characters)::bigint "
        f"from '{tmp_path}/pool/labels.parquet' group by all"
    ).fetchall()
    assert {row[:2]: row[2:] for row in counted} == {
        (name, kind): (each["num_documents"], each["num_characters"])
        for name, source in said["sources"].items()
        for kind, each in source["kinds"].items()
        if each["num_documents"]
    }
    assert said["kinds"][CLEAN]["num_documents"] == 2 * NUM_TEXTS
    assert said["sources"]["web"]["rejected"] == {"too_short": 1}


def test_the_file_says_what_the_command_says(texts: Path, tmp_path: Path) -> None:
    said = made(texts, tmp_path / "pool", "--share", 0.3, "--kinds", "salad,logs")
    written = json.loads((tmp_path / "pool" / "dirty.json").read_text())
    assert {**written, "folder": str(tmp_path / "pool")} == said
    assert written["asked"]["weights"] == {"salad": 1.0, "logs": 1.0}


def test_the_labels_have_the_columns_that_are_documented(texts: Path, tmp_path: Path) -> None:
    made(texts, tmp_path / "pool")
    assert pq.read_schema(tmp_path / "pool" / "labels.parquet").equals(LABELS)


def test_junk_names_a_clean_text_of_its_own_source(texts: Path, tmp_path: Path) -> None:
    made(texts, tmp_path / "pool")
    found = labels(tmp_path / "pool")
    clean = {(row["source"], row["id"]) for row in found if row["kind"] == CLEAN}
    assert {(row["source"], row["made_from"]) for row in found if row["made_from"]} <= clean


def test_a_pool_is_a_project_of_its_sources_alone(texts: Path, tmp_path: Path) -> None:
    made(texts, tmp_path / "pool")
    found = describe(str(tmp_path / "pool"), tmp_path)
    assert [source.name for source in found.sources] == ["news", "web"]
    assert {unread.path for unread in found.unread} == {"pool/dirty.json", "pool/labels.parquet"}


def everything(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_same_texts_give_the_same_bytes_in_other_files_and_another_process(
    texts: Path, tmp_path: Path
) -> None:
    made(texts, tmp_path / "pool")
    found = rows("web")[::-1]
    (texts / "web" / "b.jsonl.gz").unlink()
    (texts / "web" / "a.jsonl").write_bytes(lines([{"id": "x", "text": "no"}, *found[:5]]))
    (texts / "web" / "0.jsonl").write_bytes(lines(found[5:]))
    command = [sys.executable, "-m", "samplemix_dagster.cli", "dirty", "texts", "again"]
    hashing = {**os.environ, "PYTHONHASHSEED": "1"}
    subprocess.run(command, cwd=tmp_path, env=hashing, check=True, capture_output=True)
    assert everything(tmp_path / "again") == everything(tmp_path / "pool")


def test_another_seed_gives_another_pool(texts: Path, tmp_path: Path) -> None:
    first, other = made(texts, tmp_path / "a"), made(texts, tmp_path / "b", "--seed", "other")
    assert first["digest"] != other["digest"]


def test_a_glob_and_a_file_are_sources_too(texts: Path, tmp_path: Path) -> None:
    glob = made(texts / "*" / "a.*", tmp_path / "glob")
    file = made(texts / "news" / "a.parquet", tmp_path / "file")
    assert set(glob["sources"]) == {"news", "web"}
    assert glob["sources"]["web"]["kinds"][CLEAN]["num_documents"] == 9
    assert set(file["sources"]) == {"news"}
    assert file["kinds"][CLEAN]["num_documents"] == NUM_TEXTS


def test_a_glob_that_names_all_finds_what_the_folder_has(texts: Path, tmp_path: Path) -> None:
    of_folder = describe(str(texts), tmp_path).sources
    of_glob = describe_files(str(texts / "*" / "*"), tmp_path).sources
    assert of_glob == of_folder


def test_a_person_is_told_what_was_made(texts: Path, tmp_path: Path) -> None:
    result = dirty(texts, tmp_path / "pool")
    assert result.exit_code == 0
    assert all(kind in result.stdout for kind in (CLEAN, *KINDS))


# -- what is refused ------------------------------------------------------------------------------


def test_a_folder_that_is_not_empty_is_left_alone(texts: Path, tmp_path: Path) -> None:
    (tmp_path / "pool").mkdir()
    (tmp_path / "pool" / "mine.txt").write_text("mine")
    result = dirty(texts, tmp_path / "pool")
    assert isinstance(result.exception, ConfigError)
    assert "pool is not empty" in str(result.exception)
    assert everything(tmp_path / "pool") == {"mine.txt": b"mine"}


def test_an_empty_folder_is_filled(texts: Path, tmp_path: Path) -> None:
    (tmp_path / "pool").mkdir()
    made(texts, tmp_path / "pool")
    assert (tmp_path / "pool" / "dirty.json").is_file()


def test_a_pool_among_its_own_sources_is_refused(texts: Path) -> None:
    result = dirty(texts, texts / "pool")
    assert isinstance(result.exception, ConfigError)
    assert "would be read as a source" in str(result.exception)


def test_a_source_without_a_document_is_an_error_that_says_where_and_leaves_nothing(
    texts: Path, tmp_path: Path
) -> None:
    (texts / "zero").mkdir()
    (texts / "zero" / "a.jsonl").write_text('{"text": "short"}\n')
    result = dirty(texts, tmp_path / "pool")
    assert isinstance(result.exception, InputError)
    assert "source zero has no document" in str(result.exception)
    assert "1 too_short" in str(result.exception)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["texts"]


@pytest.mark.parametrize("place", ["nowhere", "no*where", "texts/news/none.jsonl"])
def test_a_place_without_text_is_an_error_that_names_it(
    place: str, texts: Path, tmp_path: Path
) -> None:
    result = dirty(tmp_path / place, tmp_path / "pool")
    assert isinstance(result.exception, InputError)
    assert place in str(result.exception)


@pytest.mark.parametrize(
    ("kinds", "weights", "says"),
    [
        ("salad", "logs=1", "--weights names 'logs', which --kinds leaves out"),
        (None, "salad", "'salad' is none"),
        (None, "salad=much", "'salad=much' is none"),
    ],
)
def test_weights_that_say_nothing_are_refused(kinds: str | None, weights: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        weights_of(kinds, weights)


def test_kinds_that_are_not_named_have_their_default_weight() -> None:
    assert weights_of(None, "salad=3") == {**DEFAULT_WEIGHTS, "salad": 3.0}
    assert weights_of("salad, cut", "salad=3") == {"salad": 3.0, "cut": DEFAULT_WEIGHTS["cut"]}
