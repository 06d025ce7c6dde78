"""What a change costs: only what it touches is computed, and the plan says it beforehand."""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from samplemix_dagster.runs.plan.plan import Planner
from tests.engine.changes import CHANGES, rewrite_one_document, settings_changed
from tests.engine.runs import Run, copies, ledgers, manifest, rows, run, version
from tests.projects import (
    SHARD_DOCUMENTS,
    SOURCES,
    needs_encoder,
    open_project,
    prose,
    shard_rows,
    write_shard,
)

pytestmark = needs_encoder
After = Callable[[str], Run]
DRAWN = {"mixture/default", "mixture/flat", "export/default", "export/flat"}
PER_SHARD = {
    "quality_scores",
    "cluster_diversity",
    "ngram_ownership",
    "topic_distribution",
    "diversity_scores",
    "document_scores",
}
FROM_TEXT = {"perplexity", "token_counts", "embeddings"}
AFRESH = {"raw_shards", "corpus", "beta_parameters"}


@pytest.mark.parametrize("change", CHANGES)
def test_the_plan_names_exactly_what_the_run_then_computes(change: str, after: After) -> None:
    assert after(change).planned == after(change).done


@pytest.mark.parametrize("change", CHANGES)
def test_after_a_run_nothing_is_planned(change: str, after: After) -> None:
    plan = Planner(after(change).project).plan()
    assert plan.is_empty, plan.by_asset()


# -- nothing changed -------------------------------------------------------------------------------

SECOND_RUN = """
import json, sys
from tests.projects import open_project
from pathlib import Path
from samplemix_dagster.runs.work.run import run_project
outcomes = run_project(open_project(Path(sys.argv[1])))
heavy = {"torch", "transformers", "sentence_transformers", "umap", "hdbscan", "sklearn", "numba"}
print(json.dumps([len(outcomes), sorted(heavy & set(sys.modules))]))
"""


