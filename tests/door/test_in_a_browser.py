"""What a person sees and clicks in ``samplemix ui``: a real one, in a real browser."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from samplemix_dagster.trace.versions import list_versions
from samplemix_dagster.wiring.run_tags import LOCATION
from tests.door.browser import address, opened
from tests.door.open_ui import Ui, open_ui
from tests.engine.changes import settings_changed, turn_a_dial
from tests.engine.runs import version
from tests.projects import make_project, needs_encoder, open_project, reference_folder

pytestmark = [needs_encoder, pytest.mark.slow]
RUN_SECONDS = 300.0
COMPUTED = """
query($k: AssetKeyInput!) {
  assetOrError(assetKey: $k) {
    ... on Asset {
      assetMaterializations(limit: 3) {
        partition
        runId
        metadataEntries { label ... on IntMetadataEntry { intValue } }
      }
    }
  }
}
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = make_project(tmp_path_factory.mktemp("browser") / "project", reference_folder())
    settings_changed("sensor", to={"interval": 30})(made)
    command = [sys.executable, "-m", "samplemix_dagster.cli", "run", "--config"]
    subprocess.run([*command, str(made / "samplemix.yaml")], check=True, capture_output=True)
    return made


@pytest.fixture(scope="module")
def ui(root: Path) -> Iterator[Ui]:
    found = open_ui(root)
    yield found
    found.end()


@pytest.fixture(scope="module")
def page(ui: Ui) -> Iterator[Any]:
    with opened(ui) as found:
        yield found


def until(holds: Callable[[], bool]) -> bool:
    """Wait for something that comes by itself."""
    end = time.monotonic() + RUN_SECONDS
    while time.monotonic() < end:
        if holds():
            return True
        time.sleep(1)
    return False


def launch(page: Any, ui: Ui, job: str, settings: str) -> str:
    """Start a job from its launchpad; return what its run's page says when it has ended."""
    page.goto(address(ui, f"/locations/{LOCATION}/jobs/{job}/playground"))
    page.locator(".CodeMirror").first.click()
    page.keyboard.press("Control+A")
    page.keyboard.insert_text(settings)
    page.get_by_role("button", name="Launch Run").click()
    page.wait_for_url("**/runs/*")
    assert until(lambda: any(word in top(page) for word in ("Success", "Failure")))
    return str(page.inner_text("body"))


def top(page: Any) -> str:
    return str(page.inner_text("body"))[:1500]


def computed(ui: Ui, asset: str) -> dict[str, int]:
    """How many documents the last materialisation of each partition computed."""
    found = ui.graphql(COMPUTED, {"k": {"path": [asset]}})["assetOrError"]
    return {
        one["partition"]: next(
            entry["intValue"]
            for entry in one["metadataEntries"]
            if entry["label"] == "documents_computed"
        )
        for one in found["assetMaterializations"]
    }


def test_the_first_page_shows_what_ran(page: Any, ui: Ui) -> None:
    page.goto(address(ui, "/"))
    page.get_by_text("publish").first.wait_for()


def test_a_mixture_shows_its_picture(page: Any, ui: Ui) -> None:
    page.goto(address(ui, "/assets/mixture/default?view=events"))
    picture = page.locator("img[src^='data:image/svg']").first
    picture.wait_for()
    assert until(lambda: picture.evaluate("it => it.naturalWidth") > 0)
    box = picture.bounding_box()
    assert box["width"] > 50
    assert box["height"] > 50


def test_a_mixture_leads_to_its_lineage_and_back(page: Any, ui: Ui, root: Path) -> None:
    page.goto(address(ui, "/assets/mixture/default?view=events"))
    page.get_by_role("link", name="Every shard, fit and model on a page").first.click()
    page.get_by_role("heading", name="Lineage of mixture default").wait_for()
    assert version(root) in page.url
    assert page.locator("svg").bounding_box()["width"] > 500
    page.get_by_role("link", name="the mixture").click()
    page.wait_for_url("**/assets/mixture/default*")


def test_a_lineage_fits_a_telephone(page: Any, ui: Ui) -> None:
    page.goto(address(ui, "/samplemix/lineage/default"))
    before = page.viewport_size
    page.set_viewport_size({"width": 400, "height": 860})
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    cut = "tables => tables.filter(it => it.scrollWidth > it.clientWidth).length"
    assert page.locator(".scroll").evaluate_all(cut) == 0
    page.set_viewport_size(before)


def test_the_big_button_of_a_stage_ends_well_and_computes_nothing_again(
    page: Any, ui: Ui, root: Path
) -> None:
    page.goto(address(ui, f"/locations/{LOCATION}/asset-groups/beta/lineage"))
    page.get_by_role("button", name="Materialize all").click()
    page.get_by_role("button", name="All", exact=True).click()
    page.get_by_role("button", name="Launch backfill").click()
    page.get_by_text("Created backfill").wait_for()
    ended = (
        "query { partitionBackfillsOrError { ... on PartitionBackfills { results { status } } } }"
    )

    def status() -> str:
        return str(ui.graphql(ended)["partitionBackfillsOrError"]["results"][0]["status"])

    assert until(lambda: status().startswith("COMPLETED"))
    assert status() == "COMPLETED_SUCCESS"
    assert computed(ui, "document_scores") == {"news": 0, "web": 0, "letters": 0}


def test_a_launch_with_other_dials_gives_a_version_of_its_own(
    page: Any, ui: Ui, root: Path
) -> None:
    before, current = len(list_versions(open_project(root))), version(root)
    said = launch(page, ui, "what_if", "mixture: default\nquality: 2.0\n")
    assert "Success" in said[:1500]
    assert len(list_versions(open_project(root))) == before + 1
    assert version(root) == current


def test_a_wrong_name_in_the_launchpad_is_said_with_the_names_that_are(page: Any, ui: Ui) -> None:
    said = launch(page, ui, "publish", "mixtures: [nonsense]\n")
    assert "Failure" in said[:1500]
    assert "no mixture 'nonsense'; there are default, flat" in said


def test_a_mixture_is_unsynced_after_its_dial_was_turned(page: Any, ui: Ui, root: Path) -> None:
    turn_a_dial(root)

    def is_unsynced() -> bool:
        page.goto(address(ui, "/assets/mixture/default"))
        page.get_by_text("Latest materialization").first.wait_for()
        page.wait_for_timeout(1500)
        return bool(page.get_by_text("Unsynced").count())

    assert until(is_unsynced)
