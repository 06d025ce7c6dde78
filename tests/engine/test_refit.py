"""Fits that are made again: when, on request, and what of the old groups stays."""

from pathlib import Path

import pytest

from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.fitting.groups import Groups, read_groups
from samplemix_dagster.engine.stages import FitStage
from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.runs.work.run import run_project
from samplemix_dagster.stages.diversity.meaning.clusters import CLUSTER_FIT
from samplemix_dagster.stages.diversity.topics import TOPIC_FIT
from tests.engine.changes import add_a_shard, settings_changed
from tests.engine.runs import copies, run
from tests.projects import (
    copy_project,
    finished_project,
    needs_encoder,
    open_project,
    shard_rows,
    write_shard,
)

pytestmark = needs_encoder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return copy_project(finished_project(), tmp_path / "project")


def groups(root: Path, fit: FitStage) -> Groups:
    recipes = Recipes(open_project(root))
    return read_groups(recipes.lake, recipes.fit_key(fit))


def refit(root: Path, *assets: str) -> dict[str, dict[str, object]]:
    """Run with fits to be made again; return each asset's facts."""
    project = open_project(root)
    project.refits = set(assets)
    return {one.asset: one.facts for one in run_project(project)}


def test_a_refit_on_request_happens_once_and_only_where_it_was_asked_for(root: Path) -> None:
    add_a_shard(root)
    assert "clusters" not in run(root).assets
    done = refit(root, "clusters")
    assert "clusters" in done
    assert "topics" not in done
    assert "ngram_index" not in done
    assert refit(root, "clusters") == {}
    assert run(root).assets == set()


def test_a_refit_on_the_same_corpus_has_nothing_to_do(root: Path) -> None:
    assert refit(root, "clusters", "topics", "calibration") == {}


def test_a_planned_refit_says_who_asked(root: Path) -> None:
    add_a_shard(root)
    run(root)
    project = open_project(root)
    project.refits = {"topics"}
    plan = {entry["asset"]: entry["why"] for entry in Planner(project).plan().by_asset()}
    assert plan["topics"] == "refit: asked for"


@pytest.mark.parametrize("fit", [CLUSTER_FIT, TOPIC_FIT], ids=lambda fit: fit.asset)
def test_groups_keep_ids_and_names_over_a_refit(root: Path, fit: FitStage) -> None:
    before = groups(root, fit)
    add_a_shard(root)
    facts = refit(root, fit.asset)[fit.asset]["matched"]
    after = groups(root, fit)
    old = dict(zip(before.ids, before.names, strict=True))
    kept = [i for i in after.ids if i in old]
    assert len(kept) == facts["num_matched"] > 0
    for identity, name in zip(after.ids, after.names, strict=True):
        if identity in old:
            assert name == old[identity]
        else:
            assert before.next_id <= identity < after.next_id


def test_it_says_how_many_documents_changed_cluster(root: Path) -> None:
    before = {row["doc_id"]: row["cluster"] for row in _clusters(root)}
    for shard in (2, 3):
        write_shard(root, "news", shard, shard_rows("news", shard))
    project = open_project(root)
    project.refits = {"clusters"}
    facts = [one.facts for one in run_project(project) if one.asset == "cluster_diversity"]
    after = {row["doc_id"]: row["cluster"] for row in _clusters(root)}
    shared = set(before) & set(after)
    moved = sum(before[identity] != after[identity] for identity in shared)
    compared = sum(fact.get("documents_compared", 0) for fact in facts)
    assert compared >= len(shared)
    assert sum(fact.get("documents_changed_cluster", 0) for fact in facts) >= moved


def test_always_gives_plain_numbers_that_follow_nothing(root: Path) -> None:
    settings_changed("diversity", "refit", to="always")(root)
    add_a_shard(root)
    run(root)
    for fit in (CLUSTER_FIT, TOPIC_FIT):
        found = groups(root, fit)
        assert found.ids == tuple(range(len(found.ids)))


def test_another_encoder_starts_other_clusters(root: Path) -> None:
    settings_changed("encoder", "max_tokens", to=24)(root)
    run(root)
    found = groups(root, CLUSTER_FIT)
    assert found.ids == tuple(range(len(found.ids)))


def test_a_frozen_fit_that_was_lost_is_fitted_to_what_is_there(root: Path) -> None:
    add_a_shard(root)
    run(root)
    before = copies(root)
    project = open_project(root)
    frozen = Recipes(project).current_fit(TOPIC_FIT)["version"]
    (project.lake.path(f"fits/topic_fit/{frozen}/fit.json")).unlink()
    assert "topics" in run(root).assets
    assert Recipes(open_project(root)).fit(TOPIC_FIT) != frozen
    assert set(copies(root)) == set(before)


def _clusters(root: Path) -> list[dict[str, object]]:
    from tests.engine.runs import rows

    return rows(root, "select doc_id, cluster from scores")
