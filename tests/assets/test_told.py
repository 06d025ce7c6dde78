"""What an asset tells: headlines first and in words, numbers last; where it lies; its columns."""

from dataclasses import replace
from typing import Any, cast

import dagster as dg
import pytest

from samplemix_dagster import tables
from samplemix_dagster.config.project import Config
from samplemix_dagster.engine.outcome import Outcome, ShardOutcome
from samplemix_dagster.engine.project import Project
from samplemix_dagster.show.presentation import flops_in_words, many, took
from samplemix_dagster.stages.mixture.published.publishing import Verdict
from samplemix_dagster.stages.scores import SCORES
from samplemix_dagster.wiring.assets.asset import Look
from samplemix_dagster.wiring.assets.mixture import headline_words, links_value
from samplemix_dagster.wiring.assets.scored import diversity, reference, shards
from samplemix_dagster.wiring.assets.shown.columns import (
    column_lineage,
    origins_of_diversity,
    origins_of_ledger,
    origins_of_scores,
)
from samplemix_dagster.wiring.assets.shown.pictures import SHOWN_IN_PLACE
from samplemix_dagster.wiring.assets.shown.told import address_value, headlines, plumbing
from samplemix_dagster.wiring.checks import step_checks
from samplemix_dagster.wiring.checks.check import WITH_ITS_ASSET, Check


def outcome(partition: str | None = "web", computed: int = 3) -> Outcome:
    shard = ShardOutcome(shard="ab", path="a.jsonl", num_documents=5, num_computed=computed)
    return Outcome(
        asset="quality_scores",
        partition=partition,
        why="1 new shard",
        data_version="v",
        seconds=72.4,
        shards=() if partition is None else (shard,),
    )


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "under 0.1 s"),
        (0.31, "0.3 s"),
        (59.6, "1 min 0 s"),
        (72.4, "1 min 12 s"),
        (7384, "2 h 3 min"),
    ],
)
def test_a_time_is_told_as_people_say_it(seconds: float, words: str) -> None:
    assert took(seconds) == words


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (9_999, "9,999"),
        (12_400_000, "12.4 M"),
        (999_960, "1.0 M"),
        (3e9, "3.0 G"),
        (2e13, "20.0 T"),
    ],
)
def test_a_count_is_short(number: float, words: str) -> None:
    assert many(number) == words


@pytest.mark.parametrize(
    ("flops", "words"),
    [
        (934985643873.28, "0.93 TFLOP"),
        (2.5e9, "2.5 GFLOP"),
        (4.2e16, "42.0 PFLOP"),
        (3e20, "300.0 EFLOP"),
    ],
)
def test_work_is_told_in_a_unit_that_leaves_a_short_number(flops: float, words: str) -> None:
    assert flops_in_words(flops) == words


def test_how_much_was_done_comes_first_and_plain_numbers_last() -> None:
    told = {**headlines(outcome()), **plumbing(outcome())}
    assert told["documents"] == "5 in 1 shard; 3 computed, in 1 min 12 s"
    assert list(told)[:2] == ["documents", "why"]
    assert list(told)[-2:] == ["took", "seconds"]
    assert told["seconds"] == 72.4  # a run's own report reads it


def test_a_fit_has_no_documents_of_its_own() -> None:
    assert headlines(outcome(None)) == {"why": "1 new shard"}
    assert "by_shard" not in plumbing(outcome(None))


@pytest.mark.parametrize(
    ("computed", "words"), [(0, "none computed"), (3, "3 computed"), (5, "all computed")]
)
def test_what_was_current_is_told_apart(computed: int, words: str) -> None:
    assert words in headlines(outcome(computed=computed))["documents"]


def test_an_address_at_amazon_opens_and_any_other_is_there_to_copy() -> None:
    place = "s3://bucket/lake/fits/beta"
    opened = address_value(place, has_console=True)
    assert isinstance(opened, dg.UrlMetadataValue)
    assert opened.value.endswith("/bucket?prefix=lake/fits/beta/")
    for other in (
        address_value(place, has_console=False),
        address_value("/data/lake/fits", has_console=True),
    ):
        assert isinstance(other, dg.PathMetadataValue)


def test_a_mixture_begins_with_its_tokens_documents_and_means() -> None:
    means = {"mean_quality": 0.5, "mean_diversity": 0.4}
    words = headline_words(
        {
            "realised_tokens": 39_918,
            "budget_tokens": 40_000,
            "num_documents_drawn": 36,
            "num_documents": 286,
            "num_draws": 37,
            "mean_quality": 0.512,
            "mean_diversity": 0.515,
            "corpus": means,
            "promised": means,
            "near_duplicate_share_before": 0.05,
            "near_duplicate_share_after": 0.01,
            "kl_nats": 0.139,
            "effective_sample_size_tokens": 234_779,
            "effective_sample_share": 0.8,
        }
    )
    assert list(words)[:4] == ["tokens", "documents", "quality", "diversity"]
    assert words["tokens"] == "39,918 of 40,000 (99.8% of the budget)"
    assert words["quality"] == "corpus 0.500 → mixture 0.512 (promised 0.500)"


SETTINGS = {
    "corpus": {"sources": {"news": {"path": "news/*.jsonl"}}},
    "references": {"main": {"bootstrap": {}}},
    "tokenizer": {"reference": "main"},
    "encoder": {"model": "somewhere"},
    "mixtures": {"default": {"budget_tokens": 1000}},
}


