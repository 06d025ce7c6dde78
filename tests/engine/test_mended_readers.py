"""A mended reader: what it reads is read anew, models score no text twice, old versions verify."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.shards.rejected import num_rejected
from samplemix_dagster.engine.shards.shard_rows import read_documents
from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.storage.corpus.rows import readers_by_look, readers_by_name, with_versions
from samplemix_dagster.trace.verify.verifying import verify
from tests.engine.runs import Run, rows, run_changed, version
from tests.projects import SHARD_DOCUMENTS, finished_project, needs_encoder, open_project
from tests.storage.test_shards import PAIR, rules_of

pytestmark = needs_encoder


@pytest.fixture(scope="module")
def mended(finished: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The finished project, run again after the reader of one of its sources was mended."""
    del finished  # made before the reader is mended

    def readers(_project: Project, source: str) -> dict[str, int]:
        return {"csv": 2} if source == "news" else {}

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Project, "readers", readers)
        return run_changed(tmp_path_factory.mktemp("mended") / "project")


def test_only_what_a_mended_reader_reads_is_read_anew(mended: Run) -> None:
    assert mended.counts("raw_shards") == {"news": 2 * SHARD_DOCUMENTS}
    assert mended.why["raw_shards"] == "read anew by mended readers: csv"


@pytest.mark.parametrize("asset", ["perplexity", "token_counts", "embeddings"])
def test_no_model_scores_a_text_again_for_how_it_was_read(asset: str, mended: Run) -> None:
    assert mended.counts(asset) == {"news": 0}


def test_the_plan_knew_it(mended: Run) -> None:
    assert mended.planned == mended.done


def test_a_version_from_before_verifies(mended: Run) -> None:
    former = version(finished_project())
    assert former != version(mended.root)
    found = verify(mended.project, "default", former, deep=5)
    assert found["holds"], found["checks"]


def test_texts_that_an_older_reader_gave_are_not_called_broken(
    mended: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    from samplemix_dagster.trace.verify import rescoring

    monkeypatch.setattr(rescoring, "is_read_otherwise", lambda *_: True)
    monkeypatch.setattr(rescoring, "read_shard", lambda *_: iter(()))
    found = verify(mended.project, "default", version(finished_project()), deep=5)
    [check] = [entry for entry in found["checks"] if entry["check"] == "deep_texts"]
    assert check["state"] == "not_checked"
    assert "read by an older reader" in check["words"]


# -- lakes of the first version ----------------------------------------------------------------


def as_of_the_first_version(project: Project) -> Recipes:
    """Take the column that the first version did not write out of every table of rejections."""
    recipes = Recipes(project)
    for shard in project.all_shards():
        path = project.lake.path(recipes.rejections_key(shard))
        table = pq.read_table(path)
        path.unlink()
        # Footers of that version had the recipe and nothing else.
        footer = {b"samplemix.recipe": table.schema.metadata[b"samplemix.recipe"]}
        former = table.drop_columns(["num_rows"]).replace_schema_metadata(footer)
        pq.write_table(former, path)
    return recipes


def test_tables_of_the_first_version_are_current_and_count(root: Path) -> None:
    project = open_project(root)
    sql = "select sum(num_rows) as n from rejections"
    [before] = rows(root, sql)
    recipes = as_of_the_first_version(project)
    assert Planner(open_project(root)).plan().is_empty
    assert rows(root, sql) == [before]
    assert sum(num_rejected(recipes, shard) for shard in project.all_shards()) == before["n"]


def test_what_the_first_version_read_is_read_as_it_did(root: Path) -> None:
    project = open_project(root)
    recipes = as_of_the_first_version(project)
    shard = next(shard for shard in project.all_shards() if shard.source == "news")
    key = recipes.feature_key(DOCUMENTS, shard)
    path = root / shard.shard.path
    path.write_bytes(path.read_bytes() + b"\xef\xbb\xbf" + PAIR)
    found = [document.row for document in read_documents(recipes, shard)]
    assert found == [*project.lake.read_table(key).column("row").to_pylist(), SHARD_DOCUMENTS + 1]


# -- which readers a file has --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "readers"),
    [
        ("a.csv", {"csv": 2}),
        ("a.TSV.gz", {"tsv": 2}),
        ("a.parquet", {}),
        ("a.arrow", {"arrow": 1, "names": 2}),
        ("a.foo", {"names": 2}),
        ("a.jl", {"names": 2}),
    ],
)
def test_a_name_says_which_readers_are_mended(name: str, readers: dict[str, int]) -> None:
    assert with_versions(readers_by_name(name, rules_of()) or set()) == readers


@pytest.mark.parametrize(
    ("content", "readers"),
    [
        (PAIR, set()),
        (b"not json\n" + PAIR, set()),
        (b"[" + PAIR.strip().replace(b"\n", b",") + b"]", {"json"}),
        (json.dumps({"text": "a"}, indent=1).encode(), {"json"}),
        (PAIR.replace(b"\n", b"\r"), {"json"}),
        (PAIR.decode().encode("utf-16"), {"encoding"}),
        (b"", set()),
    ],
    ids=["lines", "a broken line first", "array", "indented", "CR", "UTF-16", "empty"],
)
def test_first_bytes_say_whether_lines_of_json_are_read_otherwise(
    content: bytes, readers: set[str], tmp_path: Path
) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(content)
    assert readers_by_look(path, rules_of()) == readers
