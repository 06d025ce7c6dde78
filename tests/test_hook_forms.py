"""The bodies of hooks for Slack and for OpenLineage."""

import json
import sys
import uuid
from datetime import datetime
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from samplemix_dagster.config.project import Config
from samplemix_dagster.engine.project import Project
from samplemix_dagster.runs.hooks.hooks import tell_failure, tell_new_version
from samplemix_dagster.stages.mixture.published.publishing import Publication
from tests.projects import base_settings
from tests.test_hooks import REPORT, VERSION

RUN = "9e5de86e-650f-41a0-9d1a-0591d4fe9601"
SECRET = "s3cr3t-t0ken"
MANIFEST = {
    "version": VERSION,
    "report": REPORT,
    "shards": [
        {"source": "web", "digest": "1" * 32, "path": "data/web/part-0.jsonl.gz"},
        {"source": "web", "digest": "2" * 32, "path": "data/web/part-1.jsonl.gz"},
        {"source": "far", "digest": "3" * 32, "path": "part-0.parquet"},
    ],
    "fits": {"beta": "b" * 24, "corpus": "c" * 24, "encoder": "e" * 32},
    "fit_recipes": {"beta": {}, "corpus": {}},
}

# Written down from the published schema, https://openlineage.io/spec/2-0-2/OpenLineage.json, and
# its facets DatasetVersion 1-0-1, Schema 1-1-1 and ErrorMessage 1-0-1: what they require, no more.
_FACET = {
    "type": "object",
    "properties": {
        "_producer": {"type": "string", "format": "uri"},
        "_schemaURL": {"type": "string", "format": "uri"},
    },
    "required": ["_producer", "_schemaURL"],
}
_DATASET = {
    "type": "object",
    "properties": {
        "namespace": {"type": "string"},
        "name": {"type": "string"},
        "facets": {
            "type": "object",
            "properties": {
                "version": {
                    "properties": {"datasetVersion": {"type": "string"}},
                    "required": ["datasetVersion"],
                },
                "schema": {
                    "properties": {
                        "fields": {
                            "type": "array",
                            "items": {
                                "properties": {
                                    "name": {"type": "string"},
                                    "type": {"type": "string"},
                                    "description": {"type": "string"},
                                },
                                "required": ["name"],
                            },
                        }
                    }
                },
            },
            "additionalProperties": _FACET,
        },
    },
    "required": ["namespace", "name"],
}
RUN_EVENT = {
    "type": "object",
    "properties": {
        "eventType": {"enum": ["START", "RUNNING", "COMPLETE", "ABORT", "FAIL", "OTHER"]},
        "eventTime": {"type": "string", "format": "date-time"},
        "producer": {"type": "string", "format": "uri"},
        "schemaURL": {"type": "string", "format": "uri"},
        "run": {
            "type": "object",
            "properties": {
                "runId": {"type": "string", "format": "uuid"},
                "facets": {
                    "type": "object",
                    "properties": {
                        "errorMessage": {
                            "properties": {"message": {"type": "string"}},
                            "required": ["message", "programmingLanguage"],
                        }
                    },
                    "additionalProperties": _FACET,
                },
            },
            "required": ["runId"],
        },
        "job": {
            "type": "object",
            "properties": {"namespace": {"type": "string"}, "name": {"type": "string"}},
            "required": ["namespace", "name"],
        },
        "inputs": {"type": "array", "items": _DATASET},
        "outputs": {"type": "array", "items": _DATASET},
    },
    "required": ["eventTime", "producer", "schemaURL", "run", "job"],
}


def project_telling(root: Path, form: str) -> Project:
    """Return a project whose hooks write their bodies to ``told.jsonl``."""
    settings = base_settings(root / "reference")
    settings["corpus"]["sources"] = {
        "web": {"path": "data/web/*"},
        "far": {"path": [f"https://me:{SECRET}@example.org/part-0.parquet?sig={SECRET}"]},
    }
    write = "import sys; open('told.jsonl', 'a').write(sys.stdin.read() + '\\n')"
    hook = {"command": [sys.executable, "-c", write], "format": form}
    settings["hooks"] = {"failure": hook, "new_version": hook}
    project = Project(Config.model_validate(settings), root)
    project.lake.replace_json(f"mixtures/default/{VERSION}/manifest.json", MANIFEST)
    return project


def told(root: Path) -> dict[str, Any]:
    text = (root / "told.jsonl").read_text()
    assert SECRET not in text
    (line,) = text.splitlines()
    return dict(json.loads(line))


