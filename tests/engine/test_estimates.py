"""Estimates: what was measured comes back, and a short run does not spoil a long one."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.outcome import Outcome
from samplemix_dagster.runs.plan.cost.estimates import (
    estimated,
    note_measurement,
    scoring_flops,
    seconds_for,
)
from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.runs.work.run import run_project
from samplemix_dagster.stages.quality.loss.perplexity import PERPLEXITY
from tests.engine.changes import add_a_shard
from tests.projects import copy_project, finished_project, needs_encoder, open_project


@given(
    start_up=st.floats(0.1, 10),
    each=st.floats(1e-4, 1e-1),
    documents=st.lists(st.integers(1, 10**6), min_size=2, max_size=20, unique=True),
)
def test_a_start_up_and_a_rate_are_recovered(
    start_up: float, each: float, documents: list[int]
) -> None:
    runs = [(count, start_up + each * count) for count in documents]
    found = seconds_for(runs, 1234)
    assert found is not None
    if max(documents) > 100 * min(documents):
        assert found == pytest.approx(start_up + each * 1234, rel=0.05)
    for count, seconds in runs:
        assert seconds_for(runs, count) == pytest.approx(seconds, rel=1e-4)


def test_a_run_of_one_document_does_not_make_a_large_one_look_endless() -> None:
    runs = [(1, 5.0), (10_000, 105.0), (1, 5.1), (1, 4.9)]
    assert seconds_for(runs, 20_000) == pytest.approx(205.0, rel=0.05)


def test_nothing_measured_gives_no_estimate() -> None:
    assert seconds_for([], 10) is None
    assert seconds_for([(10, 0.0)], 10) is None


@needs_encoder
def test_a_plan_has_the_seconds_and_operations_that_were_measured(tmp_path: Path) -> None:
    root = copy_project(finished_project(), tmp_path / "project")
    add_a_shard(root)
    project = open_project(root)
    tokens = 0
    for outcome in run_project(project):
        note_measurement(project, outcome)
        tokens += outcome.facts.get("tokens_computed", 0)
    recipes = Recipes(project)
    (shard,) = [s for s in project.all_shards() if s.shard.path.endswith("part-2.jsonl")]
    table = project.lake.read_table(recipes.feature_key(PERPLEXITY, shard))
    assert tokens == sum(table.column("num_reference_tokens").to_pylist())

    (root / "data/news/part-2.jsonl").unlink()
    (root / "data/letters/part-1.parquet").rename(root / "data/letters/old.parquet")
    add_a_shard(root)
    for folder in project.lake.path("features/perplexity").iterdir():
        (folder / f"{shard.digest}.parquet").unlink()
    project.refresh()
    plan = {entry["asset"]: entry for entry in estimated(project, Planner(project).plan())}
    assert plan["perplexity"]["num_documents"] == 7
    assert plan["perplexity"]["flops"] == pytest.approx(scoring_flops(project, tokens), rel=0.01)
    assert plan["perplexity"]["seconds"] > 0


@needs_encoder
def test_no_run_fails_for_want_of_a_measurement(tmp_path: Path) -> None:
    root = copy_project(finished_project(), tmp_path / "project")
    project = open_project(root)
    (project.home / "rates.json").unlink(missing_ok=True)
    (project.home / "rates.json").mkdir()
    note_measurement(project, outcome_of("perplexity"))
    assert (project.home / "rates.json").is_dir()


def outcome_of(asset: str) -> Outcome:
    return Outcome(asset=asset, partition=None, why="", data_version="", seconds=1.0, facts={})
