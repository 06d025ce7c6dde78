"""The first guess of a run's time: more work takes longer, and nothing measured is guessed."""

from pathlib import Path

import pytest

from samplemix_dagster.cli.start.references import reference_tokens
from samplemix_dagster.config.scoring.models import Bootstrap
from samplemix_dagster.core.quality.bootstrap import (
    BootstrapRecipe,
    train_reference,
    train_tokenizer,
)
from samplemix_dagster.engine.outcome import Outcome
from samplemix_dagster.runs.plan.cost import first_guess
from samplemix_dagster.runs.plan.cost.estimates import estimated, note_measurement
from samplemix_dagster.runs.plan.cost.first_guess import FirstGuess, Machine, bootstrap_parameters
from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.show.presentation import about, in_all
from tests.projects import make_project, needs_encoder, open_project, prose, reference_folder

MACHINE = Machine(text_bytes_per_second=1e6, operations_per_second=1e10, num_workers=2)


def test_the_parameters_of_a_reference_are_foreseen() -> None:
    recipe = BootstrapRecipe(
        tokens=1000, vocabulary=512, layers=2, width=96, context_tokens=32, seed=0
    )
    texts = [prose(f"text {number}", sentences=20) for number in range(20)]
    _, report = train_reference(texts, train_tokenizer(texts, 512), recipe)
    settings = Bootstrap(tokens=1000, vocabulary=512, layers=2, width=96)
    assert bootstrap_parameters(settings) == pytest.approx(report.num_parameters, rel=0.02)


@needs_encoder
def test_what_was_never_measured_has_a_guess_and_what_was_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(first_guess, "try_machine", lambda _: MACHINE)
    make_project(tmp_path, reference_folder())
    project = open_project(tmp_path)
    note_measurement(
        project,
        Outcome(asset="topics", partition=None, why="", data_version="", seconds=12.5),
    )
    plan = Planner(project).plan()
    entries = {entry["asset"]: entry for entry in estimated(project, plan, guesses=True)}
    assert entries["topics"]["seconds"] == 12.5
    assert not entries["topics"]["is_guess"]
    assert entries["perplexity"]["seconds"] > 0
    assert entries["perplexity"]["is_guess"]
    assert all(entry["seconds"] is None for entry in estimated(project, plan)[:1])


@needs_encoder
def test_a_guess_grows_with_the_corpus_and_shrinks_with_the_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_project(tmp_path, reference_folder())
    project = open_project(tmp_path)
    tasks = [task for task in Planner(project).plan().tasks if task.step.asset == "perplexity"]
    found = []
    for rate in (1e8, 1e12):
        machine = Machine(text_bytes_per_second=1e6, operations_per_second=rate, num_workers=2)
        monkeypatch.setattr(first_guess, "try_machine", lambda _, machine=machine: machine)
        found.append(FirstGuess(project).seconds(tasks[0]))
    assert found[0] > found[1] >= 6.0


def test_a_guess_is_called_one_where_it_is_shown() -> None:
    assert about(12.0, is_guess=True) == "~12 s"
    assert about(12.0, is_guess=False) == "12 s"
    entries = [{"seconds": 12.0, "is_guess": True}, {"seconds": 60.0, "is_guess": False}]
    assert in_all(entries).startswith("In all about 72 s; times with ~ are a first guess")


@pytest.mark.parametrize(
    ("corpus_tokens", "tokens"),
    [(1e3, 20_000), (1e6, 200_000), (1e7, 2_000_000), (1e8, 2_000_000), (1e10, 100_000_000)],
)
def test_a_reference_is_trained_on_a_part_of_the_corpus_that_costs_little(
    corpus_tokens: float, tokens: int
) -> None:
    assert reference_tokens(corpus_tokens) == tokens
