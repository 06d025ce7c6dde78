"""A mixture by ``strategy: blend``, from its line in YAML to the words about one document."""

from pathlib import Path

from samplemix_dagster.trace.explain import explain_document
from samplemix_dagster.trace.verify.verifying import verify
from tests.engine.runs import copies, manifest, run, version
from tests.projects import (
    copy_project,
    finished_project,
    needs_encoder,
    open_project,
    read_settings,
    write_settings,
)

pytestmark = needs_encoder


def test_a_blend_is_drawn_kept_and_explained_and_moves_nothing_else(tmp_path: Path) -> None:
    root = copy_project(finished_project(), tmp_path / "project")
    before = version(root)
    settings = read_settings(root)
    settings["mixtures"]["blended"] = {"strategy": "blend", "budget_tokens": 8000, "alpha": 0.5}
    write_settings(root, settings)
    done = run(root)
    assert {one.asset for one in done.outcomes} == {"mixture/blended", "export/blended"}
    assert version(root) == before
    made = manifest(root, "blended")
    assert made["config"]["alpha"] == 0.5
    assert "balance" not in made["config"]
    report = made["report"]
    assert abs(report["mean_quality"] - report["promised"]["mean_quality"]) < 0.05
    assert report["mean_quality"] > report["corpus"]["mean_quality"]
    assert verify(open_project(root), "blended", version(root, "blended"))["holds"]
    drawn = next(doc for doc, count in copies(root, "blended").items() if count)
    found = explain_document(open_project(root), drawn, f"blended@{version(root, 'blended')}")
    assert "0.5 x diversity" in found["mixtures"][0]["because"]
