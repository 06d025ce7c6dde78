"""The model of ``clean``: what it may learn, and what the one that comes along says."""

import json

import numpy as np
import pytest

from samplemix_dagster.core.hashing import doc_id
from samplemix_dagster.core.junk.luck import Luck
from samplemix_dagster.core.junk.material import CleanText, Material
from samplemix_dagster.core.junk.table import KINDS
from samplemix_dagster.core.quality.clean.learning import Labelled, learn
from samplemix_dagster.core.quality.clean.measures import Counting
from samplemix_dagster.core.quality.clean.model import CleanModel
from samplemix_dagster.stages.quality.clean import learned_model
from tests.core.clean.test_company import TEXTS, prose

NAMES = ("telling", "two_sided", "idle")


def made(count: int, seed: int = 0) -> Labelled:
    """Text near (0, 0, anything); junk low in the first measure, or far out in the second."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(3 * count, 3))
    kinds = np.repeat(["clean", "low", "far"], count)
    values[kinds == "low", 0] -= 4.0
    values[kinds == "far", 1] += np.where(rng.uniform(size=count) < 0.5, 6.0, -6.0)
    sources = np.tile(["a", "b"], len(kinds))[: len(kinds)]
    return Labelled(values=values, sources=sources, kinds=kinds)


def auc(odds: np.ndarray, is_clean: np.ndarray) -> float:
    return float((odds[is_clean][:, None] > odds[~is_clean][None, :]).mean())


def test_what_is_planted_is_learned_and_holds_on_other_documents() -> None:
    model = learn(NAMES, made(400))
    fresh = made(400, seed=1)
    assert auc(model.log_odds(fresh.values), fresh.is_clean) > 0.97
    assert model.slope[0] > 0.3 > abs(model.slope[2])


def test_what_lies_outside_of_a_range_never_counts_for_a_document() -> None:
    model = learn(NAMES, made(400))
    assert max(*model.below, *model.above) <= 0.0
    # The third measure says nothing; far out it still counts against a document.
    odds = model.log_odds(np.array([[0, 0, 0], [0, 0, 10.0], [0, 0, 100.0], [0, 0, -100.0]]))
    assert odds[0] > odds[1] > odds[2]
    assert odds[0] > odds[3]


def test_the_number_of_documents_of_a_source_or_of_a_kind_does_not_matter() -> None:
    few = made(300)
    doubled = few.select(few.sources == "a")
    every = Labelled(
        values=np.concatenate([few.values, doubled.values]),
        sources=np.concatenate([few.sources, doubled.sources]),
        kinds=np.concatenate([few.kinds, doubled.kinds]),
    )
    np.testing.assert_allclose(learn(NAMES, every).slope, learn(NAMES, few).slope, atol=0.05)


def test_a_model_is_the_same_after_json() -> None:
    model = learn(NAMES, made(100))
    back = CleanModel(**json.loads(json.dumps(model.to_json())))
    values = made(50, 3).values
    np.testing.assert_array_equal(back.log_odds(values), model.log_odds(values))


@pytest.fixture(scope="module")
def scores() -> dict[str, np.ndarray]:
    """Scores of prose that nobody learned from, and of junk made of it, beside both."""
    clean = [CleanText(str(number), text) for number, text in enumerate(TEXTS)]
    material = Material(clean, Luck("model"))
    texts = {"clean": [prose(number) for number in range(100, 130)]}
    texts |= {
        name: [kind.make(material, material.luck.of(name, n)).text for n in range(15)]
        for name, kind in KINDS.items()
    }
    counting = Counting(1)
    for some in (TEXTS, *texts.values()):
        counting.add([doc_id(text) for text in some], some)
    company = counting.company()
    model = learned_model()
    return {
        name: model.score(company.measures([doc_id(text) for text in some], some))
        for name, some in texts.items()
    }


@pytest.mark.parametrize("kind", ["salad", "menus", "numbers", "logs", "hex", "markup", "keywords"])
def test_the_model_that_comes_along_tells_junk_from_simple_prose(
    scores: dict[str, np.ndarray], kind: str
) -> None:
    assert auc(np.concatenate([scores["clean"], scores[kind]]), np.arange(45) < 30) > 0.9


def test_scores_lie_inside_0_and_1_and_a_text_gets_one_by_itself() -> None:
    found = Counting(1).company().measures([doc_id("x")], ["x"])
    (score,) = learned_model().score(found)
    assert 0.0 < score < 1.0
    assert learned_model().score([]).shape == (0,)
