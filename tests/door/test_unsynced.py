"""What the pages of ``samplemix ui`` call unsynced, asked over GraphQL as they do it themselves."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.stages.stepping.steps import build_steps
from tests.door.open_ui import Ui, open_ui
from tests.engine.changes import add_a_shard, settings_changed, turn_a_dial
from tests.engine.labelled import label_by_source
from tests.engine.runs import run
from tests.projects import copy_project, finished_project, needs_encoder, open_project

pytestmark = [needs_encoder, pytest.mark.slow]
WHOLE = (
    "query($k: [AssetKeyInput!]!) { assetNodes(assetKeys: $k) { assetKey { path } staleStatus } }"
)
CUT = """
query($k: AssetKeyInput!) {
  assetNodeOrError(assetKey: $k) {
    ... on AssetNode { partitionKeys staleStatusByPartition }
  }
}
"""
States = set[tuple[str, str]]
LOOK_SECONDS = 150.0


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return copy_project(finished_project(), tmp_path / "project")


@pytest.fixture
def ui(root: Path) -> Iterator[Ui]:
    opened = open_ui(root)
    yield opened
    opened.end()


@pytest.fixture
def labelled(root: Path) -> Path:
    """The project, with a mixture whose shares are of a label."""
    label_by_source(root)
    settings_changed("mixtures", "flat", "shares_by", to="origin")(root)
    run(root)
    return root


def planned(root: Path) -> States:
    return {(one.step.asset, one.partition) for one in Planner(open_project(root)).plan().tasks}


def unsynced(ui: Ui, root: Path) -> States:
    steps = build_steps(open_project(root))
    whole = [{"path": step.asset.split("/")} for step in steps if not step.is_partitioned]
    found = {
        ("/".join(node["assetKey"]["path"]), "")
        for node in ui.graphql(WHOLE, {"k": whole})["assetNodes"]
        if node["staleStatus"] != "FRESH"
    }
    for step in steps:
        if step.is_partitioned:
            key = {"path": step.asset.split("/")}
            node = ui.graphql(CUT, {"k": key})["assetNodeOrError"]
            states = zip(node["partitionKeys"], node["staleStatusByPartition"], strict=True)
            found |= {(step.asset, name) for name, status in states if status != "FRESH"}
    return found


def agreed(ui: Ui, root: Path) -> States:
    """Wait for the sensor that looks by itself; return what the pages say at last."""
    until = time.monotonic() + LOOK_SECONDS
    while (seen := unsynced(ui, root)) != planned(root) and time.monotonic() < until:
        time.sleep(3)
    return seen


def test_the_pages_call_unsynced_what_the_plan_calls_stale(ui: Ui, root: Path) -> None:
    assert agreed(ui, root) == set()
    turn_a_dial(root)
    assert agreed(ui, root) == planned(root) == {("mixture/default", ""), ("export/default", "")}
    add_a_shard(root)
    assert agreed(ui, root) == planned(root)
    assert ("raw_shards", "news") in planned(root)


def test_the_pages_call_other_labels_unsynced_and_what_holds_shares_by_them(
    labelled: Path, ui: Ui
) -> None:
    assert agreed(ui, labelled) == set()
    path = labelled / "origins.csv"
    path.write_text(path.read_text().replace(",web,web\n", ",web,net\n", 3))
    expected = {("label_origin", source) for source in ("letters", "news", "web")}
    expected |= {("mixture/flat", ""), ("export/flat", "")}
    assert agreed(ui, labelled) == planned(labelled) == expected