@pytest.mark.parametrize("metrics", [(), ("vocabulary",)])
def test_every_column_of_scores_and_ledger_says_where_it_comes_from(
    metrics: tuple[str, ...],
) -> None:
    named = {name: f"module:{name}" for name in metrics}
    config = Config.model_validate({**SETTINGS, "diversity": {"metrics": named}})
    scores = {column.name for column in SCORES.contract(config).columns}
    assert set(origins_of_scores(config)) == scores
    assert set(origins_of_ledger()) == {column.name for column in tables.LEDGER.columns}
    for pairs in origins_of_ledger().values():
        assert {column for _, column in pairs} <= scores
    lineage = column_lineage(origins_of_diversity(config)).deps_by_column["diversity"]
    assert len(lineage) == 3 + len(metrics)


@pytest.mark.parametrize("is_blocking", [True, False])
def test_a_check_says_what_follows_and_that_it_runs_with_its_asset(is_blocking: bool) -> None:
    check = Check(
        name="n",
        description="It holds.",
        is_blocking=is_blocking,
        look=lambda _project, _outcome: Verdict(passed=True),
    )
    words = step_checks.in_words(check)
    assert words.startswith("It holds. If it does not hold, ")
    assert words.endswith(WITH_ITS_ASSET)
    assert ("stops nothing" in words) is not is_blocking


def test_a_mixtures_links_are_shown_in_place_whatever_its_name() -> None:
    words = str(links_value("m" * 60, "f" * 24).value)
    assert len(words) <= SHOWN_IN_PLACE
    for asset in ("document_scores", "beta_parameters", "export/" + "m" * 60, "mixture_totals"):
        assert f"(/assets/{asset})" in words


NOT_READ = cast("Project", None)
"""What is told of a fit is told from its facts alone."""


def told_of_a_fit(look: Look, **facts: Any) -> dict[str, Any]:
    return dict(look.present(NOT_READ, replace(outcome(None), facts=facts)))


def test_exclusions_say_how_many_and_what_each_reason_means() -> None:
    told = told_of_a_fit(
        shards.LOOKS["exclusions"], num_documents=3, by_reason={"contaminated": 2, "takedown": 1}
    )
    assert told["excluded"] == "3 documents that no version may draw"
    assert {
        record.data["reason"]: record.data["which_means"] for record in told["by_reason"].records
    } == {reason: tables.EXCLUSIONS[reason] for reason in ("contaminated", "takedown")}


def test_every_reason_of_an_exclusion_can_be_told() -> None:
    told = told_of_a_fit(
        shards.LOOKS["exclusions"],
        num_documents=len(tables.EXCLUSIONS),
        by_reason=dict.fromkeys(tables.EXCLUSIONS, 1),
    )
    assert len(told["by_reason"].records) == len(tables.EXCLUSIONS)


def test_a_set_that_kept_nothing_out_is_told_with_0() -> None:
    told = told_of_a_fit(
        shards.LOOKS["exclusions"],
        num_documents=2,
        by_reason={"external": 2},
        by_set={"unsafe": 2, "misspelt": 0},
    )
    assert [record.data for record in told["by_set"].records] == [
        {"set": "unsafe", "documents": 2},
        {"set": "misspelt", "documents": 0},
    ]


def test_where_nothing_is_excluded_there_is_no_table_of_reasons() -> None:
    told = told_of_a_fit(shards.LOOKS["exclusions"], num_documents=0, by_reason={})
    assert told == {"excluded": "0 documents that no version may draw", "num_excluded": 0}


def test_items_of_evaluations_are_told_with_those_that_are_too_short() -> None:
    counts = {"items": 5, "looked_for": 4, "whole": 1, "too_short": 1}
    told = told_of_a_fit(shards.LOOKS["evaluation_texts"], sets={"quiz": counts}, num_grams=90)
    assert told["items"] == "4 of 5 are looked for"
    assert told["sets"].records[0].data == {"set": "quiz", **counts}


def test_groups_of_near_duplicates_say_in_words_what_they_hold() -> None:
    told = told_of_a_fit(
        diversity.LOOKS["near_groups"],
        num_texts=194,
        num_groups=2,
        texts_in_groups=5,
        largest=[{"near_group": "ab", "texts": 3}, {"near_group": "cd", "texts": 2}],
    )
    assert next(iter(told.items())) == ("groups", "2 hold 5 of 194 texts")


def test_a_reference_says_first_what_it_read_and_last_what_it_is() -> None:
    told = told_of_a_fit(
        reference.look("main", "ngram"),
        kind="ngram",
        model_digest="ab",
        num_training_tokens=218_972,
        num_training_documents=194,
        held_out_bits_per_byte=1.7393,
        bits_per_byte_with_itself=0.7388,
    )
    assert told["read"] == "218,972 tokens of 194 documents"
    assert told["bits_per_byte"].startswith("1.739 on documents that are left out")
    assert list(told)[:2] == ["read", "bits_per_byte"]
    assert list(told)[-2:] == ["kind", "model_digest"]


def test_a_reference_that_is_named_has_nothing_to_tell_of_reading() -> None:
    told = told_of_a_fit(reference.look("main", ""), kind="named", model_digest="ab")
    assert told == {"kind": "named", "model_digest": "ab"}
