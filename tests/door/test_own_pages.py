"""The pages of our own in ``samplemix ui``: what they show, and what they say where nothing is."""

import shutil
from pathlib import Path

import pytest

from samplemix_dagster.door import own_pages
from samplemix_dagster.door.own_pages import lineage_pages
from samplemix_dagster.trace.versions import list_versions
from tests.engine.changes import turn_a_dial
from tests.engine.runs import version
from tests.projects import copy_project, finished_project, needs_encoder, open_project

pytestmark = needs_encoder
CONFIG = "samplemix.yaml"


@pytest.fixture(scope="module")
def root() -> Path:
    return finished_project()


def test_a_version_has_its_lineage_with_links_to_what_is_around_it(root: Path) -> None:
    found = lineage_pages(root / CONFIG)(f"default/{version(root)}")
    assert found.status == 200
    assert "Lineage of mixture default" in found.content
    assert 'href="/assets/mixture/default"' in found.content
    assert 'href="/assets/export/default"' in found.content
    assert "<script" not in found.content


def test_without_a_version_it_is_the_current_one(root: Path) -> None:
    page = lineage_pages(root / CONFIG)
    assert page("default") == page(f"default/{version(root)}")


def test_other_versions_of_the_mixture_are_links(tmp_path: Path, root: Path) -> None:
    from samplemix_dagster.runs.work.run import run_project

    copied = copy_project(root, tmp_path / "project")
    before = version(copied)
    turn_a_dial(copied)
    run_project(open_project(copied))
    found = lineage_pages(copied / CONFIG)("default")
    assert f'href="/samplemix/lineage/default/{before}"' in found.content
    assert len(list_versions(open_project(copied))) > 2


@pytest.mark.parametrize(
    "words",
    ["", "nothing", "default/ffff", "../../etc/passwd", "default/../..", "<script>/<b>", "\0"],
)
def test_what_is_not_there_is_said_in_words_without_what_was_asked_as_html(
    words: str, root: Path
) -> None:
    found = lineage_pages(root / CONFIG)(words)
    assert found.status == 404
    assert "<script>" not in found.content
    assert "<b>" not in found.content
    assert "mixture" in found.content


def test_a_page_that_fails_shows_no_traceback(
    root: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: str) -> str:
        raise RuntimeError("a secret")

    monkeypatch.setattr(own_pages, "_lineage", fail)
    found = lineage_pages(root / CONFIG)("default")
    assert found.status == 500
    assert "a secret" not in found.content
    assert "a secret" in caplog.text


def test_a_version_whose_manifest_is_gone_is_said(tmp_path: Path, root: Path) -> None:
    copied = copy_project(root, tmp_path / "project")
    shutil.rmtree(copied / f".samplemix/lake/mixtures/default/{version(copied)}")
    assert lineage_pages(copied / CONFIG)("default").status == 404
