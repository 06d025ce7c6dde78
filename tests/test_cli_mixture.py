"""The commands of ``samplemix mixture``."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.commands import answer, samplemix
from tests.engine.changes import rewrite_one_document, turn_a_dial
from tests.engine.runs import manifest, run, version
from tests.projects import copy_project, finished_project, needs_encoder

pytestmark = needs_encoder
COMMANDS = ["list", "show", "lineage", "diff", "verify", "schema"]


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with two versions of ``default``; the first one is written beside it."""
    root = copy_project(finished_project(), tmp_path_factory.mktemp("cli") / "project")
    (root / "first.txt").write_text(version(root))
    rewrite_one_document(root)
    turn_a_dial(root)
    run(root)
    return root


def first(project: Path) -> str:
    return (project / "first.txt").read_text()


def is_standalone(page: Path) -> bool:
    """Nothing is fetched and nothing is run."""
    text = page.read_text(encoding="utf-8")
    assert text.startswith("<!doctype html>")
    assert text.rstrip().endswith("</html>")
    links = re.findall(r"(?:src|href|url)\s*[=(]", text)
    return not links and "<script" not in text and "@import" not in text


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, project: Path) -> None:
    done = samplemix(project, "mixture", command, "--help")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) > 3


def test_list_marks_the_current_version(project: Path) -> None:
    entries = [e for e in answer(project, "mixture", "list") if e["name"] == "default"]
    assert [entry["version"] for entry in entries if entry["is_current"]] == [version(project)]
    assert len(entries) == 2


def test_the_schema_is_json(project: Path) -> None:
    done = samplemix(project, "mixture", "schema")
    assert json.loads(done.stdout)["title"] == "A mixture version's manifest"


def test_lineage_is_told_in_text_json_and_a_page(project: Path, tmp_path: Path) -> None:
    text = samplemix(project, "mixture", "lineage", "default").stdout
    for shard in manifest(project)["shards"]:
        assert shard["path"] in text
    graph = answer(project, "mixture", "lineage", first(project))
    assert graph["version"] == first(project)
    page = tmp_path / "lineage.html"
    done = samplemix(project, "mixture", "lineage", "default", "--html", str(page))
    assert done.returncode == 0, done.stderr
    assert is_standalone(page)
    written = page.read_text(encoding="utf-8")
    assert "<svg" in written
    for node in answer(project, "mixture", "lineage", "default")["nodes"]:
        assert node["version"] in written


def test_diff_is_told_in_text_json_and_a_page(project: Path, tmp_path: Path) -> None:
    words = ("mixture", "diff", first(project), "default")
    found = answer(project, *words)
    assert [cause["causes"] for cause in found["causes"]] == [["data"], ["dials"]]
    text = samplemix(project, *words).stdout
    for sentence in found["words"]:
        assert sentence in text
    page = tmp_path / "diff.html"
    assert samplemix(project, *words, "--html", str(page)).returncode == 0
    assert is_standalone(page)
    assert "the settings of the mixture" in page.read_text(encoding="utf-8")


@pytest.mark.parametrize("which", ["first", "current"])
def test_verify_holds_and_says_so(which: str, project: Path) -> None:
    name = "default" if which == "current" else f"default@{first(project)[:10]}"
    done = samplemix(project, "mixture", "verify", name)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "BROKEN" not in done.stdout
    assert done.stdout.count("\n") == 9


def test_verify_leaves_with_3_when_a_byte_was_flipped(project: Path, tmp_path: Path) -> None:
    root = tmp_path / "damaged"
    shutil.copytree(project, root)
    folder = root / f".samplemix/lake/mixtures/default/{version(root)}/ledger"
    path = min(folder.iterdir())
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)
    done = samplemix(root, "mixture", "verify", "default", "--json")
    assert done.returncode == 3
    assert "does not hold: ledger_files" in done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found["is_broken"]
    assert not found["holds"]


def test_explain_takes_a_version_and_a_place(project: Path) -> None:
    row = answer(
        project, "query", "select doc_id, shard, row from ledger where copies > 0 limit 1"
    )[0]
    place = f"{row['shard']}#{row['row']}"
    for words in ([row["doc_id"], "--mixture", first(project)], [place]):
        done = samplemix(project, "explain", *words)
        assert done.returncode == 0, done.stderr
    assert samplemix(project, "explain", "nowhere#1").returncode == 2
