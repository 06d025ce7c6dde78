"""A project whose folder, shards and targets have every sign in their names works like others."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from samplemix_dagster.cli.start.init import describe
from samplemix_dagster.cli.start.written import write_config
from samplemix_dagster.engine.shards.working.first_reading import run_raw_shards
from samplemix_dagster.storage.ask.query import query
from samplemix_dagster.storage.ask.relations.view_tables import check_tables
from samplemix_dagster.trace.explain import explain_row
from tests.projects import (
    base_settings,
    jsonl,
    make_reference,
    needs_encoder,
    open_project,
    read_settings,
    shard_rows,
    write_settings,
)

ODD = "a b'c\"[1]#%\n{x}😀\\"
SHARDS = ["data/x[1]#/p '0\"#%[0].jsonl", "data/no/é 😀\\\n.jsonl"]


def write(root: Path) -> Path:
    """Write a corpus of two sources with odd names, and let `init` describe it."""
    for number, name in enumerate(SHARDS):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(jsonl(shard_rows("web", number, 40)))
    write_config(describe(str(root / "data"), root), root / "samplemix.yaml")
    return root


def test_shards_of_any_name_are_read_queried_and_explained(tmp_path: Path) -> None:
    root = write(tmp_path / ODD)
    for partition in open_project(root).partitions:
        run_raw_shards(open_project(root), partition, "")
    lake = open_project(root).lake
    check_tables(lake)
    rows = query(lake, "select shard, row from rejections where reason = 'missing_text'")
    found = {(row["shard"], row["row"]) for row in rows.to_pylist()}
    assert found == {(name, 41) for name in SHARDS}
    for name in SHARDS:
        assert explain_row(open_project(root), f"{name}#41", None)["rejected"]["shard"] == name
    assert query(lake, "select * from 'documents/*/*.parquet'").num_rows > 0


# -- all commands ----------------------------------------------------------------------------------


def samplemix(root: Path, *words: str) -> str:
    command = [sys.executable, "-m", "samplemix_dagster.cli", *words]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def rows(root: Path, sql: str) -> list[dict[str, Any]]:
    return list(json.loads(samplemix(root, "query", sql, "--json")))


@needs_encoder
@pytest.mark.slow
def test_every_command_works_in_a_folder_of_any_name(tmp_path: Path) -> None:
    root = write(tmp_path / ODD)
    make_reference(root / "ref[0]'")
    base = base_settings(Path("ref[0]'"))
    sources = read_settings(root)["corpus"]["sources"]
    write_settings(root, {**base, "corpus": {"sources": sources}})
    assert len(json.loads(samplemix(root, "plan", "--json"))["stages"]) > 10
    run = samplemix(root, "run")
    assert "Telemetry" not in run
    assert json.loads(samplemix(root, "plan", "--json"))["stages"] == []
    assert rows(root, "select count(*) as n from composition_by_source")[0]["n"] > 0
    [first] = rows(root, "select shard, row from documents order by shard, row limit 1")
    explained = json.loads(samplemix(root, "explain", f"{first['shard']}#{first['row']}", "--json"))
    assert explained["occurrences"][0]["shard"] == first["shard"]
    samplemix(root, "mixture", "lineage", "default", "--html", "lineage '#[1].html")
    assert (root / "lineage '#[1].html").read_text().count("<html") == 1
    samplemix(root, "export", "default", "--to", "out '#[1]%")
    assert (root / "out '#[1]%/manifest.json").is_file()
    samplemix(root, "scores", "--to", "scores '#[1].parquet")
    assert json.loads(samplemix(root, "mixture", "verify", "default", "--json"))["holds"]
    samplemix(root, "run", "--check-lake")
    samplemix(root, "gc")
