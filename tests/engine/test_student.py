"""A student of the reference: what it scores, what the reference scores, what is told."""

from pathlib import Path

import pytest

from samplemix_dagster.config.scoring.scores import Quality
from samplemix_dagster.core.hashing import id_words, uniforms
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.executors.processes import stop_workers
from samplemix_dagster.runs.upkeep.garbage import find_garbage
from samplemix_dagster.stages.quality.loss.perplexity import PERPLEXITY
from samplemix_dagster.trace.verify.verifying import verify
from tests.engine.changes import add_a_shard, rewrite_one_document, settings_changed
from tests.engine.runs import Run, ledgers, manifest, rows, run, run_changed, version
from tests.projects import copy_project, make_project, needs_encoder, open_project, reference_folder

pytestmark = needs_encoder
with_student = settings_changed(
    "quality", "student", to={"of": "main", "sample": 60, "rescore_unsure": 0.25}
)


@pytest.fixture(scope="module")
def change(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The finished project, after it was asked for a student."""
    return run_changed(tmp_path_factory.mktemp("student") / "project", with_student)


def test_the_key_is_in_no_recipe_where_it_is_absent() -> None:
    assert "student" not in Quality().for_recipe()


def test_a_student_of_another_reference_than_the_one_that_scores_is_refused() -> None:
    with pytest.raises(ValueError, match="a student learns from that one"):
        Quality(student={"of": "other"})


def test_it_is_taught_and_everything_that_quality_is_made_of_follows(change: Run) -> None:
    assert {"student", "perplexity", "calibration", "quality_scores"} <= change.assets
    assert {"embeddings", "token_counts"} & change.assets == set()
    assert run(change.root).outcomes == []


def test_the_reference_scores_its_sample_and_what_the_student_is_unsure_of(change: Run) -> None:
    found = rows(change.root, "select distinct doc_id, is_student, num_read_tokens from scores")
    luck = uniforms(id_words([row["doc_id"] for row in found]), 0, "sample")
    sample = {found[n]["doc_id"] for n in luck.argsort()[:60]}
    for row in found:
        assert row["is_student"] == (row["num_read_tokens"] == 0)
        assert not (row["is_student"] and row["doc_id"] in sample)
    by_student = sum(row["is_student"] for row in found)
    # Of the 58 or so others, about a quarter are scored by the reference.
    assert 0.5 * (len(found) - 60) < by_student < len(found) - 60


def test_the_reference_says_of_its_sample_what_it_said_before(change: Run, finished: Path) -> None:
    columns = "doc_id, bits_per_byte, num_reference_tokens"
    before = {
        row["doc_id"]: row for row in rows(finished, f"select distinct {columns} from scores")
    }
    after = rows(change.root, f"select distinct {columns}, is_student from scores")
    for row in after:
        known = before[row["doc_id"]]
        assert row["num_reference_tokens"] == known["num_reference_tokens"]
        if not row["is_student"]:
            # Another batch shape may change the fifth digit.
            assert row["bits_per_byte"] == pytest.approx(known["bits_per_byte"], rel=2e-4)


def test_agreement_is_told_of_held_out_documents_by_source_and_language(change: Run) -> None:
    [told] = [one.facts for one in change.outcomes if one.asset == "student"]
    assert told["num_documents"] == 60
    assert 0.5 < told["spearman"] <= 1
    assert sum(row["documents"] for row in told["by_language"]) <= 60
    assert {row["group"] for row in told["by_source"]} <= {"letters", "news", "web"}


def test_a_version_names_its_student_and_verifies_down_to_its_texts(change: Run) -> None:
    made = manifest(change.root)
    assert "student" in made["fit_recipes"]
    assert "fit/student" in made["needs"]["feature/news/perplexity"]
    found = verify(change.project, "default", version(change.root), deep=20)
    assert found["holds"], found["checks"]
    keys = find_garbage(change.project, grace_seconds=0).keys
    assert not [key for key in keys if key.startswith("fits/student")]


def test_a_rewritten_text_is_scored_alone_and_the_student_stays(
    change: Run, tmp_path: Path
) -> None:
    root = copy_project(change.root, tmp_path / "project")
    rewrite_one_document(root)
    again = run(root)
    assert again.counts("perplexity") == {"news": 1}
    add_a_shard(root)
    assert "student" not in run(root).assets


def test_two_workers_give_the_same_bytes(change: Run, tmp_path: Path) -> None:
    root = make_project(tmp_path / "fresh", reference_folder())
    with_student(root)
    settings_changed("compute", "workers", to=2)(root)
    run(root)
    stop_workers()
    one, other = open_project(root), change.project
    for shard in one.all_shards():
        mine, theirs = (Recipes(project).feature_key(PERPLEXITY, shard) for project in (one, other))
        assert mine == theirs
        assert one.lake.digest(mine) == other.lake.digest(theirs)
    assert ledgers(root) == ledgers(change.root)


def test_a_version_from_before_stays_whole(change: Run, finished: Path) -> None:
    assert verify(change.project, "default", version(finished))["holds"]
