"""The report's models against plain Python: a made-up lake, built as a person would build it."""

import json
import os
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samplemix_dagster.storage.ask.query import query
from samplemix_dagster.storage.corpus.shards import REASONS
from samplemix_dagster.storage.report.dbt_run import dbt_folder, report_models
from tests.fake_lake import (
    CLUSTERS,
    MIXTURES,
    TOPICS,
    FakeLake,
    break_ledger,
    make_fake_lake,
)

Row = dict[str, Any]


@dataclass(frozen=True)
class Built:
    fake: FakeLake
    target: Path

    def rows(self, model: str) -> list[Row]:
        return self.fake.lake.read_table(f"reports/{model}.parquet").to_pylist()

    def artifact(self, name: str) -> Any:
        return json.loads((self.target / name).read_bytes())


def run_dbt(fake: FakeLake, target: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    folder = str(dbt_folder())
    target.mkdir(parents=True, exist_ok=True)
    options = ["--project-dir", folder, "--profiles-dir", folder, "--no-use-colors"]
    return subprocess.run(
        [sys.executable, "-c", "from dbt.cli.main import cli; cli()", *arguments, *options],
        cwd=target,
        env={
            **os.environ,
            "SAMPLEMIX_LAKE": str(fake.lake.root),
            "DBT_TARGET_PATH": str(target),
            "DBT_LOG_PATH": str(target),
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        },
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    root = tmp_path_factory.mktemp("dbt")
    fake = make_fake_lake(root / "lake")
    done = run_dbt(fake, root / "target", "build")
    assert done.returncode == 0, done.stdout
    return Built(fake, root / "target")


def tokens(rows: list[Row]) -> int:
    return sum(row["num_tokens"] for row in rows)


def drawn_tokens(rows: list[Row]) -> int:
    return sum(row["copies"] * row["num_tokens"] for row in rows)


def mean(rows: list[Row], column: str, *, drawn: bool) -> float | None:
    weights = [row["num_tokens"] * (row["copies"] if drawn else 1) for row in rows]
    values = [row[column] for row in rows]
    return float(np.average(values, weights=weights)) if sum(weights) else None


@pytest.mark.parametrize("group", ["source", "language", "cluster", "topic"])
def test_compositions_are_those_counted_by_hand(built: Built, group: str) -> None:
    places = {(row["shard"], row["row"]): row for row in built.fake.documents}
    found = {(row["mixture"], row[group]): row for row in built.rows(f"composition_by_{group}")}
    expected = 0
    for mixture in MIXTURES:
        ledger = built.fake.counted(mixture)
        labels = [places[row["shard"], row["row"]][group] for row in ledger]
        for label in sorted(set(labels)):
            mine = [row for row, own in zip(ledger, labels, strict=True) if own == label]
            row = found[mixture, label]
            before, after = tokens(mine) / tokens(ledger), drawn_tokens(mine) / drawn_tokens(ledger)
            assert row["num_documents"] == len(mine)
            assert row["num_tokens"] == tokens(mine)
            assert row["num_documents_drawn"] == sum(row["copies"] > 0 for row in mine)
            assert row["num_draws"] == sum(row["copies"] for row in mine)
            assert row["drawn_tokens"] == drawn_tokens(mine)
            assert row["share_before"] == pytest.approx(before)
            assert row["share_after"] == pytest.approx(after)
            assert row["retention_ratio"] == pytest.approx(after / before)
            expected += 1
    assert len(found) == expected


def test_clusters_and_topics_have_their_names(built: Built) -> None:
    clusters = {row["cluster"]: row["cluster_name"] for row in built.rows("composition_by_cluster")}
    topics = {row["topic"]: row["topic_name"] for row in built.rows("composition_by_topic")}
    assert clusters == dict(enumerate(CLUSTERS))
    assert topics == dict(enumerate(TOPICS))


def test_the_histogram_counts_every_document_once(built: Built) -> None:
    for mixture in MIXTURES:
        counts = Counter(row["copies"] for row in built.fake.counted(mixture))
        bars = {
            row["copies"]: row["num_documents"]
            for row in built.rows("copies_histogram")
            if row["mixture"] == mixture
        }
        assert bars == {copies: counts[copies] for copies in range(max(counts) + 1)}


def test_totals_say_what_became_of_every_document(built: Built) -> None:
    found = {row["mixture"]: row for row in built.rows("mixture_totals")}
    for mixture in MIXTURES:
        ledger, counted = built.fake.ledgers[mixture], built.fake.counted(mixture)
        row = found[mixture]
        assert row["num_documents"] == len(ledger)
        assert row["num_duplicates"] == 3
        assert row["num_documents_drawn"] == sum(row["copies"] > 0 for row in ledger)
        assert row["num_documents_not_drawn"] == len(counted) - row["num_documents_drawn"]
        assert row["num_documents_excluded"] == 0
        assert row["corpus_tokens"] == tokens(counted)
        assert row["drawn_tokens"] == drawn_tokens(ledger) == row["budget_tokens"] - 5
        for column in ("quality", "diversity"):
            before, after = row[f"mean_{column}_before"], row[f"mean_{column}_after"]
            assert before == pytest.approx(mean(counted, column, drawn=False), abs=1e-6)
            assert after == pytest.approx(mean(counted, column, drawn=True), abs=1e-6)


def test_what_is_dropped_adds_up_by_source(built: Built) -> None:
    for row in built.rows("dropped_by_mixture"):
        ledger = built.fake.ledgers[row["mixture"]]
        mine = [item for item in ledger if item["source"] == row["source"]]
        reasons = {
            reason: [item for item in mine if item["reason"] == reason]
            for reason in (None, "not_drawn", "duplicate")
        }
        assert row["num_tokens"] == tokens(mine)
        assert row["num_documents_drawn"] == len(reasons[None])
        assert row["num_tokens_drawn"] == tokens(reasons[None])
        assert row["num_documents_not_drawn"] == len(reasons["not_drawn"])
        assert row["num_tokens_not_drawn"] == tokens(reasons["not_drawn"])
        assert row["num_duplicates"] == len(reasons["duplicate"])
        assert row["num_duplicate_tokens"] == tokens(reasons["duplicate"])
        drawn = mean(reasons[None], "quality", drawn=True)
        others = mean(reasons["not_drawn"], "diversity", drawn=False)
        assert row["mean_quality_drawn"] == pytest.approx(drawn, abs=1e-6)
        assert row["mean_diversity_not_drawn"] == pytest.approx(others, abs=1e-6)


@pytest.mark.parametrize(("extreme", "sign"), [("most", -1), ("least", 1)])
def test_extremes_are_the_first_by_weight(built: Built, extreme: str, sign: int) -> None:
    places = {(row["shard"], row["row"]): row for row in built.fake.documents}
    for mixture in MIXTURES:
        ledger = built.fake.counted(mixture)
        expected = sorted(ledger, key=lambda row: (sign * row["weight"], row["doc_id"]))[:20]
        found = [
            row
            for row in built.rows("weighted_documents")
            if row["mixture"] == mixture and row["extreme"] == extreme
        ]
        assert [row["place"] for row in found] == list(range(1, 21))
        assert [row["doc_id"] for row in found] == [row["doc_id"] for row in expected]
        for row in found:
            document = places[row["shard"], row["row"]]
            assert row["id"] == document["id"]
            assert row["topic_score"] == document["topic_score"]


def test_duplicates_name_the_occurrence_that_is_kept(built: Built) -> None:
    found = {(row["shard"], row["row"]): row for row in built.rows("duplicate_documents")}
    documents = built.fake.documents
    duplicates = [row for row in documents if row["is_duplicate"]]
    assert set(found) == {(row["shard"], row["row"]) for row in duplicates}
    for duplicate in duplicates:
        same = [row for row in documents if row["doc_id"] == duplicate["doc_id"]]
        kept = next(row for row in same if not row["is_duplicate"])
        row = found[duplicate["shard"], duplicate["row"]]
        assert (row["kept_shard"], row["kept_row"]) == (kept["shard"], kept["row"])
        assert row["num_occurrences"] == len(same)


def test_rejections_are_counted_with_their_first_example(built: Built) -> None:
    found = {(row["source"], row["reason"]): row for row in built.rows("rejections_by_reason")}
    assert {key: row["num_rejected"] for key, row in found.items()} == {
        ("books", "empty"): 1,
        ("web", "invalid_json"): 1,
        ("web", "too_short"): 4,
    }
    assert found["web", "too_short"]["example_row"] == 100
    assert found["web", "too_short"]["share_of_rows"] == pytest.approx(4 / (24 + 5))


def test_quantiles_are_those_of_numpy(built: Built) -> None:
    found = built.rows("score_distribution")
    assert {row["score"] for row in found} == {
        *("bits_per_byte", "perplexity", "quality", "diversity"),
        *("cluster_score", "ngram_score", "topic_score"),
    }
    for source in ("books", "web"):
        for score in ("quality", "bits_per_byte"):
            values = [row[score] for row in built.fake.documents if row["source"] == source]
            mine = [row for row in found if (row["source"], row["score"]) == (source, score)]
            expected = np.quantile(values, np.linspace(0, 1, 11))
            assert [row["value"] for row in mine] == pytest.approx(list(expected))
            assert {row["num_documents"] for row in mine} == {len(values)}


def test_queries_find_the_models_beside_the_views(built: Built) -> None:
    sql = "select count(*) as n from mixture_totals inner join ledger using (mixture)"
    assert query(built.fake.lake, sql).to_pylist() == [{"n": 80}]


def test_unit_tests_and_data_tests_were_run(built: Built) -> None:
    results = built.artifact("run_results.json")["results"]
    passed = Counter(
        result["unique_id"].split(".")[0] for result in results if result["status"] == "pass"
    )
    assert passed["unit_test"] >= 2
    assert passed["test"] >= 40


def test_every_model_states_its_grain_and_its_contract(built: Built) -> None:
    nodes = built.artifact("manifest.json")["nodes"].values()
    models = {node["name"]: node for node in nodes if node["resource_type"] == "model"}
    assert set(report_models()) < set(models)
    for name, node in models.items():
        assert node["description"].startswith("One row per "), name
        assert node["contract"]["enforced"], name
        for column in node["columns"].values():
            assert column["data_type"], (name, column["name"])
            assert column["description"], (name, column["name"])


def test_every_reason_of_a_rejection_is_accepted(built: Built) -> None:
    nodes = built.artifact("manifest.json")["nodes"].values()
    node = next(node for node in nodes if node["name"] == "rejections_by_reason_reason_is_known")
    assert set(node["test_metadata"]["kwargs"]["values"]) == set(REASONS)


def test_one_model_can_be_built_alone_and_an_empty_one_has_no_row(tmp_path: Path) -> None:
    fake = make_fake_lake(tmp_path / "lake", is_clean=True)
    models = ("duplicate_documents", "rejections_by_reason")
    done = run_dbt(fake, tmp_path / "target", "build", "--select", *models)
    assert done.returncode == 0, done.stdout
    reports = {model: fake.lake.read_table(f"reports/{model}.parquet") for model in models}
    assert {model: table.num_rows for model, table in reports.items()} == dict.fromkeys(models, 0)
    assert reports["duplicate_documents"].column_names[0] == "source"


def test_a_ledger_that_does_not_add_up_fails(tmp_path: Path) -> None:
    fake = make_fake_lake(tmp_path / "lake")
    break_ledger(fake, "default")
    done = run_dbt(fake, tmp_path / "target", "build", "--select", "composition_by_source")
    assert done.returncode != 0
    assert "FAIL 1 composition_by_source_adds_up_to_the_mixture" in done.stdout
