"""Accounting: every row ends somewhere, every draw is counted, and what cannot be is refused."""

import re
from pathlib import Path

import numpy as np
import pytest

from samplemix_dagster.core.hashing import doc_id
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.outcome import Outcome
from samplemix_dagster.engine.shards.working.first_reading import run_raw_shards
from samplemix_dagster.engine.stages import Stage
from samplemix_dagster.errors import (
    ConfigError,
    InfeasibleMixtureError,
    InputError,
    ModelError,
)
from samplemix_dagster.runs.work.run import run_project
from samplemix_dagster.stages.diversity.diversity import DIVERSITY
from samplemix_dagster.stages.diversity.grams.ngrams import GRAMS, OWNERSHIP
from samplemix_dagster.stages.diversity.meaning.clusters import CLUSTERS
from samplemix_dagster.stages.diversity.meaning.embeddings import EMBEDDINGS
from samplemix_dagster.stages.diversity.topics import TOPICS
from samplemix_dagster.stages.diversity.words import WORDS
from samplemix_dagster.stages.quality.loss.perplexity import PERPLEXITY
from samplemix_dagster.stages.quality.quality import QUALITY
from samplemix_dagster.stages.quality.tokens import TOKENS
from samplemix_dagster.stages.scores import SCORES
from tests.engine.changes import settings_changed
from tests.engine.runs import copies, manifest, rows, run, run_changed
from tests.projects import (
    SHARD_DOCUMENTS,
    SOURCES,
    jsonl,
    make_project,
    needs_encoder,
    open_project,
    prose,
    reference_folder,
    shard_rows,
    write_shard,
)

pytestmark = needs_encoder
SCORED = [
    GRAMS,
    WORDS,
    PERPLEXITY,
    TOKENS,
    EMBEDDINGS,
    QUALITY,
    CLUSTERS,
    OWNERSHIP,
    TOPICS,
    DIVERSITY,
    SCORES,
]


# -- rows in, documents and rejections out ---------------------------------------------------------


def test_every_row_of_a_shard_is_a_document_or_a_rejection(finished: Path) -> None:
    project = open_project(finished)
    recipes = Recipes(project)
    for shard in project.all_shards():
        documents = project.lake.read_table(recipes.feature_key(DOCUMENTS, shard))
        rejected = project.lake.read_table(recipes.rejections_key(shard))
        found = [*documents.column("row").to_pylist(), *rejected.column("row").to_pylist()]
        number = SHARD_DOCUMENTS + (2 if shard.source == "web" else 0)
        assert sorted(found) == list(range(number)), shard.shard.path


@pytest.mark.parametrize("stage", SCORED, ids=lambda stage: stage.name)
def test_a_stage_has_one_row_for_each_document_in_the_same_order(
    stage: Stage, finished: Path
) -> None:
    project = open_project(finished)
    recipes = Recipes(project)
    for shard in project.all_shards():
        ids = project.lake.read_table(recipes.feature_key(DOCUMENTS, shard), ["doc_id"])
        scored = project.lake.read_table(recipes.feature_key(stage, shard), ["doc_id"])
        assert scored.column("doc_id").to_pylist() == ids.column("doc_id").to_pylist()


def test_rejections_say_which_row_and_why(finished: Path) -> None:
    found = rows(
        finished, "select source, row, reason, excerpt from rejections order by shard, row"
    )
    expected = [(20, "too_short", "short"), (21, "missing_text", "null")] * 2
    assert [(row["row"], row["reason"], row["excerpt"]) for row in found] == expected
    assert {row["source"] for row in found} == {"web"}


def test_a_document_is_known_by_its_text_its_place_and_its_metadata(finished: Path) -> None:
    [row] = rows(finished, "select * from documents where id = 'news-0-5'")
    text = prose("news-0-5")
    assert row["doc_id"] == doc_id(text)
    assert (row["source"], row["shard"], row["row"]) == ("news", "data/news/part-0.jsonl", 5)
    assert (row["num_bytes"], row["language"]) == (len(text.encode()), "en")
    assert row["metadata"] == '{"url": "https://example.org/news-0-5"}'


@pytest.mark.parametrize("score", ["quality", "diversity", "cluster_score", "ngram_score"])
def test_scores_lie_strictly_inside_0_and_1(score: str, finished: Path) -> None:
    found = rows(finished, f"select min({score}) as low, max({score}) as high from scores")
    assert 0 < found[0]["low"] < found[0]["high"] < 1


def test_scrambled_letters_are_poor_quality(finished: Path) -> None:
    mean = {
        row["is_noise"]: row["quality"]
        for row in rows(
            finished,
            "select row % 4 = 0 as is_noise, avg(quality) as quality from scores "
            "where source = 'web' group by 1",
        )
    }
    assert mean[True] < 0.25 < 0.5 < mean[False]


# -- the ledger ------------------------------------------------------------------------------------


