"""A project that scores windows of long documents: what changes, and what stays to the byte."""

from pathlib import Path

import pytest

from samplemix_dagster.config.scoring.scores import Quality
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.executors.processes import stop_workers
from samplemix_dagster.runs.plan.cost.estimates import estimated, note_measurement, scoring_flops
from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.stages.quality.agreement import windows_beside_whole
from samplemix_dagster.stages.quality.loss.perplexity import PERPLEXITY
from samplemix_dagster.trace.verify.verifying import verify
from tests.engine.changes import settings_changed
from tests.engine.runs import Run, ledgers, rows, run, run_changed, version
from tests.projects import copy_project, make_project, needs_encoder, open_project, reference_folder

pytestmark = needs_encoder
in_windows = settings_changed("quality", "tokens_per_document", to=48)


@pytest.fixture(scope="module")
def change(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The finished project, after it was asked for windows."""
    return run_changed(tmp_path_factory.mktemp("windows") / "project", in_windows)


def test_the_key_is_in_no_recipe_where_it_is_absent() -> None:
    assert "tokens_per_document" not in Quality().for_recipe()
    assert Quality(tokens_per_document=48).for_recipe()["tokens_per_document"] == 48


def test_documents_are_scored_again_and_counted_by_the_same_tokens(change: Run) -> None:
    assert change.counts("perplexity") == {"letters": 40, "news": 40, "web": 40}
    assert change.planned == change.done
    assert {"token_counts", "embeddings"} & change.assets == set()


def test_every_long_document_has_an_error_and_every_short_one_none(change: Run) -> None:
    found = rows(
        change.root,
        "select num_scored_tokens = num_reference_tokens as is_whole, bits_per_byte_error as error,"
        " num_scored_tokens as scored, num_read_tokens as read from scores",
    )
    assert {row["is_whole"] for row in found} == {True, False}
    for row in found:
        assert (row["error"] == 0) == row["is_whole"]
        if not row["is_whole"]:
            assert row["scored"] <= 48 < row["read"] <= 48 + 3 * 16


def test_the_whole_scores_that_are_there_say_how_windows_agree(change: Run) -> None:
    told = windows_beside_whole(Recipes(change.project), "news")
    cut = "bits_per_byte_error > 0 and source = 'news'"
    [some] = rows(change.root, f"select count(*) as n from scores where {cut}")
    assert told["documents"] == some["n"] > 10
    assert 0.2 < told["spearman"] <= 1
    assert abs(told["mean_difference"]) < 0.2


def test_without_the_whole_scores_nothing_is_said_of_them(fresh: Path) -> None:
    run(fresh)
    assert windows_beside_whole(Recipes(open_project(fresh)), "news") == {}


def test_a_version_made_so_verifies_down_to_its_texts(change: Run) -> None:
    found = verify(change.project, "default", version(change.root), deep=20)
    assert found["holds"], found["checks"]


def test_a_plan_counts_the_tokens_that_windows_read(change: Run, tmp_path: Path) -> None:
    root = copy_project(change.root, tmp_path / "project")
    settings_changed("quality", "tokens_per_document", to=24)(root)
    project = open_project(root)
    for outcome in change.outcomes:
        note_measurement(project, outcome)
    [read] = rows(root, "select sum(num_read_tokens)::bigint as tokens from scores")
    assert read["tokens"] == sum(one.facts.get("tokens_computed", 0) for one in change.outcomes)
    assert read["tokens"] > 120 * (24 + 3 * 16)
    plan = {one["asset"]: one for one in estimated(project, Planner(project).plan())}
    most = scoring_flops(project, 120 * (24 + 3 * 16))
    assert plan["perplexity"]["flops"] == pytest.approx(most, rel=1e-2)


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    """The finished project's corpus with windows, before any run."""
    root = make_project(tmp_path / "fresh", reference_folder())
    in_windows(root)
    return root


def test_two_workers_and_other_names_of_shards_give_the_same_bytes(
    fresh: Path, change: Run
) -> None:
    settings_changed("compute", "workers", to=2)(fresh)
    for number, path in enumerate(sorted((fresh / "data").rglob("part-*"))):
        path.rename(path.with_name(f"{9 - number}-other.{path.name.split('.', 1)[1]}"))
    run(fresh)
    stop_workers()
    assert ledgers(fresh) == ledgers(change.root)
    one, other = open_project(fresh), change.project
    for shard in one.all_shards():
        keys = [Recipes(project).feature_key(PERPLEXITY, shard) for project in (one, other)]
        assert keys[0] == keys[1]
        assert one.lake.digest(keys[0]) == other.lake.digest(keys[1])
