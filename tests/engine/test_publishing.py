"""Publishing: a version becomes current only if it holds; else the last good one stays."""

import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from samplemix_dagster.errors import CheckFailedError
from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.runs.standing.status import project_status
from samplemix_dagster.runs.work.run import run_project
from samplemix_dagster.stages.export.exporting import current_version
from samplemix_dagster.stages.mixture import mixing
from samplemix_dagster.stages.mixture.published.publishing import (
    broken_verdicts,
    publish_mixture,
    refuse_mixture,
    refused,
)
from samplemix_dagster.stages.mixture.published.version_files import is_exported
from samplemix_dagster.trace.versions import list_versions
from tests.engine.changes import turn_a_dial
from tests.engine.runs import version
from tests.projects import needs_encoder, open_project

pytestmark = needs_encoder


def lose_a_document(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the draw lose the first document of each shard, as a bug would."""
    whole = mixing._ledger

    def partial(*args: Any, **named: Any) -> pa.Table:
        return whole(*args, **named).slice(1)

    monkeypatch.setattr(mixing, "_ledger", partial)


def why(root: Path, asset: str) -> str:
    plan = Planner(open_project(root)).plan().by_asset()
    return next((entry["why"] for entry in plan if entry["asset"] == asset), "")


def test_a_version_that_does_not_add_up_is_not_published(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = version(root)
    turn_a_dial(root)
    with monkeypatch.context() as broken:
        lose_a_document(broken)
        with pytest.raises(CheckFailedError) as error:
            run_project(open_project(root))
    message = str(error.value)
    assert "mixture 'default' is not published: ledger_adds_up does not hold" in message
    assert re.search(r"documents of the ledger 1\d\d, those of the corpus 1\d\d;", message)
    assert f"version {before[:12]} stays current" in message

    project = open_project(root)
    assert current_version(project, "default") == before
    assert is_exported(project, "default", before)
    made = {entry["version"] for entry in list_versions(project) if entry["name"] == "default"}
    assert len(made) == 2
    assert "is not published: ledger_adds_up" in why(root, "mixture/default")
    assert why(root, "export/default") == "after mixture/default"
    states = {entry["asset"]: entry["state"] for entry in project_status(project)["assets"]}
    assert states["mixture/default"] == "failed"
    assert states["mixture/flat"] == "current"

    run_project(open_project(root))
    assert version(root) in made - {before}
    assert Planner(open_project(root)).plan().is_empty
    assert broken_verdicts(open_project(root), "default", version(root)) == {}


def test_a_first_version_that_is_refused_leaves_nothing_current(root: Path) -> None:
    project = open_project(root)
    project.lake.remove("mixtures/flat/current.json")
    made = min(project.lake.names("mixtures/flat"))
    sentence = refuse_mixture(project, "flat", made, {"budget_is_met": "9 tokens of 8"})
    assert "budget_is_met does not hold (9 tokens of 8)" in sentence
    assert "no version has been published yet" in sentence
    assert refused(project, "flat", made) == sentence
    assert refused(project, "flat", "another") is None


def test_a_damaged_ledger_of_the_current_version_is_drawn_again(root: Path) -> None:
    project = open_project(root)
    now = version(root)
    folder = f"mixtures/default/{now}"
    key = min(project.lake.read_json(f"{folder}/manifest.json")["ledger"])
    before = project.lake.path(f"{folder}/{key}").read_bytes()
    project.lake.path(f"{folder}/{key}").unlink()
    broken = broken_verdicts(project, "default", now)
    assert set(broken) == {"ledger_adds_up", "budget_is_met"}
    assert "draws it again" in refuse_mixture(project, "default", now, broken)
    run_project(open_project(root))
    assert project.lake.path(f"{folder}/{key}").read_bytes() == before
    assert version(root) == now


def test_publishing_says_what_it_replaced_and_only_once(root: Path) -> None:
    project = open_project(root)
    now = version(root)
    assert publish_mixture(project, "default", now) is None
    made = publish_mixture(project, "default", "f" * 24)
    assert made is not None
    assert (made.version, made.previous) == ("f" * 24, now)
    assert publish_mixture(project, "default", "f" * 24) is None
