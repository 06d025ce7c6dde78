"""Verifying a version: it holds when nothing was touched, and each kind of damage is found."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.errors import CheckFailedError, ConfigError
from samplemix_dagster.show.explained import explanation_lines
from samplemix_dagster.show.lineage_tree import lineage_text
from samplemix_dagster.stages.mixture.published.mixture_manifest import sealed
from samplemix_dagster.storage.corpus.shards import REASONS
from samplemix_dagster.storage.lake import table_files
from samplemix_dagster.trace.explain import explain_document, explain_row
from samplemix_dagster.trace.lineage import lineage
from samplemix_dagster.trace.verify.verifying import verify
from tests.engine.changes import CHANGES
from tests.engine.runs import Run, manifest, rows, run, version
from tests.projects import needs_encoder, open_project

pytestmark = needs_encoder
After = Callable[[str], Run]


def verified(root: Path, deep: int = 0, mixture: str = "default") -> dict[str, Any]:
    return verify(open_project(root), mixture, version(root, mixture), deep=deep)


def states(found: dict[str, Any]) -> dict[str, str]:
    return {check["check"]: check["state"] for check in found["checks"]}


def lake(root: Path) -> Path:
    return root / ".samplemix" / "lake"


def feature(root: Path, stage: str) -> Path:
    """The table of a stage for the first shard of ``news``."""
    found = manifest(root)
    digest = next(s["digest"] for s in found["shards"] if s["source"] == "news")
    return lake(root) / found["features"]["news"][stage]["folder"] / f"{digest}.parquet"


def altered(path: Path, column: str, value: Any) -> None:
    """Give the first row of a table another value."""
    table = pq.read_table(path)
    values = table.column(column).to_pylist()
    values[0] = value
    kind = table.schema.field(column).type
    place = table.column_names.index(column)
    rewrite(path, table.set_column(place, table.schema.field(column), pa.array(values, kind)))


def rewrite(path: Path, table: pa.Table) -> None:
    """Write another table at a place of the lake, with the digests that belong to it."""
    root = next(folder for folder in path.parents if folder.name == "lake")
    recipe = json.loads(table.schema.metadata[table_files.RECIPE])
    table_files.write(path, path.relative_to(root).as_posix(), table, recipe)


# -- it holds -------------------------------------------------------------------------------------


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("mixture", ["default", "flat"])
def test_every_version_holds(change: str, mixture: str, after: After) -> None:
    found = verified(after(change).root, mixture=mixture)
    assert found["holds"], found["checks"]
    assert set(states(found).values()) == {"holds"}


def test_a_version_whose_inputs_have_moved_on_still_holds(root: Path) -> None:
    before = version(root)
    CHANGES["a document rewritten"](root)
    CHANGES["a dial turned"](root)
    CHANGES["embeddings shortened"](root)
    run(root)
    found = verify(open_project(root), "default", before)
    assert found["holds"]
    assert states(found)["shards"] == "not_checked"
    assert "1 rewritten" in next(c["words"] for c in found["checks"] if c["check"] == "shards")


def test_deep_scores_raw_texts_again_to_the_same_numbers(root: Path) -> None:
    found = verified(root, deep=12)
    assert found["holds"]
    deep = {name for name in states(found) if name.startswith("deep_")}
    assert deep == {"deep_texts", "deep_perplexity", "deep_tokens", "deep_embeddings"}


# -- it does not hold -----------------------------------------------------------------------------


def test_a_flipped_byte_of_the_ledger_is_found(root: Path) -> None:
    key = next(iter(manifest(root)["ledger"]))
    path = lake(root) / f"mixtures/default/{version(root)}" / key
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(content)
    found = verified(root)
    assert not found["holds"]
    assert states(found)["ledger_files"] == "broken"


def test_another_number_of_copies_in_the_stored_ledger_is_found(root: Path) -> None:
    key = next(iter(manifest(root)["ledger"]))
    altered(lake(root) / f"mixtures/default/{version(root)}" / key, "copies", 3)
    found = states(verified(root))
    assert found["ledger_files"] == found["accounting"] == "broken"
    assert found["drawn_again"] == "holds", "what the manifest says comes out all the same"


@pytest.mark.parametrize(
    ("stage", "column", "value"),
    [
        ("scores", "quality", 0.987),
        ("quality", "quality", 0.987),
        ("perplexity", "bits_per_byte", 0.5),
        ("ownership", "ngram_score", 0.5),
        ("diversity", "diversity", 0.123),
        ("tokens", "num_tokens", 77),
    ],
)
def test_an_altered_feature_is_found(stage: str, column: str, value: Any, root: Path) -> None:
    altered(feature(root, stage), column, value)
    found = verified(root)
    assert not found["holds"]
    assert found["is_broken"]


def test_deep_finds_a_score_that_the_model_does_not_give(root: Path) -> None:
    for name in ("news", "web", "letters"):
        found = manifest(root)
        folder = lake(root) / found["features"][name]["perplexity"]["folder"]
        for path in folder.glob("*.parquet"):
            table = pq.read_table(path)
            for column in table.column_names[1:]:
                values = [2 * value for value in table.column(column).to_pylist()]
                kind = table.schema.field(column)
                place = table.column_names.index(column)
                table = table.set_column(place, kind, pa.array(values, kind.type))
            rewrite(path, table)
        break
    assert states(verified(root, deep=60))["deep_perplexity"] == "broken"


def edit_manifest(root: Path, edit: Callable[[dict[str, Any]], None], *, seal: bool) -> None:
    path = lake(root) / f"mixtures/default/{version(root)}/manifest.json"
    value = json.loads(path.read_text())
    edit(value)
    path.write_text(json.dumps(sealed(value) if seal else value))


def test_an_edited_manifest_is_found(root: Path) -> None:
    edit_manifest(root, lambda value: value.update(made_by="somebody else"), seal=False)
    assert states(verified(root))["manifest"] == "broken"


@pytest.mark.parametrize(
    ("check", "edit"),
    [
        ("address", lambda m: m["config"].update(budget_tokens=7999)),
        ("address", lambda m: m["shards"].pop()),
        ("address", lambda m: m["models"]["reference"].update(digest="0" * 32)),
        ("report", lambda m: m["report"].update(mean_quality=0.9)),
        ("report", lambda m: m["scales"].update(news=1.0)),
    ],
)
def test_a_manifest_that_was_edited_and_sealed_again_is_found(
    check: str, edit: Callable[[dict[str, Any]], None], root: Path
) -> None:
    edit_manifest(root, edit, seal=True)
    found = verified(root)
    assert not found["holds"]
    assert states(found)[check] == "broken"


def test_a_manifest_without_a_key_is_refused(root: Path) -> None:
    edit_manifest(root, lambda value: value.pop("machine"), seal=True)
    with pytest.raises(CheckFailedError, match="machine: Field required"):
        verified(root)


def test_a_manifest_of_an_older_form_says_what_to_do(root: Path) -> None:
    edit_manifest(root, lambda value: value.update(schema=1), seal=True)
    with pytest.raises(ConfigError, match="samplemix run"):
        verified(root)


# -- what is gone ---------------------------------------------------------------------------------


def test_without_stored_features_the_ledger_alone_is_drawn_again(root: Path) -> None:
    feature(root, "embeddings").unlink()
    found = verified(root)
    assert found["holds"]
    assert states(found)["scored_again"] == "not_checked"
    assert states(found)["drawn_again"] == "holds"


def test_without_scores_nothing_vouches_for_the_ledger(root: Path) -> None:
    feature(root, "embeddings").unlink()
    feature(root, "scores").unlink()
    found = verified(root)
    assert not found["holds"]
    assert not found["is_broken"]
    assert states(found)["drawn_again"] == "not_checked"


def test_a_derived_table_that_is_gone_is_made_again_beside_the_lake(root: Path) -> None:
    gone = feature(root, "scores")
    gone.unlink()
    assert verified(root)["holds"]
    assert not gone.exists()


def test_shards_and_models_that_are_gone_are_said(root: Path) -> None:
    (root / "data/web/part-1.jsonl.gz").unlink()
    edit_manifest(root, lambda m: m["project"]["encoder"].update(model="nowhere"), seal=True)
    found = verified(root, deep=60)
    assert found["holds"]
    assert {name for name, state in states(found).items() if state == "not_checked"} == {
        "shards",
        "models",
        "deep_embeddings",
    }
    words = " ".join(check["words"] for check in found["checks"])
    assert "1 gone" in words
    assert "more are gone or rewritten" in words


# -- lineage --------------------------------------------------------------------------------------


def test_the_lineage_reaches_every_shard_and_model(root: Path) -> None:
    found = lineage(open_project(root), "default", version(root))
    nodes = {node["id"]: node for node in found["nodes"]}
    reached, ahead = set(), [found["root"]]
    while ahead:
        one = ahead.pop()
        if one not in reached:
            reached.add(one)
            ahead += nodes[one]["inputs"]
    assert reached == set(nodes) - {"fit/reference-main"}, "a named reference is fitted to nothing"
    assert {n["version"] for n in nodes.values() if n["kind"] == "shard"} == {
        shard["digest"] for shard in manifest(root)["shards"]
    }
    assert all(node["is_there"] for node in nodes.values())
    text = lineage_text(found)
    for node in nodes.values():
        if node["id"] in reached:
            assert node["name"] in text


def test_the_lineage_says_what_is_gone(root: Path) -> None:
    feature(root, "grams").unlink()
    (root / "data/news/part-0.jsonl").unlink()
    found = lineage(open_project(root), "default", version(root))
    gone = {node["name"] for node in found["nodes"] if not node["is_there"]}
    assert gone == {"grams", "data/news/part-0.jsonl"}


# -- explain --------------------------------------------------------------------------------------


def one(root: Path, condition: str) -> dict[str, Any]:
    return rows(root, f"select * from ledger where mixture = 'default' and {condition} limit 1")[0]


@pytest.mark.parametrize("condition", ["copies > 0", "reason = 'not_drawn'"])
def test_the_words_lead_to_the_copies(condition: str, root: Path) -> None:
    row = one(root, condition)
    found = explain_document(open_project(root), row["doc_id"], "default")
    told = next(m for m in found["mixtures"] if m["row"] == row["row"])
    reached = min(told["max_copies"], told["scale"] * told["weight"])
    assert int(reached + told["luck"]) == row["copies"]
    assert f"= {row['copies']}" in told["because"]


def test_a_duplicate_names_the_occurrence_that_is_drawn_instead(root: Path) -> None:
    row = one(root, "reason = 'duplicate'")
    found = explain_document(open_project(root), row["doc_id"], f"default@{version(root)}")
    (told,) = [m for m in found["mixtures"] if m["reason"] == "duplicate"]
    first = next(m for m in found["mixtures"] if m["reason"] != "duplicate")
    assert f"at {first['shard']} row {first['row']}" in told["because"]


def test_a_document_of_a_removed_shard_is_explained_from_the_version(root: Path) -> None:
    before = version(root)
    row = one(root, "source = 'web' and shard like '%part-1%' and copies > 0")
    CHANGES["a shard removed"](root)
    run(root)
    with pytest.raises(ConfigError, match="--mixture VERSION"):
        explain_document(open_project(root), row["doc_id"], None)
    found = explain_document(open_project(root), row["doc_id"], f"default@{before}")
    assert found["text"] is None
    assert found["scores"]["quality"] == row["quality"]
    assert found["mixtures"][0]["copies"] == row["copies"]
    assert "no longer there" in "\n".join(explanation_lines(found))


def test_a_rejected_row_is_explained_by_its_place(root: Path) -> None:
    (rejected, *_) = rows(root, "select * from rejections order by row")
    digest = next(s["digest"] for s in manifest(root)["shards"] if s["path"] == rejected["shard"])
    for place in (rejected["shard"], digest):
        found = explain_row(open_project(root), f"{place}#{rejected['row']}", None)
        assert found["rejected"]["reason"] == rejected["reason"]
        assert REASONS[rejected["reason"]] in "\n".join(explanation_lines(found))


@pytest.mark.parametrize("mixture", [None, "default"])
def test_a_row_that_is_a_document_is_explained_as_one(mixture: str | None, root: Path) -> None:
    row = one(root, "copies > 0")
    found = explain_row(open_project(root), f"{row['shard']}#{row['row']}", mixture)
    assert found["doc_id"] == row["doc_id"]


def test_a_place_that_is_no_row_says_how_to_ask(root: Path) -> None:
    with pytest.raises(ConfigError, match="rows count from 0"):
        explain_row(open_project(root), "data/news/part-0.jsonl#900", None)


def test_a_manifest_is_known_by_its_digest(root: Path) -> None:
    found = manifest(root)
    rest = {key: value for key, value in found.items() if key != "digest"}
    assert found["digest"] == fingerprint(rest)