def new_version(root: Path, form: str, run_ids: list[str]) -> dict[str, Any]:
    made = Publication(mixture="default", version=VERSION, previous=None)
    assert tell_new_version(project_telling(root, form), made, run_ids) == []
    return told(root)


def failure(root: Path, form: str, failures: list[str], run_ids: list[str]) -> dict[str, Any]:
    assert tell_failure(project_telling(root, form), failures, run_ids, "publish") == []
    return told(root)


def checked(event: dict[str, Any]) -> dict[str, Any]:
    """Return an event that is one: the formats too, where a validator would let them pass."""
    jsonschema.Draft202012Validator(RUN_EVENT).validate(event)
    uuid.UUID(event["run"]["runId"])
    assert datetime.fromisoformat(event["eventTime"]).tzinfo is not None
    assert (
        event["schemaURL"] == "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/RunEvent"
    )
    return event


def test_a_new_version_is_a_run_event_with_our_digests_as_versions(tmp_path: Path) -> None:
    event = checked(new_version(tmp_path, "openlineage", [RUN]))
    assert (event["eventType"], event["run"]["runId"]) == ("COMPLETE", RUN)
    assert event["job"] == {"namespace": f"samplemix/{tmp_path.name}", "name": "mixture/default"}
    inputs = {one["name"]: one for one in event["inputs"]}
    lake = tmp_path / ".samplemix" / "lake"
    assert set(inputs) == {
        str(tmp_path / "data/web/*"),
        "part-0.parquet",
        str(lake / "fits/beta"),
        str(lake / "fits/corpus"),
    }
    assert inputs["part-0.parquet"]["namespace"] == "https://example.org"
    beta = inputs[str(lake / "fits/beta")]["facets"]["version"]
    assert beta["datasetVersion"] == "b" * 24
    (output,) = event["outputs"]
    assert (output["namespace"], output["name"]) == ("file", str(lake / "mixtures/default"))
    assert output["facets"]["version"]["datasetVersion"] == VERSION
    fields = {field["name"]: field["type"] for field in output["facets"]["schema"]["fields"]}
    assert fields["copies"] == "int32"


def test_another_shard_is_another_version_of_its_source_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = new_version(tmp_path, "openlineage", [RUN])
    (tmp_path / "told.jsonl").unlink()
    monkeypatch.setitem(MANIFEST["shards"][0], "digest", "9" * 32)  # type: ignore[index,arg-type]
    after = new_version(tmp_path, "openlineage", [RUN])
    pairs = zip(before["inputs"], after["inputs"], strict=True)
    changed = [one["name"] for one, other in pairs if one["facets"] != other["facets"]]
    assert changed == [str(tmp_path / "data/web/*")]


def test_a_failure_is_a_run_event_that_says_why(tmp_path: Path) -> None:
    event = checked(failure(tmp_path, "openlineage", ["corpus: broken", "too"], [RUN]))
    assert (event["eventType"], event["job"]["name"]) == ("FAIL", "publish")
    assert event["run"]["facets"]["errorMessage"]["message"] == "corpus: broken\ntoo"


def test_a_failure_without_a_run_has_an_id_of_its_own(tmp_path: Path) -> None:
    assert checked(failure(tmp_path, "openlineage", ["the disk is full"], []))


def test_a_message_for_slack_says_the_figures(tmp_path: Path) -> None:
    message = new_version(tmp_path, "slack", [RUN])
    project = tmp_path.name
    assert message["text"] == f"Mixture default of {project} has a new version, {VERSION[:12]}"
    kinds = [block["type"] for block in message["blocks"]]
    assert kinds == ["header", "section", "context"]
    fields = [field["text"] for field in message["blocks"][1]["fields"]]
    assert "*Tokens*\n98 of 100" in fields
    assert "*Mean quality*\n0.600" in fields


def test_what_failed_makes_no_link_or_mention_in_slack(tmp_path: Path) -> None:
    message = failure(tmp_path, "slack", ["a: <!channel> & <http://x|y> broke"], [RUN])
    assert message["text"].startswith("1 failure in publish of ")
    words = message["blocks"][1]["text"]["text"]
    assert words == "• a: &lt;!channel&gt; &amp; &lt;http://x|y&gt; broke"


@pytest.mark.parametrize("sentence", ["long " * 2_000, "<&>" * 4_000])
def test_a_message_stays_within_what_slack_takes(tmp_path: Path, sentence: str) -> None:
    message = failure(tmp_path, "slack", [sentence] * 30, [RUN])
    text = message["blocks"][1]["text"]["text"]
    assert len(text) <= 3_000
    assert "and 22 more" in text
    assert not text.split("\n")[0].rstrip("…").endswith(("&", "&a", "&am", "&l", "&lt"))