@pytest.mark.parametrize("mixture", ["default", "flat"])
def test_the_ledger_has_one_row_for_each_document_drawn_or_not(
    mixture: str, finished: Path
) -> None:
    sql = "select source, shard, row, doc_id, num_tokens from {} order by all"
    ledger = rows(finished, sql.format(f"(from ledger where mixture = '{mixture}')"))
    assert ledger == rows(finished, sql.format("documents"))


@pytest.mark.parametrize("mixture", ["default", "flat"])
def test_a_document_has_a_reason_exactly_when_it_is_not_drawn(mixture: str, finished: Path) -> None:
    found = rows(finished, f"select copies, reason from ledger where mixture = '{mixture}'")
    assert all((row["copies"] > 0) == (row["reason"] is None) for row in found)
    assert {row["reason"] for row in found} == {None, "not_drawn", "duplicate"}


@pytest.mark.parametrize("mixture", ["default", "flat"])
def test_the_budget_is_met_to_within_one_document_and_never_exceeded(
    mixture: str, finished: Path
) -> None:
    report = manifest(finished, mixture)["report"]
    [ledger] = rows(
        finished,
        "select sum(copies * num_tokens)::bigint as drawn, max(num_tokens) as longest "
        f"from ledger where mixture = '{mixture}'",
    )
    assert ledger["drawn"] == report["realised_tokens"]
    assert 0 <= report["budget_tokens"] - ledger["drawn"] < ledger["longest"]


def test_copies_are_the_floor_of_what_the_scale_gives_plus_luck(finished: Path) -> None:
    from samplemix_dagster.core.hashing import id_words, uniforms

    found = rows(
        finished,
        "select doc_id, source, copies, weight, reason from ledger where mixture = 'default'",
    )
    own = [row for row in found if row["reason"] != "duplicate"]
    luck = uniforms(id_words([row["doc_id"] for row in own]), 0, "draw")
    scales = manifest(finished)["scales"]
    reached = np.minimum(4.0, [scales[row["source"]] * row["weight"] for row in own])
    drawn = np.array([row["copies"] for row in own])
    # One activation sits exactly on the scale; there rounding may go either way.
    assert (drawn != np.floor(reached + luck)).sum() <= 2


def test_no_document_is_drawn_more_often_than_allowed(root: Path) -> None:
    settings_changed("mixtures", "default", "max_copies", to=2)(root)
    settings_changed("mixtures", "default", "budget_tokens", to=30_000)(root)
    run(root)
    assert set(copies(root).values()) == {0, 1, 2}


# -- duplicates ------------------------------------------------------------------------------------


def test_a_text_that_occurs_twice_is_drawn_as_one_document(finished: Path) -> None:
    again = rows(finished, "select doc_id from duplicates")
    assert len(again) == 4
    for duplicate in again:
        found = rows(
            finished,
            "select source, copies, reason from ledger "
            f"where mixture = 'flat' and doc_id = '{duplicate['doc_id']}' order by source, row",
        )
        assert [row["reason"] == "duplicate" for row in found] == [False, True]
        assert found[1]["copies"] == 0


def test_the_first_source_by_name_keeps_a_text_that_two_have(finished: Path) -> None:
    shared = doc_id(prose("news-0-5"))
    found = rows(finished, f"select source from duplicates where doc_id = '{shared}'")
    assert [row["source"] for row in found] == ["web"]


def test_kept_duplicates_count_as_often_as_they_occur(after: object) -> None:
    root = after("duplicates kept").root  # type: ignore[operator]
    assert rows(root, "select * from ledger where reason = 'duplicate'") == []
    sql = "select count(distinct copies) as n from ledger group by mixture, doc_id"
    assert {row["n"] for row in rows(root, sql)} == {1}
    assert manifest(root)["report"]["num_documents"] == 2 * SHARD_DOCUMENTS * len(SOURCES)


# -- shares ----------------------------------------------------------------------------------------


def test_held_shares_are_met_to_within_one_document_in_all(root: Path) -> None:
    settings_changed("mixtures", "flat", "shares", to={"news": 0.5, "letters": 0.5})(root)
    run(root)
    report = manifest(root, "flat")["report"]
    drawn = {name: source["tokens"] for name, source in report["sources"].items()}
    [longest] = rows(root, "select max(num_tokens) as n from ledger")
    assert drawn["web"] == 0
    assert abs(drawn["news"] - 3000) < longest["n"]
    assert 0 <= 6000 - sum(drawn.values()) < longest["n"]


# -- what cannot be --------------------------------------------------------------------------------


def test_a_budget_above_what_there_is_names_one_that_works(root: Path) -> None:
    settings_changed("mixtures", "flat", "budget_tokens", to=10**7)(root)
    with pytest.raises(InfeasibleMixtureError, match="more than there is") as caught:
        run(root)
    numbers = re.findall(r"[\d,]{5,}", str(caught.value))
    feasible = int(numbers[-1].replace(",", ""))
    settings_changed("mixtures", "flat", "budget_tokens", to=feasible)(root)
    run(root)
    assert manifest(root, "flat")["report"]["realised_tokens"] == feasible


