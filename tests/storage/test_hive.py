"""Folders `key=value`: what a path says of its documents, and that it is part of the shard."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from samplemix_dagster.cli.start.init import describe
from samplemix_dagster.cli.start.written import write_config
from samplemix_dagster.engine.places.shard_places import digested_shards, shard_places
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.shards.working.first_reading import run_raw_shards
from samplemix_dagster.engine.watching.looking import look_at
from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.stages.diversity.grams.ngrams import GRAMS
from samplemix_dagster.stages.diversity.words import WORDS
from samplemix_dagster.storage.ask.query import query
from samplemix_dagster.storage.corpus.manifest import Shard
from samplemix_dagster.storage.corpus.places.hive import keys_of, named_digest, values_of
from samplemix_dagster.storage.lake.whole_files import digest_file
from tests.projects import jsonl, prose

ROOT = Path("/project")
ROWS = jsonl([{"id": str(n), "text": prose(f"hive-{n}")} for n in range(3)])


def make(root: Path, files: dict[str, bytes], path: str = "data/**/*.jsonl", **more: Any) -> Path:
    for name, content in files.items():
        file = root / "data" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    corpus = {"sources": {"a": {"path": path, **more.pop("source", {})}}, **more}
    settings = {"corpus": corpus, "mixtures": {"m": {"budget_tokens": 100}}}
    (root / "samplemix.yaml").write_text(yaml.safe_dump({**settings, "compute": {"workers": 1}}))
    return root


def opened(root: Path) -> Project:
    return Project.open(root / "samplemix.yaml")


def read(root: Path) -> list[dict[str, Any]]:
    """Read the corpus, and return what its documents are."""
    run_raw_shards(opened(root), "a", "", joining=(GRAMS, WORDS))
    sql = "select shard, row, language, metadata from documents order by shard, row"
    return list(query(opened(root).lake, sql).to_pylist())


def shards(root: Path) -> dict[str, Shard]:
    return {shard.path: shard for shard in opened(root).scan("a").shards}


# -- paths -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("folders", "values"),
    [
        (["lang=en", "year=2024"], {"lang": "en", "year": "2024"}),
        (["lang=en", "x", "lang=de"], {"lang": "de"}),
        (["topic=a%20b%2Fc", "k%3D=v"], {"topic": "a b/c", "k=": "v"}),
        (["url=a=b"], {"url": "a=b"}),
        (["lang=__HIVE_DEFAULT_PARTITION__"], {}),
        (["lang=en", "lang=__HIVE_DEFAULT_PARTITION__"], {}),
        (["lang="], {"lang": ""}),
        (["=en", "plain", ""], {}),
    ],
)
def test_folders_give_values(folders: list[str], values: dict[str, str]) -> None:
    assert keys_of(folders) == values


@pytest.mark.parametrize(
    ("path", "pattern", "values"),
    [
        ("d/lang=en/a.jsonl", "d/**/*.jsonl", (("lang", "en"),)),
        ("d/lang=en/a.jsonl", "d/*=*/*.jsonl", (("lang", "en"),)),
        ("d/lang=en/a.jsonl", "./d/lang=*/*", (("lang", "en"),)),
        ("d/lang=en/a.jsonl", "/project/d/*/*", (("lang", "en"),)),
        ("/far/lang=en/a.jsonl", "/far/**/*", (("lang", "en"),)),
        ("d/lang=en/a.jsonl", "d/lang=en/*.jsonl", ()),
        ("d/lang=en/a.jsonl", "d/lang=en/a.jsonl", ()),
        ("d/lang=en.jsonl", "d/*", ()),
        ("d/year=1/a.jsonl", "d/**", ()),
        ("s3://b/d/lang=en/a.jsonl", "s3://b/d/*/*.jsonl", (("lang", "en"),)),
        ("s3://b/d/lang=en/a.jsonl", "s3://b/d", (("lang", "en"),)),
        ("s3://b/d/lang=en/a.jsonl", "s3://b/d/", (("lang", "en"),)),
        ("s3://b/lang=en/a.jsonl", "s3://b/lang=en/a.jsonl", ()),
        ("s3://b/lang=en/a.jsonl", "s3://b/lang=en/*", ()),
    ],
)
def test_values_come_from_below_the_fixed_part_of_a_pattern(
    path: str, pattern: str, values: tuple[tuple[str, str], ...]
) -> None:
    assert values_of(path, [pattern], ROOT, ["lang"]) == values


def test_a_folder_that_is_named_is_the_fixed_part(tmp_path: Path) -> None:
    (tmp_path / "d/lang=en").mkdir(parents=True)
    assert values_of("d/lang=en/a.txt", ["d"], tmp_path, ["lang"]) == (("lang", "en"),)
    assert values_of("d/lang=en/a.txt", ["d/lang=en"], tmp_path, ["lang"]) == ()


def test_the_shortest_fixed_part_of_several_patterns_counts() -> None:
    patterns = ["d/lang=en/*", "d/*/*"]
    assert values_of("d/lang=en/a.txt", patterns, ROOT, ["lang"]) == (("lang", "en"),)


def test_a_shard_without_values_is_named_by_its_bytes() -> None:
    assert named_digest("0" * 32, ()) == "0" * 32
    assert named_digest("0" * 32, (("a", "b"),)) == named_digest("0" * 32, {"a": "b"}) != "0" * 32


# -- documents -------------------------------------------------------------------------------------


def test_a_value_is_metadata_of_each_document(tmp_path: Path) -> None:
    source = {"metadata": ["topic"]}
    root = make(tmp_path, {"topic=a%20b/year=1/a.jsonl": ROWS}, source=source)
    assert [json.loads(row["metadata"]) for row in read(root)] == [{"topic": "a b"}] * 3


def test_a_value_can_be_the_language(tmp_path: Path) -> None:
    files = {"lang=xx/a.jsonl": ROWS, "lang=__HIVE_DEFAULT_PARTITION__/b.jsonl": ROWS + ROWS}
    found = read(make(tmp_path, files, language="lang"))
    assert {(row["shard"], row["language"]) for row in found} == {
        ("data/lang=xx/a.jsonl", "xx"),
        ("data/lang=__HIVE_DEFAULT_PARTITION__/b.jsonl", "und"),
    }


def test_a_field_of_the_row_itself_wins(tmp_path: Path) -> None:
    rows = jsonl([{"text": prose("a"), "lang": "own"}, {"text": prose("b"), "lang": None}])
    found = read(make(tmp_path, {"lang=path/a.jsonl": rows}))
    assert [json.loads(row["metadata"])["lang"] for row in found] == ["own", "path"]


def test_the_same_bytes_under_two_values_are_two_shards(tmp_path: Path) -> None:
    root = make(tmp_path, {"lang=de/a.jsonl": ROWS, "lang=en/a.jsonl": ROWS}, language="lang")
    found = shards(root)
    assert len({shard.digest for shard in found.values()}) == 2
    assert len({shard.bytes_digest for shard in found.values()}) == 1
    assert [row["language"] for row in read(root)] == ["de"] * 3 + ["en"] * 3


def test_a_key_that_nobody_asked_for_moves_nothing(tmp_path: Path) -> None:
    root = make(tmp_path, {"year=1/a.jsonl": ROWS, "year=2/a.jsonl": ROWS})
    [shard] = shards(root).values()
    assert shard.digest == digest_file(root / "data/year=1/a.jsonl")
    assert shard.other_paths == ("data/year=2/a.jsonl",)


# -- from scan to scan -----------------------------------------------------------------------------


def test_a_source_that_was_read_is_current(tmp_path: Path) -> None:
    root = make(tmp_path, {"lang=de/a.jsonl": ROWS, "lang=en/a.jsonl": ROWS})
    read(root)
    assert Planner(opened(root)).plan(["raw_shards"]).is_empty
    assert look_at(opened(root), "a").taken == ()


def test_a_file_that_moves_to_another_value_keeps_what_was_scored(tmp_path: Path) -> None:
    root = make(tmp_path, {"lang=de/a.jsonl": ROWS}, language="lang")
    read(root)
    [before] = shards(root).values()
    (root / "data/lang=de").rename(root / "data/lang=en")
    [after] = shards(root).values()
    assert (after.previous, after.bytes_digest) == (before.digest, before.bytes_digest)
    assert [row["language"] for row in read(root)] == ["en"] * 3


def test_a_lake_from_before_values_counted_is_carried_over(tmp_path: Path) -> None:
    root = make(tmp_path, {"topic=x/a.jsonl": ROWS})
    read(root)
    make(root, {}, source={"metadata": ["topic"]})
    [shard] = shards(root).values()
    assert shard.previous == shard.bytes_digest == digest_file(root / shard.path)
    assert [json.loads(row["metadata"]) for row in read(root)] == [{"topic": "x"}] * 3


def test_a_touched_file_is_no_change(tmp_path: Path) -> None:
    root = make(tmp_path, {"lang=de/a.jsonl": ROWS})
    read(root)
    project = opened(root)
    (root / "data/lang=de/a.jsonl").touch()
    look_at(project, "a", now=1e9)
    assert look_at(project, "a", now=2e9).touched == ("data/lang=de/a.jsonl",)


@pytest.mark.parametrize("values", [{}, {"lang": "de"}])
def test_shards_of_a_version_are_found_by_bytes_and_their_own_values(
    values: dict[str, str], tmp_path: Path
) -> None:
    root = make(tmp_path, {"lang=de/a.jsonl": ROWS})
    read(root)
    path = "data/lang=de/a.jsonl"
    digest = named_digest(digest_file(root / path), values)
    entry = {"source": "a", "digest": digest, "path": path, "partition": "a", "values": values}
    version = {"shards": [entry]}
    assert shard_places(opened(root), version) == {("a", digest): ("there", path)}
    assert digested_shards(opened(root), version).places == {("a", digest): ("there", path)}


# -- init ------------------------------------------------------------------------------------------


def test_init_proposes_the_keys_as_metadata_and_the_language_as_a_comment(tmp_path: Path) -> None:
    for name in ("topic=x/lang=de", "topic=y/lang=en"):
        (tmp_path / "data" / name).mkdir(parents=True)
        (tmp_path / "data" / name / "a.jsonl").write_bytes(ROWS)
    found = describe(str(tmp_path / "data"), tmp_path)
    write_config(found, tmp_path / "samplemix.yaml")
    text = (tmp_path / "samplemix.yaml").read_text()
    assert "  # language: lang" in text
    project = opened(tmp_path)
    assert "topic" in project.config.corpus.sources["data"].metadata
    values = [dict(shard.values) for shard in project.scan("data").shards]
    assert sorted(value["topic"] + value["lang"] for value in values) == ["xde", "yen"]


def test_init_writes_no_metadata_where_no_folder_has_a_key(tmp_path: Path) -> None:
    (tmp_path / "data/a").mkdir(parents=True)
    (tmp_path / "data/a/x=y.jsonl").write_bytes(ROWS)
    write_config(describe(str(tmp_path / "data"), tmp_path), tmp_path / "samplemix.yaml")
    text = (tmp_path / "samplemix.yaml").read_text()
    assert "metadata" not in text
    assert not any(line.strip().startswith("language:") for line in text.splitlines())
