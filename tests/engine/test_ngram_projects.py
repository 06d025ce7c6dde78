"""A project whose reference counts n-grams: made once, blind to each text, traced, verified."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from samplemix_dagster.config.scoring.models import NgramReference
from samplemix_dagster.core.hashing import doc_id, fingerprint
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.executors.processes import stop_workers
from samplemix_dagster.engine.fitting.writer import FitWriter
from samplemix_dagster.engine.foundation.ngram_reference import count_reference
from samplemix_dagster.engine.foundation.reference import REFERENCE
from samplemix_dagster.runs.plan.cost import first_guess
from samplemix_dagster.runs.plan.cost.estimates import estimated, scoring_flops
from samplemix_dagster.runs.plan.cost.first_guess import Machine
from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.runs.upkeep.garbage import find_garbage
from samplemix_dagster.stages.quality.loss.perplexity import PERPLEXITY
from samplemix_dagster.trace.lineage import lineage
from samplemix_dagster.trace.verify.verifying import verify
from tests.engine.changes import add_a_shard, rewrite_one_document, settings_changed
from tests.engine.runs import Run, ledgers, manifest, rows, run, run_changed, version
from tests.projects import (
    copy_project,
    make_project,
    needs_encoder,
    open_project,
    reference_folder,
    shard_rows,
    write_shard,
)

pytestmark = needs_encoder
NGRAM = {"ngram": {"order": 3, "tokens": 5000, "vocabulary": 400}}
with_ngrams = settings_changed("references", "main", to=NGRAM)


@pytest.fixture(scope="module")
def change(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The finished project, after it was given an n-gram reference."""
    return run_changed(tmp_path_factory.mktemp("ngram") / "project", with_ngrams)


def test_what_follows_from_the_reference_is_made_again_and_nothing_else(change: Run) -> None:
    assert {"reference_model/main", "perplexity", "calibration", "token_counts"} <= change.assets
    assert {"embeddings", "signal_clean", "ngram_ownership"} & change.assets == set()
    assert run(change.root).outcomes == []


def test_what_it_counted_and_what_it_is_worth_held_out_is_told(change: Run) -> None:
    [told] = [one.facts for one in change.outcomes if one.asset == "reference_model/main"]
    # The last text is whole.
    assert 5000 <= told["num_training_tokens"] < 5000 + 400
    assert 0 < told["num_training_documents"] < 120
    assert told["bits_per_byte_with_itself"] < told["held_out_bits_per_byte"] - 0.1
    assert told["num_bytes_in_memory"] > 0


def test_a_text_that_was_counted_is_scored_as_if_it_had_not_been(change: Run) -> None:
    [told] = [one.facts for one in change.outcomes if one.asset == "reference_model/main"]
    found = rows(change.root, "select distinct doc_id, bits_per_byte as bits from scores")
    mean = sum(row["bits"] for row in found) / len(found)
    # Texts that were not counted are among them; those that were cost as much.
    assert abs(mean - told["held_out_bits_per_byte"]) < abs(
        mean - told["bits_per_byte_with_itself"]
    )


def test_its_tokenizer_counts_the_budget(change: Run) -> None:
    found = rows(change.root, "select num_tokens, num_reference_tokens from scores")
    assert all(row["num_tokens"] == row["num_reference_tokens"] > 0 for row in found)


def test_where_and_how_models_run_is_no_part_of_its_scores(change: Run) -> None:
    recipe = manifest(change.root)["features"]["news"]["perplexity"]["recipe"]
    assert set(recipe) == {"stage", "stage_version", "text", "reference"}


