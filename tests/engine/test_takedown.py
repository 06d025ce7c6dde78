"""A take-down on two mixtures: which versions hold it, where, and the proof of its absence."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from samplemix_dagster.cli import app
from samplemix_dagster.core.hashing import doc_id
from samplemix_dagster.errors import CheckFailedError, ConfigError
from samplemix_dagster.trace.exports.exported import open_export, trace_place
from tests.engine.runs import copies, run, version
from tests.projects import copy_project, finished_project, needs_encoder, open_project, prose

pytestmark = needs_encoder
GONE = ("web-0-1", "letters-1-4")


def asked(root: Path, *words: str) -> Result:
    command = [*words, "--config", str(root / "samplemix.yaml")]
    return CliRunner().invoke(app, command, catch_exceptions=True)


def answer(root: Path, *words: str) -> object:
    return json.loads(asked(root, *words, "--json").stdout)


@pytest.fixture(scope="module")
def drawn() -> list[str]:
    """Names of rows whose documents both mixtures draw."""
    both = [copies(finished_project(), name) for name in ("default", "flat")]
    names = [f"news-{shard}-{number}" for shard in range(2) for number in range(20)]
    found = [name for name in names if all(one[doc_id(prose(name))] for one in both)]
    assert len(found) >= 2
    return found[:2]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the finished project, which the tests below change one after the other."""
    return copy_project(finished_project(), tmp_path_factory.mktemp("takedown") / "project")


@pytest.fixture(scope="module")
def added(root: Path, drawn: list[str]) -> dict:
    """What the command says when two pages are taken down, and one that nobody has."""
    pages = [f"https://www.EXAMPLE.org/{name}/" for name in drawn]
    (root / "urls.txt").write_text("\n".join([*pages, "example.org/none"]), encoding="utf-8")
    words = ["takedown", "add", "--urls", str(root / "urls.txt"), "--reason", "asked for"]
    return answer(root, *words)


@pytest.fixture(scope="module")
def former(root: Path, added: dict) -> dict[str, str]:
    """The versions that were current before the next run."""
    found = {name: version(root, name) for name in ("default", "flat")}
    run(root)
    return found


def test_each_line_says_how_many_documents_it_names(added: dict) -> None:
    assert added["num_added"] == 3
    assert [one["num_documents"] for one in added["matched"]] == [1, 1, 0]


def test_every_version_that_draws_them_is_named_with_each_place_in_its_export(
    added: dict, drawn: list[str], former: dict[str, str], root: Path
) -> None:
    ids = {doc_id(prose(name)) for name in drawn}
    assert {one["name"]: one["version"] for one in added["versions"]} == former
    for one in added["versions"]:
        assert {row["doc_id"] for row in one["documents"]} == ids
        [export] = one["exports"]
        assert len(export["draws"]) == one["num_draws"]
        exported = open_export(open_project(root), f"{one['name']}@{one['version']}")
        for draw in export["draws"]:
            [found] = trace_place(exported, draw["file"], draw["offset"])
            assert found["doc_id"] == draw["doc_id"] in ids


def test_the_next_versions_draw_none_of_them_and_a_query_proves_it(
    former: dict[str, str], root: Path
) -> None:
    import duckdb

    for name in former:
        found = answer(root, "takedown", "prove", name)
        assert found["held"] == []
        assert duckdb.sql(found["query"]).fetchall() == []


def test_the_same_query_finds_them_in_the_versions_before(
    former: dict[str, str], drawn: list[str], root: Path
) -> None:
    for name, one in former.items():
        result = asked(root, "takedown", "prove", f"{name}@{one}", "--json")
        assert isinstance(result.exception, CheckFailedError)
        found = json.loads(result.stdout)
        assert found["agrees"]
        assert {row["doc_id"] for row in found["held"]} == {doc_id(prose(n)) for n in drawn}


def test_who_exports_a_version_of_before_is_told_what_it_holds(
    former: dict[str, str], root: Path, tmp_path: Path
) -> None:
    words = ["export", "--to", str(tmp_path / "old"), f"default@{former['default']}"]
    assert "these files hold 2 documents taken down since, in" in asked(root, *words).stderr
    words = ["export", "--to", str(tmp_path / "new"), "default"]
    assert "taken down" not in asked(root, *words).stderr


def test_versions_of_before_stay_and_are_marked(former: dict[str, str], root: Path) -> None:
    listed = {(one["name"], one["version"]): one for one in answer(root, "mixture", "list")}
    for name, one in former.items():
        assert listed[name, one]["num_taken_down"] == 2
        assert listed[name, version(root, name)]["num_taken_down"] == 0
        assert "taken down since: 2" in asked(root, "mixture", "show", f"{name}@{one}").stderr


@pytest.mark.parametrize(
    ("what", "line"),
    [
        ("ids", doc_id(prose(GONE[0]))),
        ("ids", f"web:{GONE[0]}"),
        ("urls", f"http://example.org/{GONE[0]}"),
        ("texts", prose(GONE[0]) + "\n"),
        ("domains", "example.org"),
    ],
)
def test_the_query_and_the_list_name_the_same_documents(
    what: str, line: str, tmp_path: Path
) -> None:
    own = copy_project(finished_project(), tmp_path / "project")
    (own / "list.txt").write_text(line, encoding="utf-8")
    added = answer(own, "takedown", "add", f"--{what}", str(own / "list.txt"), "--reason", "x")
    assert [one["num_documents"] > 0 for one in added["matched"]] == [True]
    held = {one["name"]: {row["doc_id"] for row in one["documents"]} for one in added["versions"]}
    for name in ("default", "flat"):
        found = json.loads(asked(own, "takedown", "prove", name, "--json").stdout)
        assert found["agrees"]
        assert {row["doc_id"] for row in found["held"]} == held.get(name, set())


def test_what_names_nothing_is_warned_of_by_count_and_name(tmp_path: Path) -> None:
    own = copy_project(finished_project(), tmp_path / "project")
    (own / "list.txt").write_text("nowhere.example\n", encoding="utf-8")
    result = asked(own, "takedown", "add", "--domains", str(own / "list.txt"), "--reason", "x")
    assert "1 of 1 name nothing that has been read: domain nowhere.example" in result.stderr
    assert "No version draws any of them." in result.stdout


def test_an_empty_hand_is_refused(tmp_path: Path) -> None:
    own = copy_project(finished_project(), tmp_path / "project")
    result = asked(own, "takedown", "add", "--reason", "x")
    assert isinstance(result.exception, ConfigError)
    assert "at least one of --ids" in str(result.exception)