def test_a_second_run_computes_nothing_and_loads_no_model(root: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", SECOND_RUN, str(root)],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert json.loads(done.stdout) == [0, []]


def snapshot(folder: Path) -> dict[str, tuple[int, str]]:
    return {
        str(path): (path.stat().st_mtime_ns, hashlib.md5(path.read_bytes()).hexdigest())
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_a_plan_writes_nothing(root: Path) -> None:
    rewrite_one_document(root)
    before = snapshot(root)
    assert not Planner(open_project(root)).plan().is_empty
    assert snapshot(root) == before


def test_a_second_run_writes_nothing(root: Path) -> None:
    before = snapshot(root)
    assert run(root).done == []
    assert snapshot(root) == before


def test_a_file_that_was_only_touched_costs_a_look_at_its_bytes(root: Path) -> None:
    os.utime(root / "data/news/part-0.jsonl", ns=(1, 1))
    assert run(root).done == [("raw_shards", "news", 0)]


# -- the text changed ------------------------------------------------------------------------------


def test_of_a_rewritten_shard_only_the_new_document_is_scored(after: After) -> None:
    change = after("a document rewritten")
    for asset in FROM_TEXT:
        assert change.counts(asset) == {"news": 1}, asset
    for asset in PER_SHARD:
        assert change.counts(asset) == {"news": SHARD_DOCUMENTS}, asset
    assert change.assets == FROM_TEXT | PER_SHARD | AFRESH | DRAWN


def test_an_added_shard_scores_only_itself(after: After) -> None:
    change = after("a shard added")
    for asset in FROM_TEXT | PER_SHARD:
        assert change.counts(asset) == {"news": 7}, asset
    assert change.assets == FROM_TEXT | PER_SHARD | AFRESH | DRAWN


def test_a_removed_shard_is_gone_from_every_later_result(after: After, finished: Path) -> None:
    change = after("a shard removed")
    assert change.assets == AFRESH | DRAWN
    gone = {shard["digest"] for shard in manifest(finished)["shards"]} - {
        shard["digest"] for shard in manifest(change.root)["shards"]
    }
    assert len(gone) == 1
    for view in ("documents", "scores", "rejections", "ledger", "duplicates"):
        found = rows(change.root, f"select * from {view} where shard like '%web/part-1%'")
        assert found == [], view
    for files in (ledger[1] for ledger in ledgers(change.root).values()):
        assert not any(digest in file for file in files for digest in gone)


def test_a_shard_that_comes_back_is_not_scored_again(root: Path, after: After) -> None:
    path = root / "data/web/part-1.jsonl.gz"
    content = path.read_bytes()
    path.unlink()
    run(root)
    path.write_bytes(content)
    again = run(root)
    assert all(count == 0 for _, _, count in again.done)
    assert version(root) == version(after("nothing").root)


def test_a_renamed_shard_changes_nothing_but_where_it_stands(after: After, finished: Path) -> None:
    change = after("a shard renamed")
    assert change.done == [("raw_shards", "letters", 0)]
    assert ledgers(change.root) == ledgers(finished)
    for view in ("documents", "ledger"):
        shards = rows(
            change.root, f"select distinct shard from {view} where source = 'letters' order by 1"
        )
        assert [row["shard"] for row in shards] == [
            "data/letters/part-1.parquet",
            "data/letters/renamed.parquet",
        ]


def test_a_shard_rewritten_twice_keeps_what_stayed(root: Path) -> None:
    table = shard_rows("news", 0)
    for number in range(2):
        table[number]["text"] = prose(f"a new text {number}")
        write_shard(root, "news", 0, table)
        assert run(root).counts("perplexity") == {"news": 1}


# -- the settings changed --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "assets"),
    [
        ("a dial turned", {"mixture/default", "export/default"}),
        ("a budget raised", {"mixture/flat", "export/flat"}),
        ("another export", {"export/default", "export/flat"}),
        ("duplicates kept", {"beta_parameters", *DRAWN}),
        (
            "another tokenizer",
            {"token_counts", "document_scores", "beta_parameters", *DRAWN},
        ),
        (
            "calibrated by source",
            {"calibration", "quality_scores", "document_scores", "beta_parameters", *DRAWN},
        ),
        (
            "topics left out",
            {
                "diversity_calibration",
                "diversity_scores",
                "document_scores",
                "beta_parameters",
                *DRAWN,
            },
        ),
    ],
)
def test_a_setting_reruns_what_reads_it_and_nothing_else(
    change: str, assets: set[str], after: After
) -> None:
    assert after(change).assets == assets


def test_another_encoder_length_leaves_quality_alone(after: After) -> None:
    change = after("embeddings shortened")
    assert change.counts("embeddings") == dict.fromkeys(SOURCES, 2 * SHARD_DOCUMENTS)
    untouched = {"raw_shards", "corpus", "perplexity", "calibration", "quality_scores"}
    untouched |= {"ngram_index", "ngram_ownership", "topics", "topic_distribution"}
    assert not untouched & change.assets
    assert {"clusters", "cluster_diversity", "diversity_scores"} <= change.assets


def test_another_least_length_scores_everything_again(after: After, finished: Path) -> None:
    change = after("the least length raised")
    [before] = rows(finished, "select count(*) as n from documents")
    [now] = rows(change.root, "select count(*) as n from documents")
    assert sum(change.counts("perplexity").values()) == now["n"] < before["n"]


def test_longer_grams_leave_models_alone(after: After) -> None:
    assert not after("longer grams").assets & {"perplexity", "embeddings", "clusters"}


def test_a_setting_set_back_costs_nothing(root: Path) -> None:
    settings_changed("encoder", "max_tokens", to=24)(root)
    run(root)
    settings_changed("encoder", "max_tokens", to=32)(root)
    again = run(root)
    assert all(count == 0 for _, _, count in again.done)
    assert not again.assets & {"embeddings", "cluster_diversity"}


def test_a_larger_budget_keeps_every_draw(after: After, finished: Path) -> None:
    before, now = copies(finished, "flat"), copies(after("a budget raised").root, "flat")
    assert all(now[document] >= count for document, count in before.items())
    assert sum(now.values()) > sum(before.values())


# -- why -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "asset", "why"),
    [
        ("a document rewritten", "raw_shards", "1 changed shard"),
        ("a document rewritten", "perplexity", "1 changed shard"),
        ("a shard added", "raw_shards", "1 new shard"),
        ("a shard added", "embeddings", "1 new shard"),
        ("a shard removed", "raw_shards", "a shard was renamed, moved or removed"),
        ("a shard removed", "corpus", "the set of shards changed"),
        ("a dial turned", "mixture/default", "mixture changed"),
        ("embeddings shortened", "embeddings", "max_tokens changed: 32 -> 24"),
        ("longer grams", "raw_shards", "order changed: 5 -> 3"),
        ("duplicates kept", "beta_parameters", "duplicates changed: drop -> keep"),
    ],
)
def test_an_outcome_says_why_it_ran(change: str, asset: str, why: str, after: After) -> None:
    assert after(change).why[asset] == why


def test_an_export_is_called_the_first_only_when_it_is(after: After) -> None:
    for change in ("a dial turned", "another export"):
        assert "has not been exported as" in after(change).why["export/default"]


# -- refits ----------------------------------------------------------------------------------------

FITS = {"calibration", "clusters", "ngram_index", "topics", "diversity_calibration"}


def test_fits_stay_frozen_below_the_drift(after: After) -> None:
    assert not after("a shard added").assets & FITS


def test_fits_are_made_again_above_the_drift(root: Path) -> None:
    settings_changed("diversity", "refit", to={"drift": 0.05})(root)
    write_shard(root, "news", 2, shard_rows("news", 2))
    above = run(root)
    assert above.assets >= FITS
    assert above.planned == above.done
    # 20 new texts beside 116 (two are repeated within web, two are news's own).
    assert above.why["clusters"].startswith("refit: 14.7% of the corpus changed")


def test_fits_are_never_made_again_when_told_so(root: Path) -> None:
    settings_changed("diversity", "refit", to="never")(root)
    for shard in (2, 3, 4):
        write_shard(root, "news", shard, shard_rows("news", shard))
    assert not run(root).assets & FITS


def test_fits_are_always_made_again_when_told_so(root: Path) -> None:
    settings_changed("diversity", "refit", to="always")(root)
    rewrite_one_document(root)
    change = run(root)
    assert change.assets >= FITS
    assert change.planned == change.done