def test_a_version_verifies_down_to_its_texts_and_its_lineage_names_the_sources(
    change: Run,
) -> None:
    found = verify(change.project, "default", version(change.root), deep=20)
    assert found["holds"], found["checks"]
    assert {"deep_perplexity", "deep_tokens"} <= {one["check"] for one in found["checks"]}
    nodes = {
        node["id"]: node
        for node in lineage(change.project, "default", version(change.root))["nodes"]
    }
    assert nodes["model/reference"]["inputs"] == ["fit/reference-main"]
    sources = {"source/news", "source/web", "source/letters"}
    assert set(nodes["fit/reference-main"]["inputs"]) == sources


def test_garbage_leaves_what_a_version_was_scored_by(change: Run) -> None:
    keys = find_garbage(change.project, grace_seconds=0).keys
    assert not [key for key in keys if key.startswith("fits/reference-main")]


def test_new_text_is_scored_by_the_counts_that_are_there(change: Run, tmp_path: Path) -> None:
    root = copy_project(change.root, tmp_path / "project")
    rewrite_one_document(root)
    again = run(root)
    assert again.counts("perplexity") == {"news": 1}
    add_a_shard(root)
    assert "reference_model/main" not in run(root).assets


def test_two_workers_and_another_order_of_sources_give_the_same_bytes(
    change: Run, tmp_path: Path
) -> None:
    root = make_project(tmp_path / "fresh", reference_folder())
    with_ngrams(root)
    settings_changed("compute", "workers", to=2)(root)
    sources = {name: {"path": f"data/{name}/*"} for name in ("letters", "web", "news")}
    settings_changed("corpus", "sources", to=sources)(root)
    run(root)
    stop_workers()
    one, other = open_project(root), change.project
    for shard in one.all_shards():
        mine, theirs = (Recipes(project).feature_key(PERPLEXITY, shard) for project in (one, other))
        assert mine == theirs
        assert one.lake.digest(mine) == other.lake.digest(theirs)
    assert ledgers(root) == ledgers(change.root)


def test_counts_of_chosen_sources_are_another_reference(change: Run) -> None:
    chosen = {"ngram": {**NGRAM["ngram"], "sources": ["news"]}}
    root = change.root.parent / "chosen"
    copy_project(change.root, root)
    settings_changed("references", "main", to=chosen)(root)
    recipes = Recipes(open_project(root))
    assert {shard.source for shard in REFERENCE.shards(recipes, "main")} == {"news"}
    before = Recipes(change.project).fit_recipe(REFERENCE, "main")
    assert fingerprint(recipes.fit_recipe(REFERENCE, "main")) != fingerprint(before)


