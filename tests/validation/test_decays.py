"""An arm that repeats documents is judged at the weight decay that suits it; no other arm is."""

import json

import numpy as np
import pytest

from samplemix_dagster.config.evaluation import Evaluation
from samplemix_dagster.engine.project import Project
from samplemix_dagster.runs.upkeep.judged_files import named_by_results
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.validation.decays import REPEATED
from samplemix_dagster.validation.evaluate import prepare, run
from tests.projects import copy_project, finished_project, needs_encoder, open_project, prose

pytestmark = needs_encoder
BUDGET = 4000


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    root = tmp_path_factory.mktemp("decays") / "project"
    return open_project(copy_project(finished_project(), root))


@pytest.fixture(scope="module")
def settings(project: Project) -> Evaluation:
    held_out = project.root / "held-out.jsonl"
    held_out.write_text("".join(json.dumps({"text": prose(f"new-{n}")}) + "\n" for n in range(6)))
    return Evaluation(
        texts={"news": str(held_out)},
        learner="transformer",
        seeds=2,
        budget_tokens=BUDGET,
        pool=1.0,
        ladder=[],
        context_tokens=64,
        second_judge=False,
        weight_decays=[0.3, 3.0],
    )


@pytest.fixture(scope="module")
def few(project: Project, settings: Evaluation) -> str:
    """Return an arm of so few documents that each is read about three times."""
    corpus = prepare(project, ["proportional"], settings).corpus
    enough = int(np.searchsorted(np.cumsum(corpus.pool.tokens), BUDGET / 3)) + 1
    file = project.root / "few.txt"
    file.write_text("".join(f"{name.decode()}\n" for name in corpus.ids[:enough]))
    return f"few={file}"


def test_what_repeats_is_tried_at_each_decay_and_judged_at_the_one_that_teaches_most(
    project: Project, settings: Evaluation, few: str
) -> None:
    found = run(prepare(project, [few], settings))
    tried = found["weight_decays"]
    # Its controls draw from everything of its sources, so they do not repeat.
    assert {one["arm"] for one in tried} == {"few"}
    assert {one["seed"] for one in tried} == {settings.seed + settings.seeds}
    losses = {one["weight_decay"]: one["bits_per_byte"] for one in tried}
    assert list(losses) == [0.1, 0.3, 3.0]
    assert losses[found["arms"]["few"]["weight_decay"]] == min(losses.values())
    assert [name for name, arm in found["arms"].items() if "weight_decay" in arm] == ["few"]
    judged = [one["address"] for one in found["trainings"]]
    assert not {one["address"] for one in tried} & set(judged)


def test_trainings_are_those_of_the_decay_that_was_chosen(
    project: Project, settings: Evaluation, few: str
) -> None:
    found = run(prepare(project, [few], settings))
    again = prepare(project, [few], settings)
    assert again.missing == []
    [judge] = again.judges
    decays = {one.drawn.arm: one.learner.recipe["weight_decay"] for one in judge.wanted}
    assert decays == {
        name: arm.get("weight_decay", settings.weight_decay) for name, arm in found["arms"].items()
    }


def test_what_was_tried_is_counted_in_the_cost_and_needed_by_the_result(
    project: Project, settings: Evaluation, few: str
) -> None:
    once = settings.model_copy(update={"seed": 7})
    prepared = prepare(project, [few], once)
    # Four arms and controls by two seeds, and one of them at three decays.
    assert prepared.cost["trainings"] == 4 * 2 + 3
    found = run(prepared)
    needed = set(named_by_results(project.lake))
    for one in found["weight_decays"]:
        assert project.lake.exists(keys.evaluation_losses(one["address"]))
        assert keys.evaluation_losses(one["address"]) in needed


@pytest.mark.parametrize("changes", [{"weight_decays": []}, {"learner": "ngram"}])
def test_nothing_is_tried_where_nothing_could_be_chosen(
    project: Project, settings: Evaluation, few: str, changes: dict[str, object]
) -> None:
    prepared = prepare(project, [few], settings.model_copy(update=changes))
    assert [judge.sweep for judge in prepared.judges] == [None]


def test_an_arm_that_hardly_repeats_is_not_tried(project: Project, settings: Evaluation) -> None:
    prepared = prepare(project, ["proportional"], settings)
    assert all(one.repeated < REPEATED for one in prepared.draws)
    assert prepared.judges[0].sweep is None
