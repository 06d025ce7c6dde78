"""The manifest has its published form and names everything; its ledger leads to bytes in SQL."""

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import jsonschema
import pytest

from samplemix_dagster.stages.mixture.published.mixture_manifest import (
    MixtureManifest,
    manifest_schema,
)
from samplemix_dagster.stages.stepping.steps import build_steps
from samplemix_dagster.trace.versions import changed_inputs
from samplemix_dagster.wiring.assets.mixture import inputs_markdown
from tests.engine.changes import CHANGES
from tests.engine.runs import Run, manifest, rows
from tests.projects import needs_encoder, open_project

After = Callable[[str], Run]
DOCS = Path(__file__).parents[2] / "docs"
FIELDS = MixtureManifest.model_fields
KEYS = [field.alias or name for name, field in FIELDS.items()]
REQUIRED = [field.alias or name for name, field in FIELDS.items() if field.is_required()]


def test_the_published_schema_is_that_of_the_code() -> None:
    published = json.loads((DOCS / "mixture-manifest.schema.json").read_text(encoding="utf-8"))
    assert published == manifest_schema(), "run `samplemix mixture schema > docs/...`"


def test_every_key_of_the_manifest_is_on_the_page_of_outputs() -> None:
    page = (DOCS / "outputs.md").read_text(encoding="utf-8")
    assert [key for key in KEYS if f"`{key}`" not in page] == []


@needs_encoder
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("mixture", ["default", "flat"])
def test_every_manifest_fulfils_the_schema(change: str, mixture: str, after: After) -> None:
    jsonschema.validate(manifest(after(change).root, mixture), manifest_schema())


@needs_encoder
@pytest.mark.parametrize("key", REQUIRED)
def test_a_manifest_without_a_key_does_not(key: str, finished: Path) -> None:
    rest = {name: value for name, value in manifest(finished).items() if name != key}
    with pytest.raises(jsonschema.ValidationError, match=f"'{key}' is a required property"):
        jsonschema.validate(rest, manifest_schema())


@needs_encoder
def test_the_manifest_names_what_the_version_depends_on(finished: Path) -> None:
    found, lake = manifest(finished), open_project(finished).lake
    assert set(found["features"]) == {"letters", "news", "web"}
    for entries in found["features"].values():
        for entry in entries.values():
            assert lake.names(entry["folder"])
    digests = {model["digest"] for model in found["models"].values()}
    recipes = json.dumps(found["features"])
    assert all(digest in recipes for digest in digests)
    for name in found["fit_recipes"]:
        assert lake.exists(f"fits/{name}/{found['fits'][name]}/fit.json")
    assert "torch" in found["packages"]


@needs_encoder
def test_the_manifest_holds_no_section_that_cannot_change_a_result(finished: Path) -> None:
    named = set(manifest(finished)["project"])
    assert named == {
        "corpus",
        "tokenizer",
        "references",
        "encoder",
        "quality",
        "diversity",
        "mixtures",
        "compute",
    }
    assert set(manifest(finished)["project"]["compute"]) == {"device", "dtype"}


@needs_encoder
def test_the_inputs_in_the_ui_link_to_assets_that_exist(finished: Path) -> None:
    found = manifest(finished)
    shown = inputs_markdown(found)
    linked = set(re.findall(r"\(/assets/([\w/-]+)\?asOf=\d+\)", shown))
    steps = {step.asset for step in build_steps(open_project(finished))}
    assert linked <= steps
    drawn = {name for name in steps if name.startswith(("mixture/", "export/"))}
    assert linked == steps - drawn
    assert all(found["fits"][name] in shown for name in found["fit_recipes"])


@needs_encoder
@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("a dial turned", "the settings of the mixture"),
        ("a shard added", "data"),
        ("embeddings shortened", "the encoder"),
    ],
)
def test_what_changed_since_the_last_version_is_named_without_a_draw(
    change: str, words: str, after: After, finished: Path
) -> None:
    root, before = after(change).root, manifest(finished)["version"]
    now = manifest(root)["version"]
    assert changed_inputs(open_project(root), "default", before, now).startswith(f"{words};")


# -- from the ledger to bytes, with DuckDB alone --------------------------------------------------


def sql_of_the_page() -> list[str]:
    page = (DOCS / "traceability.md").read_text(encoding="utf-8")
    return re.findall(r"```sql\n(.*?)```", page, re.DOTALL)


@needs_encoder
@pytest.mark.parametrize(("source", "block"), [("letters", 2), ("news", 1), ("web", 1)])
def test_the_sql_of_the_page_leads_from_a_ledger_row_to_the_text(
    source: str, block: int, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocks = sql_of_the_page()
    monkeypatch.chdir(finished)
    sought = rows(
        finished,
        f"select doc_id, shard, row from ledger where mixture = 'default' and source = '{source}' "
        "and (reason is null or reason = 'not_drawn') order by shard, row",
    )
    assert len(sought) > 30
    with duckdb.connect(":memory:") as connection:
        for wanted in sought[::7]:
            place = re.sub(
                r"set variable doc = '.*?'", f"set variable doc = '{wanted['doc_id']}'", blocks[0]
            )
            (found,) = answer(connection, place)
            assert (found["path"], found["row"]) == (wanted["shard"], wanted["row"])
            content = (finished / found["path"]).read_bytes()
            assert found["digest"] == hashlib.blake2b(content, digest_size=16).hexdigest()
            (read,) = answer(connection, blocks[block])
            text = read["text"].encode()
            assert hashlib.blake2b(text, digest_size=16).hexdigest() == wanted["doc_id"]


def answer(connection: Any, sql: str) -> list[dict[str, Any]]:
    connection.execute(sql)
    names = [column[0] for column in connection.description]
    return [dict(zip(names, row, strict=True)) for row in connection.fetchall()]