def test_a_budget_below_the_first_document_is_refused_with_that_number(root: Path) -> None:
    settings_changed("mixtures", "flat", "budget_tokens", to=1)(root)
    with pytest.raises(InfeasibleMixtureError, match="the first document to be drawn has"):
        run(root)


def test_a_corpus_of_which_every_row_is_rejected_is_refused(tmp_path: Path) -> None:
    fresh = make_project(tmp_path / "fresh", reference_folder())
    settings_changed("corpus", "min_characters", to=10**6)(fresh)
    with pytest.raises(
        InputError, match=r"the corpus has no document: 6 shards.*124 rows rejected"
    ):
        run_project(open_project(fresh))
    found = rows(fresh, "select reason, count(*) as n from rejections group by 1 order by 1")
    assert [(row["reason"], row["n"]) for row in found] == [("missing_text", 2), ("too_short", 122)]


def test_a_shard_without_a_document_is_no_obstacle(root: Path) -> None:
    (root / "data/news/part-7.jsonl").write_bytes(jsonl([{"text": "x"}, {"body": "y"}]))
    (root / "data/news/part-8.jsonl").write_bytes(b"")
    (root / "data/news/part-9.jsonl").mkdir()
    run(root)
    found = rows(
        root, "select row, reason from rejections where source = 'news' order by shard, row"
    )
    assert [(row["row"], row["reason"]) for row in found] == [
        (0, "too_short"),
        (1, "missing_text"),
        (0, "empty_file"),
        (0, "directory"),
    ]


def test_a_source_that_matches_nothing_is_named_and_leaves_the_others_alone(tmp_path: Path) -> None:
    fresh = make_project(tmp_path / "fresh", reference_folder())
    settings_changed("corpus", "sources", "web", "path", to="data/nowhere/*.jsonl")(fresh)
    with pytest.raises(InputError, match=r"source 'web': nothing matches data/nowhere/\*\.jsonl"):
        run_project(open_project(fresh))
    found = rows(fresh, "select source, count(*) as n from documents group by 1 order by 1")
    assert [(row["source"], row["n"]) for row in found] == [("letters", 40), ("news", 40)]


def test_a_reference_that_is_not_there_is_named(tmp_path: Path) -> None:
    fresh = make_project(tmp_path / "fresh", tmp_path / "no-model")
    with pytest.raises(ModelError, match="no-model"):
        run_project(open_project(fresh))


def test_shares_that_do_not_sum_to_1_are_refused(root: Path) -> None:
    settings_changed("mixtures", "flat", "shares", to={"news": 0.5, "web": 0.6})(root)
    with pytest.raises(ConfigError, match=r"shares sum to 1; these sum to 1\.1"):
        run(root)


def test_a_shard_that_changes_between_two_stages_is_noticed(root: Path) -> None:
    write_shard(root, "news", 2, shard_rows("news", 2, count=7))
    project = open_project(root)

    def meddle(outcome: Outcome) -> None:
        if outcome.asset == "raw_shards":
            write_shard(root, "news", 2, shard_rows("news", 3, count=7))

    with pytest.raises(InputError, match=r"part-2\.jsonl changed while it was read; run again"):
        run_project(project, on_outcome=meddle)
    run(root)
    found = rows(root, "select id from documents where shard like '%part-2%'")
    assert {row["id"] for row in found} == {f"news-3-{number}" for number in range(7)}


def test_a_shard_that_changes_between_scan_and_reading_is_not_stored_under_a_false_digest(
    root: Path,
) -> None:
    project = open_project(root)
    write_shard(root, "news", 2, shard_rows("news", 2, count=7))
    scanned = {shard.digest for shard in project.scan("news").shards}
    write_shard(root, "news", 2, shard_rows("news", 3, count=7))
    with pytest.raises(InputError, match=r"part-2\.jsonl changed while it was read; run again"):
        run_raw_shards(project, "news", "a test")
    folder = Recipes(project).feature_folder(DOCUMENTS, "news")
    stored = {name.split(".")[0] for name in project.lake.names(folder)}
    assert len(scanned - stored) == 1


def test_strange_ids_and_metadata_do_not_stop_a_run(tmp_path: Path) -> None:
    rows_as_written = [
        '{"id": "\\ud800", "url": "\\udfff", "date": NaN, "lang": {"a": [1]}, "text": "TEXT 1"}',
        '{"id": 12, "url": null, "text": "TEXT 2"}',
    ]

    def add(root: Path) -> None:
        content = "\n".join(rows_as_written).replace("TEXT", prose("strange"))
        (root / "data/news/strange.jsonl").write_text(content)

    root = run_changed(tmp_path / "p", add).root
    found = rows(
        root, "select id, metadata from documents where shard like '%strange%' order by row"
    )
    assert found == [
        {"id": "\\ud800", "metadata": '{"lang": {"a": [1]}, "url": "\\\\udfff"}'},
        {"id": "12", "metadata": "{}"},
    ]
    [unpacked] = rows(root, "select metadata->>'url' as url from documents where id = '\\ud800'")
    assert unpacked["url"] == "\\udfff"
