"""An older lake under today's code: its versions stay whole, and nothing is scored again."""

import json
from pathlib import Path

import pytest

from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.runs.upkeep.garbage import find_garbage
from samplemix_dagster.runs.work.run import run_project
from samplemix_dagster.trace.verify.verifying import verify
from samplemix_dagster.trace.versions import list_versions
from tests.golden.kept import FORM_2, keys_of, unpack
from tests.golden.record import CONTRACTS, differences, record
from tests.projects import needs_encoder, open_project

pytestmark = needs_encoder


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kept lake, which nobody changes."""
    return unpack(FORM_2, tmp_path_factory.mktemp("kept"))


def test_nothing_of_an_older_lake_is_computed_again(kept: Path) -> None:
    assert [task.step.asset for task in Planner(open_project(kept)).plan().tasks] == []


def test_every_version_of_an_older_lake_verifies(kept: Path) -> None:
    project = open_project(kept)
    versions = list_versions(project)
    assert len(versions) == 9
    broken = {}
    for version in versions:
        found = verify(project, version["name"], version["version"])
        if not found["holds"] or any(one["state"] == "broken" for one in found["checks"]):
            broken[version["name"], version["version"]] = found["checks"]
    assert broken == {}


def test_nothing_that_a_version_of_an_older_lake_needs_is_garbage(kept: Path) -> None:
    before = keys_of(kept)
    found = find_garbage(open_project(kept), grace_seconds=0)
    assert found.removed_versions == []
    assert [key for key in found.keys if key in before and key.startswith("features")] == []


def test_two_versions_of_an_older_lake_differ_as_they_did(kept: Path) -> None:
    recorded = json.loads(CONTRACTS.read_text(encoding="utf-8"))["difference"]
    assert differences(kept) == recorded


def test_what_others_build_on_is_what_it_was(kept: Path) -> None:
    recorded = json.loads(CONTRACTS.read_text(encoding="utf-8"))
    found = record(kept)
    assert {part: found[part] for part in ("json", "views", "dagster")} == {
        part: recorded[part] for part in ("json", "views", "dagster")
    }


def test_a_run_over_an_older_lake_does_nothing(tmp_path: Path) -> None:
    root = unpack(FORM_2, tmp_path)
    before = keys_of(root)
    assert run_project(open_project(root)) == []
    assert keys_of(root) == before
