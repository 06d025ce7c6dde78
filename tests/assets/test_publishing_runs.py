"""Publishing in Dagster: a blocking check holds a version back; hooks are told once."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from samplemix_dagster.definitions import build_defs
from samplemix_dagster.wiring.running.run_report import RunReport
from tests.engine.changes import turn_a_dial
from tests.engine.runs import run_stale, version
from tests.engine.test_publishing import lose_a_document
from tests.projects import (
    copy_project,
    finished_project,
    needs_encoder,
    open_project,
    read_settings,
    write_settings,
)

pytestmark = needs_encoder
_WRITE = "import sys; open('told.jsonl', 'a').write(sys.stdin.read() + '\\n')"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A finished project with a turned dial, whose hooks write to ``told.jsonl``."""
    root = copy_project(finished_project(), tmp_path / "project")
    turn_a_dial(root)
    settings = read_settings(root)
    hook = {"command": [sys.executable, "-c", _WRITE]}
    settings["hooks"] = {"failure": hook, "new_version": hook}
    write_settings(root, settings)
    return root


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as found:
        yield found


def run(root: Path, instance: dg.DagsterInstance) -> RunReport:
    project = open_project(root)
    repository = build_defs(project, with_report=False).get_repository_def()
    return run_stale(project, repository, instance, with_report=False, quiet=True)


def told(root: Path) -> list[dict[str, Any]]:
    path = root / "told.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def test_a_version_is_published_only_if_its_blocking_checks_hold(
    root: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = version(root)
    with monkeypatch.context() as broken:
        lose_a_document(broken)
        report = run(root, instance)
    assert not report.succeeded
    assert not report.can_pass
    assert version(root) == before
    (failure,) = report.failures
    assert failure.startswith("mixture/default: ")
    assert "ledger_adds_up" in failure
    assert f"version {before[:12]} stays current" in failure
    assert "export/default" not in {entry["asset"] for entry in report.done}
    (event,) = told(root)
    assert event["event"] == "failure"
    assert event["failures"] == report.failures
    assert event["current_versions"]["default"] == before
    assert event["run_ids"]

    assert run(root, instance).succeeded
    assert version(root) != before
    _, event = told(root)
    assert event["event"] == "new_version"
    assert (event["mixture"], event["version"]) == ("default", version(root))
    assert event["previous_version"] == before
    assert event["run_ids"]

    assert run(root, instance).done == []
    assert len(told(root)) == 2


def test_a_hook_that_fails_fails_no_run(root: Path, instance: dg.DagsterInstance) -> None:
    settings = read_settings(root)
    settings["hooks"] = {"new_version": {"command": ["no-such-program-anywhere"]}}
    write_settings(root, settings)
    before = version(root)
    assert run(root, instance).succeeded
    assert version(root) != before
