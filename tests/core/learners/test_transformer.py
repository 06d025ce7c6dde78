"""The transformer learner: causal, one text at a time, the same bits again, and after a kill."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch

from samplemix_dagster.core.learners.learner import NO_STEPS
from samplemix_dagster.core.learners.packing import packed
from samplemix_dagster.core.learners.ragged import TokenTexts
from samplemix_dagster.core.learners.sizes import SIZES
from samplemix_dagster.core.learners.transformer import Transformer, TransformerLearner

V = 40


def texts(seed: int, count: int, *, step: int = 1) -> TokenTexts:
    luck = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        begin, length = int(luck.integers(V)), int(luck.integers(5, 40))
        found.append((begin + step * np.arange(length)) % V)
    return TokenTexts.of(found)


def learner(wanted: TokenTexts, **changes: Any) -> TransformerLearner:
    return TransformerLearner(
        wanted, size="0.9M", vocabulary=V, length=32, batch_tokens=256, **changes
    )


def test_packing_loses_and_fills_up_nothing() -> None:
    found = texts(0, 9)
    rows = packed(found, length=32, start=V)
    assert rows.targets.tolist() == found.tokens.tolist()
    assert (rows.inputs == V).sum() == len(found)
    inside = rows.inputs != V
    assert (rows.inputs[inside] == rows.targets[np.flatnonzero(inside) - 1]).all()
    joined = np.concatenate([rows.targets[rows.row(number)] for number in range(len(rows))])
    assert joined.tolist() == rows.targets.tolist()


def test_an_empty_text_takes_no_place() -> None:
    rows = packed(TokenTexts.of([[], [1, 2], []]), length=4, start=V)
    assert rows.inputs.tolist() == [V, 1]
    assert rows.texts.tolist() == [1, 1]


def test_a_token_sees_what_came_before_in_its_own_text_and_nothing_else() -> None:
    model = Transformer(SIZES["0.9M"], V, 8, seed=0).eval()
    inputs = torch.tensor([[V, 1, 2, 3, V, 5, 6, 7]])
    of_text = torch.tensor([[0, 0, 0, 0, 1, 1, 1, 1]])
    before = model(inputs, of_text)
    later, other = inputs.clone(), inputs.clone()
    later[0, 7], other[0, 2] = 9, 9
    assert torch.equal(model(later, of_text)[0, :7], before[0, :7])
    assert torch.allclose(model(other, of_text)[0, 4:], before[0, 4:], atol=1e-6)
    assert not torch.allclose(model(other, of_text)[0, 3], before[0, 3])


def test_a_text_is_judged_the_same_whatever_stands_beside_it() -> None:
    found = texts(1, 6)
    alone = [learner(found.take(np.array([n]))).nats(texts(2, 30), 0, NO_STEPS)[0] for n in (0, 3)]
    together = learner(found.take(np.array([0, 3]))).nats(texts(2, 30), 0, NO_STEPS)
    # The second begins inside a row, so it may be cut elsewhere; the first is not.
    assert together[0] == pytest.approx(alone[0], rel=1e-5)


def test_the_same_seed_gives_the_same_bits_and_another_seed_other_weights() -> None:
    wanted, draw = texts(3, 5), texts(4, 60)
    first, again, other = (learner(wanted).nats(draw, seed, NO_STEPS) for seed in (1, 1, 2))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()


def test_texts_of_the_same_kind_teach_more_than_texts_of_another() -> None:
    wanted = texts(5, 10, step=1)
    same, other = (
        learner(wanted).nats(texts(6, 200, step=step), 0, NO_STEPS).sum() for step in (1, 3)
    )
    assert same < 0.7 * other


def test_a_small_rate_learns_next_to_nothing() -> None:
    wanted, draw = texts(5, 10), texts(6, 60)
    little = learner(wanted, learning_rate=1e-5).nats(draw, 0, NO_STEPS)
    much = learner(wanted).nats(draw, 0, NO_STEPS)
    assert much.sum() < little.sum() < 1.1 * np.log(V) * wanted.tokens.size


class KilledError(Exception):
    pass


class KeptInMemory:
    """Saves after each step; dies when it is told to."""

    def __init__(self, dies_after: int | None = None) -> None:
        self.saved: Mapping[str, Any] | None = None
        self.count, self.dies_after = 0, dies_after

    def load(self) -> Mapping[str, Any] | None:
        return self.saved

    def is_due(self) -> bool:
        return True

    def save(self, arrays: Mapping[str, Any]) -> None:
        self.saved = {name: array.copy() for name, array in arrays.items()}
        self.count += 1
        if self.count == self.dies_after:
            raise KilledError


def test_a_training_that_was_killed_goes_on_to_the_same_bits() -> None:
    wanted, draw = texts(7, 5), texts(8, 80)
    whole = learner(wanted).nats(draw, 3, NO_STEPS)
    steps = KeptInMemory(dies_after=4)
    with pytest.raises(KilledError):
        learner(wanted).nats(draw, 3, steps)
    steps.dies_after = None
    assert learner(wanted).nats(draw, 3, steps).tolist() == whole.tolist()
    assert steps.count > 4


@pytest.mark.parametrize("size", ["0.9M", "3M"])
def test_a_size_has_as_many_parameters_as_it_says(size: str) -> None:
    model = Transformer(SIZES[size], 1000, 16, seed=0)
    counted = sum(weight.numel() for weight in model.parameters())
    assert counted == pytest.approx(SIZES[size].num_parameters(1000), rel=0.02)


def test_bfloat16_says_nearly_the_same() -> None:
    wanted, draw = texts(3, 5), texts(4, 60)
    exact, rough = (
        learner(wanted, dtype=dtype).nats(draw, 1, NO_STEPS).sum()
        for dtype in ("float32", "bfloat16")
    )
    assert rough == pytest.approx(exact, rel=0.02)
