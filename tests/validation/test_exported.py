"""What a learner reads out of an export is what was drawn, and a transformer reads nothing else."""

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samplemix_dagster.config.evaluation import Evaluation
from samplemix_dagster.core.learners.ragged import TokenTexts
from samplemix_dagster.validation.evaluate import prepare, run
from samplemix_dagster.validation.training import trainings
from samplemix_dagster.validation.training.exported import exported
from tests.projects import copy_project, finished_project, needs_encoder, open_project, prose

texts = st.lists(st.lists(st.integers(0, 70_000), max_size=9), max_size=9)


@given(texts)
def test_what_is_read_is_what_was_written(written: list[list[int]]) -> None:
    size = max([0, *(token for text in written for token in text)]) + 1
    whole = TokenTexts.of(written)
    with exported(whole, vocabulary=size, tokenizer="t") as read:
        assert read.tokens.dtype == (np.uint16 if size <= 1 << 16 else np.uint32)
        assert [read.text(n).tolist() for n in range(len(read))] == written


@needs_encoder
def test_a_transformer_is_trained_on_exports_and_its_second_judge_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = open_project(copy_project(finished_project(), tmp_path / "project"))
    held_out = tmp_path / "held-out.jsonl"
    held_out.write_text("".join(json.dumps({"text": prose(f"new-{n}")}) + "\n" for n in range(6)))
    read = []
    monkeypatch.setattr(
        trainings,
        "exported",
        lambda found, **how: read.append(len(found)) or exported(found, **how),
    )
    settings = Evaluation(
        texts={"news": str(held_out)},
        learner="transformer",
        seeds=2,
        budget_tokens=4000,
        pool=1.0,
        ladder=[],
        context_tokens=64,
    )
    prepared = prepare(project, ["default"], settings)
    # Two arms and two controls; the second judge has the arms alone.
    assert len(prepared.missing) == 2 * 4 + 2 * 2
    found = run(prepared)
    assert len(read) == len({one.address for one in prepared.wanted})
    assert found["learner"] == "transformer"
    assert found["strength"] == "look"
    assert len(found["second_judges"]) == 1
    assert found["second_judges"][0]["learner_settings"]["learning_rate"] == 1e-5
    assert found["cost"]["flops"] > 0
    assert all(len(pair) == 2 for pair in found["undecided"])
    assert prepare(project, ["default"], settings).missing == []
    assert not project.lake.names("evaluations/steps")