def test_a_plan_has_a_guess_and_scoring_costs_next_to_no_operations(
    change: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(text_bytes_per_second=1e6, operations_per_second=1e10, num_workers=1)
    monkeypatch.setattr(first_guess, "try_machine", lambda _: machine)
    root = make_project(tmp_path / "fresh", reference_folder())
    with_ngrams(root)
    project = open_project(root)
    entries = {
        entry["asset"]: entry for entry in estimated(project, Planner(project).plan(), guesses=True)
    }
    assert entries["reference_model/main"]["is_guess"]
    assert 0 < entries["reference_model/main"]["seconds"] < 60
    assert scoring_flops(change.project, 1000) == 2 * 15 * 1000


def test_a_reference_whose_files_are_damaged_is_no_reference(change: Run, tmp_path: Path) -> None:
    from samplemix_dagster.errors import ModelError
    from samplemix_dagster.storage.models.ngram import load_ngram

    root = copy_project(change.root, tmp_path / "project")
    folder = Recipes(open_project(root)).reference_folder("main")
    sizes = json.loads((folder / "ngram.json").read_text())
    (folder / "ngram.json").write_text(json.dumps({**sizes, "order": 9}))
    with pytest.raises(ModelError, match="holds no n-gram reference that can be read: an order is"):
        load_ngram(folder)


def copied_texts(root: Path) -> None:
    """Add ``news/part-3``: of each of two texts of ``news`` five near-copies."""
    rows = []
    for row in shard_rows("news", 0, count=2):
        words = row["text"].split()
        for number in range(5):
            changed = [*words[:number], f"changed{number}", *words[number + 1 :]]
            rows.append({**row, "id": f"{row['id']}-{number}", "text": " ".join(changed)})
    write_shard(root, "news", 3, rows)


def counting(root: Path, **settings: str) -> Run:
    settings_changed("references", "main", to={"ngram": {**NGRAM["ngram"], **settings}})(root)
    return run(root)


def test_near_copies_are_as_hard_as_text_of_their_kind_where_one_of_a_group_is_counted(
    change: Run, tmp_path: Path
) -> None:
    root = copy_project(change.root, tmp_path / "project")
    copied_texts(root)
    mean = (
        "select avg(bits_per_byte) filter (shard like '%part-3%') as copies, "
        "avg(bits_per_byte) filter (shard not like '%part-3%') as others "
        "from scores where source = 'news'"
    )
    counting(root, tokens="100k")
    [kept] = rows(root, mean)
    made = counting(root, tokens="100k", near="once")
    [once] = rows(root, mean)
    assert kept["copies"] < 0.5 * kept["others"]
    assert once["copies"] == pytest.approx(once["others"], rel=0.25)
    [told] = [one.facts for one in made.outcomes if one.asset == "reference_model/main"]
    assert told["num_near_duplicates"] == 10
    assert verify(made.project, "default", version(root), deep=20)["holds"]


def test_a_near_copy_that_came_later_does_not_meet_what_was_counted(
    change: Run, tmp_path: Path
) -> None:
    root = copy_project(change.root, tmp_path / "project")
    counting(root, tokens="100k", near="once")
    copied_texts(root)
    later = run(root)
    assert "reference_model/main" not in later.assets
    [found] = rows(
        root,
        "select avg(bits_per_byte) filter (shard like '%part-3%') as copies, "
        "avg(bits_per_byte) as every from scores where source = 'news'",
    )
    assert found["copies"] > 0.8 * found["every"]


def test_near_at_what_it_always_was_is_the_same_reference(change: Run) -> None:
    recipes = Recipes(change.project)
    root = change.root.parent / "said"
    copy_project(change.root, root)
    settings_changed("references", "main", to={"ngram": {**NGRAM["ngram"], "near": "keep"}})(root)
    said = Recipes(open_project(root))
    assert said.fit_recipe(REFERENCE, "main") == recipes.fit_recipe(REFERENCE, "main")


def test_progress_ends_at_the_tokens_that_there_are(tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    texts = [f"text number {number} of some words" for number in range(600)]
    facts = count_reference(
        [doc_id(text) for text in texts],
        texts,
        FitWriter(tmp_path),
        NgramReference(tokens=10_000_000, vocabulary=300),
        lambda done, total: told.append((done, total)),
    )
    assert told[-1] == (facts["num_training_tokens"], facts["num_training_tokens"])
    assert [done for done, _ in told] == sorted(done for done, _ in told)


needs_gigatoken = pytest.mark.skipif(
    find_spec("gigatoken") is None, reason="gigatoken is not installed"
)
by_gigatoken = settings_changed("compute", "tokenize_with", to="gigatoken")


@needs_gigatoken
def test_the_library_that_tokenizes_makes_nothing_stale(change: Run, tmp_path: Path) -> None:
    root = copy_project(change.root, tmp_path / "project")
    by_gigatoken(root)

    assert run(root).outcomes == []


@needs_gigatoken
def test_the_library_that_tokenizes_changes_no_byte(change: Run, tmp_path: Path) -> None:
    def change_both(root: Path) -> None:
        with_ngrams(root)
        by_gigatoken(root)

    made = run_changed(tmp_path / "project", change_both)

    assert {"perplexity", "token_counts"} <= made.assets
    assert ledgers(made.root) == ledgers(change.root)
    assert version(made.root) == version(change.root)
    found = verify(made.project, "default", version(made.root), deep=20)
    assert found["holds"], found["checks"]
