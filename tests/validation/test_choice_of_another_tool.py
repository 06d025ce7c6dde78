"""The example of another tool's choice: a file of digests that it writes is an arm."""

import json
import runpy
import sys
from pathlib import Path

import pytest

from samplemix_dagster.config.evaluation import Evaluation
from samplemix_dagster.validation.evaluate import prepare, run
from tests.projects import copy_project, finished_project, needs_encoder, open_project, prose

EXAMPLE = Path(__file__).parents[2] / "examples/dsir_arm.py"


def lines(file: Path, texts: list[str]) -> Path:
    file.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    return file


@needs_encoder
def test_what_dsirs_rule_keeps_is_judged_and_is_aimed_at_its_target(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = open_project(copy_project(finished_project(), tmp_path / "project"))
    pool = sorted((project.root / "data/news").glob("*.jsonl"))
    target = lines(tmp_path / "target.jsonl", [prose(f"target-{n}") for n in range(20)])
    chosen = tmp_path / "dsir.parquet"
    words = ["--target", str(target), "--keep", "0.5", "--out", str(chosen)]
    monkeypatch.setattr(sys, "argv", [str(EXAMPLE), *map(str, pool), *words])
    runpy.run_path(str(EXAMPLE), run_name="__main__")
    english = [prose(f"held-out-{n}", "en") for n in range(20)]
    german = [prose(f"held-out-{n}", "de") for n in range(20)]
    settings = Evaluation(
        texts={
            "en": str(lines(tmp_path / "en.jsonl", english)),
            "de": str(lines(tmp_path / "de.jsonl", german)),
        },
        budget_tokens=6000,
        pool=1.0,
        ladder=[],
    )
    found = run(prepare(project, [f"dsir={chosen}"], settings))
    arm = found["arms"]["dsir"]
    assert arm["missing_documents"] == 0
    assert arm["groups"]["de"]["verdict"] == "worse"
    assert arm["groups"]["en"]["difference"] < arm["groups"]["de"]["difference"]
