"""A signal of good examples: learned once, scored cross-fitted, a signal or a gate, verified."""

import json
from pathlib import Path
from typing import Any

import pytest

from samplemix_dagster.config.scoring.scores import Quality
from samplemix_dagster.engine.executors.processes import stop_workers
from samplemix_dagster.errors import InputError
from samplemix_dagster.runs.upkeep.garbage import find_garbage
from samplemix_dagster.trace.difference.difference import difference
from samplemix_dagster.trace.verify.verifying import verify
from tests.engine.changes import add_a_shard, settings_changed
from tests.engine.runs import Run, ledgers, manifest, rows, run, run_changed, version
from tests.projects import (
    copy_project,
    make_project,
    needs_encoder,
    open_project,
    prose,
    read_settings,
    reference_folder,
    write_settings,
)

pytestmark = needs_encoder


def with_examples(root: Path, **keys: Any) -> None:
    texts = [prose(f"example-{number}", "de") for number in range(40)]
    lines = "".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts)
    (root / "good.jsonl").write_text(lines, encoding="utf-8")
    settings = read_settings(root)
    settings["quality"] |= {"resembles": {"german": {"like": ["good.jsonl"]}}, **keys}
    write_settings(root, settings)


@pytest.fixture(scope="module")
def change(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The finished project, after it was given good examples."""
    folder = tmp_path_factory.mktemp("resembles")
    return run_changed(folder / "project", with_examples)


def test_it_is_learned_and_scored_and_nothing_of_text_else(change: Run) -> None:
    assert {"resembles/german", "signal_german", "quality_calibration"} <= change.assets
    assert {"perplexity", "embeddings", "clusters", "calibration"} & change.assets == set()
    assert run(change.root).outcomes == []


def test_how_well_it_tells_held_out_examples_is_told(change: Run) -> None:
    [told] = [one.facts for one in change.outcomes if one.asset == "resembles/german"]
    assert told["num_examples"] == 40
    # A third of the corpus is of the same kind, so it is not told apart.
    assert 0.7 < told["held_out_auc"] < 1.0
    assert told["mean_of_examples"] > told["mean_of_others"]


def test_documents_like_the_examples_score_above_the_others(change: Run) -> None:
    found = rows(change.root, "select source, german_score as score from scores")
    best = min(row["score"] for row in found if row["source"] == "letters")
    others = [row["score"] for row in found if row["source"] != "letters"]
    assert sum(score < best for score in others) > 0.9 * len(others)


def test_as_a_gate_it_multiplies(change: Run, finished: Path, tmp_path: Path) -> None:
    root = copy_project(change.root, tmp_path / "project")
    with_examples(root, gates={"german": 2})
    assert "signal_german" not in run(root).assets
    without = {
        row["doc_id"]: row["quality"]
        for row in rows(finished, "select distinct doc_id, quality from scores")
    }
    for row in rows(root, "select distinct doc_id, quality, german_score from scores"):
        expected = without[row["doc_id"]] * row["german_score"] ** 2
        assert row["quality"] == pytest.approx(expected, rel=1e-3)


def test_a_version_verifies_and_its_fit_is_no_garbage(change: Run) -> None:
    assert "resembles-german" in manifest(change.root)["fit_recipes"]
    found = verify(change.project, "default", version(change.root))
    assert found["holds"], found["checks"]
    keys = find_garbage(change.project, grace_seconds=0).keys
    assert not [key for key in keys if key.startswith("fits/resembles-german")]


def test_new_text_is_scored_by_what_was_learned(change: Run, tmp_path: Path) -> None:
    root = copy_project(change.root, tmp_path / "project")
    add_a_shard(root)
    again = run(root)
    assert again.counts("signal_german") == {"news": 7}
    assert "resembles/german" not in again.assets


def test_other_examples_are_another_signal(change: Run, tmp_path: Path) -> None:
    root = copy_project(change.root, tmp_path / "project")
    with (root / "good.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"text": prose("one more", "de")}) + "\n")
    assert {"resembles/german", "signal_german"} <= run(root).assets


def test_two_workers_give_the_same_ledgers(change: Run, tmp_path: Path) -> None:
    root = make_project(tmp_path / "fresh", reference_folder())
    with_examples(root)
    settings_changed("compute", "workers", to=2)(root)
    run(root)
    stop_workers()
    assert ledgers(root) == ledgers(change.root)


def test_a_file_that_is_not_there_is_named(change: Run, tmp_path: Path) -> None:
    root = copy_project(change.root, tmp_path / "project")
    (root / "good.jsonl").unlink()
    with pytest.raises(InputError, match=r"quality.resembles.german: there is no file .*good"):
        run(root)


def test_too_few_examples_are_refused(tmp_path: Path) -> None:
    root = make_project(tmp_path / "project", reference_folder())
    with_examples(root)
    (root / "good.jsonl").write_text(json.dumps({"text": prose("alone")}) + "\n")
    with pytest.raises(InputError, match="Name more files in `like`"):
        run(root)


def test_the_key_is_in_no_recipe_where_it_is_absent() -> None:
    assert "resembles" not in Quality().for_recipe()


def test_the_project_of_the_fixture_is_as_it_was(change: Run) -> None:
    assert open_project(change.root).config.quality.used == ("german",)


def test_other_examples_are_a_change_of_settings_and_no_drift(change: Run, tmp_path: Path) -> None:
    root = copy_project(change.root, tmp_path / "project")
    before = version(root)
    texts = [prose(f"other-{number}", "en") for number in range(40)]
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    (root / "good.jsonl").write_text(lines, encoding="utf-8")
    run(root)
    told = difference(open_project(root), ("default", before), ("default", version(root)))
    assert [one["causes"] for one in told["causes"]] == [["settings"]]
    assert told["causes"][0]["what"][0].startswith("resembles-german: its file changed (")
    (root / "good.jsonl").unlink()
    again = difference(open_project(root), ("default", before), ("default", version(root)))
    assert again == told
