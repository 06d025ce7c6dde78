"""Going on from a draw: both together are one draw, caps hold over both, budgets are exact."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplemix_dagster.core.mixture.scale.activation import (
    activation_histogram,
    boundary_activations,
    boundary_bins,
)
from samplemix_dagster.core.mixture.scale.expectation import (
    Before,
    copies_after,
    expected_copies,
    luck_known,
)
from samplemix_dagster.core.mixture.scale.settle import copies, cut
from samplemix_dagster.errors import InfeasibleMixtureError

SIZES = st.integers(1, 60)
SEEDS = st.integers(0, 10_000)


class Corpus:
    """Documents with weights, luck and tokens out of a seed."""

    def __init__(self, size: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.rng = rng
        self.weights = rng.gamma(1.0, 1.0, size) * rng.choice([0.0, 1.0], size, p=[0.1, 0.9])
        self.luck = rng.random(size)
        self.tokens = rng.integers(1, 500, size)
        self.words = rng.integers(0, 2**63, (size, 2)).astype(np.uint64)

    def drawn(
        self, budget: int, cap: int = 4, consumed: np.ndarray | None = None
    ) -> tuple[np.ndarray, float]:
        """Return the copies of a draw, and its scale."""
        of = (self.weights, self.luck, self.tokens)
        histogram = activation_histogram(*of, cap, consumed)
        bins = boundary_bins(histogram, budget)
        found = boundary_activations(*of, self.words, max_copies=cap, bins=bins, consumed=consumed)
        scale = cut(histogram, bins, found, budget)
        return copies(self.weights, self.luck, self.words, scale, cap, consumed), scale.value

    def capacity(self, cap: int = 4, consumed: np.ndarray | None = None) -> int:
        """Return the tokens that can still be drawn."""
        left = cap if consumed is None else np.maximum(0, cap - consumed)
        return int((left * self.tokens)[self.weights > 0].sum())


@settings(deadline=None)
@given(size=SIZES, seed=SEEDS, first=st.floats(0, 1), second=st.floats(0, 1))
def test_a_draw_and_what_goes_on_from_it_are_one_draw_of_both_budgets(
    size: int, seed: int, first: float, second: float
) -> None:
    corpus = Corpus(size, seed)
    before, _ = corpus.drawn(int(first * corpus.capacity()))
    consumed = before.astype(np.int64)
    budget = int(second * corpus.capacity(consumed=consumed))
    after, _ = corpus.drawn(budget, consumed=consumed)
    both, _ = corpus.drawn(int((before * corpus.tokens).sum()) + budget)
    assert (before + after == both).all()


@settings(deadline=None)
@given(size=SIZES, seed=SEEDS, cap=st.integers(1, 6), share=st.floats(0, 1))
def test_whatever_was_consumed_caps_hold_over_both_and_the_budget_is_met(
    size: int, seed: int, cap: int, share: float
) -> None:
    corpus = Corpus(size, seed)
    consumed = corpus.rng.integers(0, cap + 2, size)
    budget = int(share * corpus.capacity(cap, consumed))
    drawn, _ = corpus.drawn(budget, cap, consumed)
    assert ((drawn == 0) | (drawn + consumed <= cap)).all()
    left = budget - int((drawn * corpus.tokens).sum())
    assert left >= 0
    can_be_drawn = (corpus.weights > 0) & (consumed + drawn < cap)
    assert left < corpus.tokens[can_be_drawn].max(initial=left + 1)


@settings(deadline=None)
@given(size=SIZES, seed=SEEDS, share=st.floats(0, 1))
def test_where_nothing_was_consumed_the_draw_is_the_plain_one(
    size: int, seed: int, share: float
) -> None:
    corpus = Corpus(size, seed)
    budget = int(share * corpus.capacity())
    plain, scale = corpus.drawn(budget)
    after, other = corpus.drawn(budget, consumed=np.zeros(size, dtype=np.int64))
    assert (plain == after).all()
    assert scale == other


def test_a_budget_beyond_what_is_left_names_what_was_consumed() -> None:
    corpus = Corpus(40, 0)
    consumed = np.ones(40, dtype=np.int64)
    used = int(corpus.tokens[corpus.weights > 0].sum())
    with pytest.raises(InfeasibleMixtureError, match=f"less the {used:,} tokens"):
        corpus.drawn(corpus.capacity(consumed=consumed) + 1, consumed=consumed)


@settings(deadline=None)
@given(size=SIZES, seed=SEEDS, share=st.floats(0, 1))
def test_luck_lies_between_the_bounds_that_a_draw_tells(size: int, seed: int, share: float) -> None:
    corpus = Corpus(size, seed)
    drawn, scale = corpus.drawn(int(share * corpus.capacity()))
    reached = np.minimum(4.0, scale * corpus.weights)
    least, most = luck_known(reached, drawn.astype(np.int64), drawn > 0)
    assert (least <= corpus.luck + 1e-9).all()
    assert (corpus.luck <= most + 1e-9).all()


@settings(deadline=None)
@given(seed=SEEDS)
def test_expected_copies_are_the_mean_over_the_luck_that_is_possible(seed: int) -> None:
    rng = np.random.default_rng(seed)
    weights, consumed = rng.gamma(1.0, 2.0, 20), rng.integers(0, 4, 20)
    least = rng.uniform(0.0, 0.6, 20)
    most = rng.uniform(least + 0.1, 1.0)
    before = Before(consumed=consumed, least=least, most=most)
    luck = least + (most - least) * (np.arange(20_000)[:, None] + 0.5) / 20_000
    slow = np.maximum(0.0, np.floor(np.minimum(4.0, 0.7 * weights) + luck) - consumed).mean(axis=0)
    # A step of luck is a 20,000th of its range, and a copy more is one.
    assert np.allclose(copies_after(weights, 0.7, 4, before), slow, atol=1e-4)


@given(seed=SEEDS, scale=st.floats(0, 10))
def test_where_nothing_is_known_expected_copies_are_the_plain_ones(seed: int, scale: float) -> None:
    weights = np.random.default_rng(seed).gamma(1.0, 1.0, 20)
    nothing = Before(consumed=np.zeros(20, dtype=np.int64), least=np.zeros(20), most=np.ones(20))
    after = copies_after(weights, scale, 4, nothing)
    assert np.allclose(after, expected_copies(weights, scale, 4), atol=1e-12)
