"""A stage from outside is one file and one line in the flow, and everybody sees it."""

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from examples.lines_stage import LINES, Lines
from samplemix_dagster.definitions import build_defs
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.runs.upkeep.garbage import find_garbage
from samplemix_dagster.stages import flow
from samplemix_dagster.stages.stepping.steps import build_steps
from samplemix_dagster.trace.lineage import lineage
from samplemix_dagster.trace.verify.verifying import verify
from tests.engine.changes import rewrite_one_document
from tests.engine.runs import Run, manifest, rows, run, version
from tests.projects import copy_project, finished_project, needs_encoder, open_project

pytestmark = needs_encoder
PLAIN = flow.FLOW
ABOVE = {"document_scores", "beta_parameters"}


@pytest.fixture(scope="module")
def longer_flow() -> Iterator[None]:
    """The flow with a line more, before all others: order comes from needs."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flow, "FLOW", (LINES, *PLAIN))
        yield


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that was finished without the stage."""
    return copy_project(finished_project(), tmp_path_factory.mktemp("outside") / "project")


@pytest.fixture(scope="module")
def former(before: Path) -> str:
    """The version of its mixture without the stage."""
    return version(before)


@pytest.fixture(scope="module")
def change(before: Path, former: str, longer_flow: None) -> Run:
    """What a run does once the line stands there."""
    return run(before)


def test_it_and_what_reads_it_are_planned_and_run_and_nothing_else(change: Run) -> None:
    drawn = {f"{kind}/{name}" for kind in ("mixture", "export") for name in ("default", "flat")}
    assert change.assets == {"line_lengths", *ABOVE, *drawn}
    assert change.planned == change.done
    assert Planner(change.project).plan().is_empty


def test_every_row_read_is_scored_or_rejected(change: Run) -> None:
    project, recipes = change.project, Recipes(change.project)
    [read] = rows(change.root, "select count(*) as n from documents")
    assert read["n"] == 120
    assert sum(change.counts("line_lengths").values()) == 120
    for shard in project.all_shards():
        documents = project.lake.read_table(recipes.feature_key(flow.DOCUMENTS, shard))
        lines = project.lake.read_table(recipes.feature_key(LINES, shard))
        assert lines.column("doc_id").equals(documents.column("doc_id"))
        assert min(lines.column("num_lines").to_pylist()) >= 1


def test_its_columns_stand_beside_the_scores(change: Run) -> None:
    [row] = rows(change.root, "select min(num_lines) as least, count(*) as n from scores")
    assert row["least"] >= 1
    assert row["n"] == 120


def test_a_version_names_it_and_both_versions_verify(change: Run, former: str) -> None:
    assert "lines" in manifest(change.root)["features"]["news"]
    for one in (former, version(change.root)):
        found = verify(change.project, "default", one)
        assert found["holds"], found["checks"]
    found = lineage(change.project, "default", version(change.root))
    assert [node["is_there"] for node in found["nodes"] if node["name"] == "lines"] == [True]


def test_what_it_made_is_no_garbage(change: Run) -> None:
    found = find_garbage(change.project, grace_seconds=0)
    assert [key for key in found.keys if key.startswith("features/lines")] == []


def test_of_a_rewritten_shard_it_computes_the_new_document_alone(
    change: Run, tmp_path: Path
) -> None:
    root = copy_project(change.root, tmp_path / "project")
    rewrite_one_document(root)
    assert run(root).counts("line_lengths") == {"news": 1}


def test_it_is_an_asset_of_dagster_with_its_words_its_check_and_its_place(change: Run) -> None:
    definitions = build_defs(change.project, with_report=False)
    graph = definitions.resolve_asset_graph()
    node = graph.get(dg.AssetKey("line_lengths"))
    assert node.description == LINES.words
    assert node.group_name == "quality"
    assert {key.name for key in node.check_keys} == {"one_row_per_document"}
    assert dg.AssetKey("line_lengths") in graph.get(dg.AssetKey("document_scores")).parent_keys


class Joins(Lines):
    """The same stage, filled in the first reading of a shard."""

    asset = flow.DOCUMENTS.asset


def test_one_with_the_asset_of_documents_joins_in_their_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "FLOW", (joins := Joins(), *PLAIN))
    root = copy_project(finished_project(), tmp_path / "project")
    change = run(root)
    assert change.counts("raw_shards").keys() == {"letters", "news", "web"}
    assert "line_lengths" not in change.assets
    for shard in change.project.all_shards():
        key = Recipes(change.project).feature_key(joins, shard)
        assert change.project.lake.num_rows(key) == 20


def test_two_stages_of_one_asset_that_no_reading_fills_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    other = Lines()
    other.name = "others"
    monkeypatch.setattr(flow, "FLOW", (*PLAIN, LINES, other))
    project = open_project(copy_project(finished_project(), tmp_path / "project"))
    with pytest.raises(ValueError, match="line_lengths cannot be the asset of lines and others"):
        build_steps(project)


def test_it_stands_after_what_it_needs_wherever_its_line_stands(change: Run) -> None:
    steps = {step.asset: place for place, step in enumerate(build_steps(change.project))}
    assert steps["raw_shards"] < steps["line_lengths"] < steps["document_scores"]
