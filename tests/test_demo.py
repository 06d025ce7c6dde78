import gzip
import json
import signal
import sys
from pathlib import Path

import pytest

from samplemix_dagster.cli import main
from samplemix_dagster.cli.start.corpora.demo import demo_config, make_demo, write_demo_corpus
from samplemix_dagster.config.project import Config
from samplemix_dagster.config.text.reading import parse_config

SOURCES = {"documentation", "code", "packages", "debris"}


def rows_in(folder: Path) -> list[dict[str, str]]:
    parts = [gzip.decompress(path.read_bytes()) for path in sorted(folder.rglob("*.jsonl.gz"))]
    return [json.loads(line) for part in parts for line in part.splitlines()]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("demo")
    write_demo_corpus(folder, num_documents=160)
    return folder


@pytest.fixture(scope="module")
def rows(corpus: Path) -> list[dict[str, str]]:
    return rows_in(corpus)


@pytest.fixture(scope="module")
def config() -> Config:
    return parse_config(demo_config())


def test_has_four_sources_of_the_asked_number(tmp_path: Path) -> None:
    assert write_demo_corpus(tmp_path, num_documents=80) == dict.fromkeys(SOURCES, 20)


def test_every_source_has_its_shards(corpus: Path) -> None:
    names = sorted(path.relative_to(corpus).as_posix() for path in corpus.rglob("*.gz"))
    wanted = [f"data/{name}/part-0000{shard}.jsonl.gz" for name in SOURCES for shard in range(3)]
    assert names == sorted(wanted)


def test_two_writes_are_equal_bytes(corpus: Path, tmp_path: Path) -> None:
    write_demo_corpus(tmp_path, num_documents=160)
    first = {p.relative_to(corpus): p.read_bytes() for p in corpus.rglob("*.gz")}
    second = {p.relative_to(tmp_path): p.read_bytes() for p in tmp_path.rglob("*.gz")}
    assert first == second


def test_a_larger_corpus_begins_with_the_smaller_one(rows: list[dict[str, str]], tmp_path: Path):
    write_demo_corpus(tmp_path, num_documents=80)
    assert {row["id"] for row in rows_in(tmp_path)} < {row["id"] for row in rows}


def test_every_document_has_the_size_of_a_document(rows: list[dict[str, str]]) -> None:
    sizes = [len(row["text"].encode()) for row in rows]
    assert min(sizes) >= 300
    assert max(sizes) <= 6000


def test_every_document_says_where_it_is_from(rows: list[dict[str, str]]) -> None:
    assert all(row["id"] and row["package"] and row["path"] for row in rows)
    assert len({row["id"] for row in rows}) == len(rows)


def test_no_document_holds_a_place_on_this_machine(rows: list[dict[str, str]]) -> None:
    assert not any(row["path"].startswith(("/", "..")) for row in rows)


def test_making_it_again_leaves_files_and_configuration_alone(tmp_path: Path) -> None:
    config = make_demo(tmp_path, num_documents=40)
    config.write_text("mine", encoding="utf-8")
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")}
    assert make_demo(tmp_path, num_documents=40) == config
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.*")} == before


def test_the_budget_follows_the_size_of_the_corpus(tmp_path: Path) -> None:
    config = make_demo(tmp_path, num_documents=160)
    budgets = {m.budget_tokens for m in parse_config(config.read_text()).mixtures.values()}
    assert budgets == {20_000}


def test_the_configuration_names_the_sources_that_are_written(config: Config) -> None:
    assert set(config.corpus.sources) == SOURCES
    assert set(config.mixtures) == {"default", "held", "proportional"}


def test_the_configuration_matches_every_shard(config: Config, corpus: Path) -> None:
    found = {path for s in config.corpus.sources.values() for path in corpus.glob(str(s.path))}
    assert found == set(corpus.rglob("*.gz"))


def test_a_place_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "afile").touch()
    monkeypatch.setattr(sys, "argv", ["samplemix", "demo", str(tmp_path / "afile")])
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    with pytest.raises(SystemExit, match="1"):
        main()
    said = capsys.readouterr().err
    assert "afile/data/documentation could not be read or written: Not a directory" in said
