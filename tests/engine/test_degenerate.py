"""A corpus of a template, of one text, of three documents: every mixture is made."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from samplemix_dagster.core.beta.fit import uniform_law
from samplemix_dagster.core.beta.plane import plane_of
from samplemix_dagster.core.calibrating.calibration import (
    group_histograms,
    neutral_calibration,
    robust_z,
)
from samplemix_dagster.core.diversity.topics import apply_topics, one_topic
from samplemix_dagster.core.mixture.dials import Dials
from samplemix_dagster.runs.work.run import run_project
from samplemix_dagster.trace.verify.verifying import verify
from samplemix_dagster.trace.versions import current_manifest
from tests.projects import base_settings, needs_encoder, open_project, prose, reference_folder

TEMPLATE = [
    f"Order {number} was shipped from the harbour and came to its owner after {number * 37 % 101} "
    "days."
    for number in range(60)
]
CORPORA = {
    "template": TEMPLATE,
    "one text": ["The harbour was quiet, and the captain looked at the sea."],
    "one text, many times": ["The harbour was quiet, and the captain looked at the sea."] * 30,
    "three": [prose("a"), prose("b"), prose("c")],
}


@pytest.fixture(scope="module")
def reference() -> Path:
    return reference_folder()


def make(root: Path, reference: Path, texts: list[str], budget: int) -> None:
    settings: dict[str, Any] = base_settings(reference)
    settings["corpus"]["sources"] = {"w": {"path": "data/*.jsonl"}}
    settings["diversity"]["weights"] = {"topic": 0}
    settings["mixtures"] = {
        "default": {"budget_tokens": budget},
        "plain": {"strategy": "proportional", "budget_tokens": budget},
        "held": {"budget_tokens": budget, "shares": "uniform"},
    }
    (root / "data").mkdir()
    lines = "".join(json.dumps({"text": text}) + "\n" for text in texts)
    (root / "data" / "a.jsonl").write_text(lines)
    (root / "samplemix.yaml").write_text(yaml.safe_dump(settings))


@needs_encoder
@pytest.mark.parametrize("name", CORPORA)
def test_every_mixture_of_a_degenerate_corpus_is_made_and_says_what_is_neutral(
    name: str, reference: Path, tmp_path: Path
) -> None:
    texts = CORPORA[name]
    budget = max(sum(len(text) for text in texts) // 8, len(texts[0]))
    make(tmp_path, reference, texts, budget if name != "one text, many times" else 60)
    project = open_project(tmp_path)
    run_project(project)
    for mixture in ("default", "plain", "held"):
        manifest = current_manifest(project, mixture)
        assert manifest is not None
        assert manifest["report"]["num_draws"] > 0
        assert any("is one topic" in words for words in manifest["report"]["warnings"])
        found = verify(project, mixture, manifest["version"])
        assert found["holds"], found


def test_documents_that_score_the_same_are_all_in_the_middle() -> None:
    values = np.full(20, 4.537)
    histograms = group_histograms(
        values, np.full(20, 30), np.array(["en"] * 20), lower=0.0, upper=16.0
    )
    calibration = neutral_calibration(histograms)
    assert np.abs(robust_z(values, np.array(["en"] * 20), calibration)).max() < 0.01


def test_where_there_is_one_topic_none_is_rare() -> None:
    scores = apply_topics([["a", "b"], []], [[1, 2], []], one_topic())
    np.testing.assert_array_equal(scores.rarity, [0.5, 0.5])
    np.testing.assert_array_equal(scores.topic, [0, 0])
    np.testing.assert_array_equal(scores.entropy, [0.0, 0.0])


def test_the_law_that_says_nothing_allows_dials_above_minus_one() -> None:
    plane = plane_of(np.array([0.5]), np.array([0.5]), np.array([7]))
    law = uniform_law(plane).law
    assert law.log_density(np.array([0.2]), np.array([0.9]))[0] == pytest.approx(0.0)
    Dials(quality=-0.9, diversity=5.0).check(law)
