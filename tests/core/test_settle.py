"""The settled scale: never over, within one document, nested, blind to shards and order."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from samplemix_dagster.core.hashing import uniforms
from samplemix_dagster.core.mixture.scale.activation import (
    Activations,
    activation_histogram,
    activations_of,
    boundary_activations,
    boundary_bins,
    join_activations,
    merge_histograms,
)
from samplemix_dagster.core.mixture.scale.expectation import expected_copies
from samplemix_dagster.core.mixture.scale.settle import Scale, copies, cut, settle
from samplemix_dagster.errors import InfeasibleMixtureError


@dataclass(frozen=True)
class Corpus:
    weights: np.ndarray
    luck: np.ndarray
    tokens: np.ndarray
    words: np.ndarray
    cap: int

    def at(self, rows: np.ndarray) -> "Corpus":
        return Corpus(
            self.weights[rows], self.luck[rows], self.tokens[rows], self.words[rows], self.cap
        )

    @property
    def capacity(self) -> int:
        return self.cap * int(self.tokens[self.weights > 0].sum())


@st.composite
def corpora(draw: st.DrawFn) -> Corpus:
    size = draw(st.integers(1, 60))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    weights = np.exp(rng.normal(0.0, draw(st.sampled_from([0.0, 1.0, 20.0])), size))
    weights[rng.random(size) < 0.1] = 0.0
    # Luck of few values makes ties of activation, which the document id must break.
    grain = draw(st.sampled_from([2, 1000, 2**40]))
    luck = (rng.integers(0, grain, size) + 0.5) / grain
    tokens = rng.integers(0, draw(st.sampled_from([2, 10, 5000])), size)
    words = rng.integers(0, 2**63, (size, 2)).astype(np.uint64)
    return Corpus(weights, luck, tokens, words, draw(st.integers(1, 5)))


def settled(corpus: Corpus, budget: int, shards: list[np.ndarray] | None = None) -> Scale:
    parts = [corpus.at(rows) for rows in shards or [np.arange(corpus.tokens.size)]]
    histogram = merge_histograms(
        activation_histogram(part.weights, part.luck, part.tokens, part.cap) for part in parts
    )
    bins = boundary_bins(histogram, budget)
    found = join_activations(
        boundary_activations(
            part.weights, part.luck, part.tokens, part.words, max_copies=part.cap, bins=bins
        )
        for part in parts
    )
    return cut(histogram, bins, found, budget)


def drawn(corpus: Corpus, scale: Scale) -> np.ndarray:
    return copies(corpus.weights, corpus.luck, corpus.words, scale, corpus.cap)


def budget_of(corpus: Corpus, share: float) -> int:
    assume(corpus.capacity > 0)
    return int(share * corpus.capacity)


def by_brute_force(corpus: Corpus, budget: int) -> np.ndarray:
    """Admit one activation after the other, in the order of (activation, document id)."""
    result = np.zeros(corpus.tokens.size, dtype=int)
    activations = list(activations_of(corpus.weights, corpus.luck, corpus.cap))
    waiting = sorted(
        (values[row], *corpus.words[row], row)
        for values in activations
        for row in np.flatnonzero((corpus.weights > 0) & (corpus.tokens > 0))
    )
    for _, _, _, row in waiting:
        budget -= corpus.tokens[row]
        if budget < 0:
            break
        result[row] += 1
    return result


laws = settings(deadline=None, max_examples=150)
shares = st.floats(0.0, 1.0)


@laws
@given(corpus=corpora(), share=shares)
def test_draws_are_those_of_admitting_one_by_one(corpus: Corpus, share: float) -> None:
    budget = budget_of(corpus, share)
    found = drawn(corpus, settled(corpus, budget))
    has_tokens = corpus.tokens > 0
    assert found[has_tokens].tolist() == by_brute_force(corpus, budget)[has_tokens].tolist()


@laws
@given(corpus=corpora(), share=shares)
def test_the_budget_is_never_exceeded_and_what_is_realised_is_what_is_drawn(
    corpus: Corpus, share: float
) -> None:
    budget = budget_of(corpus, share)
    scale = settled(corpus, budget)
    assert int(drawn(corpus, scale) @ corpus.tokens) == scale.realised_tokens <= budget


@laws
@given(corpus=corpora(), share=shares)
def test_what_is_left_is_less_than_one_document(corpus: Corpus, share: float) -> None:
    budget = budget_of(corpus, share)
    scale = settled(corpus, budget)
    left = budget - scale.realised_tokens
    is_open = (drawn(corpus, scale) < corpus.cap) & (corpus.weights > 0)
    assert left == 0 or left < corpus.tokens[is_open].max()


@laws
@given(corpus=corpora(), share=shares, more=shares)
def test_a_larger_budget_keeps_every_draw(corpus: Corpus, share: float, more: float) -> None:
    small = budget_of(corpus, min(share, more))
    large = budget_of(corpus, max(share, more))
    before, after = (drawn(corpus, settled(corpus, budget)) for budget in (small, large))
    assert (after >= before).all()


@laws
@given(corpus=corpora(), share=shares, seed=st.integers(0, 1000), num_shards=st.integers(1, 6))
def test_shards_and_their_order_change_nothing(
    corpus: Corpus, share: float, seed: int, num_shards: int
) -> None:
    budget = budget_of(corpus, share)
    order = np.random.default_rng(seed).permutation(corpus.tokens.size)
    shards = np.array_split(order, num_shards)
    assert settled(corpus, budget, shards) == settled(corpus, budget)


@laws
@given(corpus=corpora())
def test_the_whole_capacity_draws_everything_at_the_cap(corpus: Corpus) -> None:
    found = drawn(corpus, settled(corpus, corpus.capacity))
    is_counted = corpus.tokens > 0
    expected = np.where(corpus.weights > 0, corpus.cap, 0)
    assert found[is_counted].tolist() == expected[is_counted].tolist()


@laws
@given(corpus=corpora(), share=shares)
def test_a_weight_of_zero_is_never_drawn(corpus: Corpus, share: float) -> None:
    found = drawn(corpus, settled(corpus, budget_of(corpus, share)))
    assert (found[corpus.weights == 0.0] == 0).all()


@laws
@given(corpus=corpora(), share=shares, slack=st.integers(0, 20_000))
def test_wider_boundaries_settle_the_same(corpus: Corpus, share: float, slack: int) -> None:
    budget = budget_of(corpus, share)
    histogram = activation_histogram(corpus.weights, corpus.luck, corpus.tokens, corpus.cap)
    bins = boundary_bins(histogram, max(0, budget - slack), slack)
    found = boundary_activations(
        corpus.weights, corpus.luck, corpus.tokens, corpus.words, max_copies=corpus.cap, bins=bins
    )
    assert cut(histogram, bins, found, budget) == settled(corpus, budget)


def big_corpus(seed: int, size: int = 4000) -> Corpus:
    rng = np.random.default_rng(0)
    words = rng.integers(0, 2**63, (size, 2)).astype(np.uint64)
    weights = np.exp(rng.normal(0.0, 1.0, size))
    return Corpus(weights, uniforms(words, seed, "draw"), rng.integers(1, 1000, size), words, 3)


def test_mean_copies_over_seeds_are_the_expectation() -> None:
    corpora_by_seed = [big_corpus(seed) for seed in range(200)]
    budget = corpora_by_seed[0].capacity // 4
    scales = [settled(corpus, budget) for corpus in corpora_by_seed]
    pairs = list(zip(corpora_by_seed, scales, strict=True))
    mean = np.mean([drawn(corpus, scale) for corpus, scale in pairs], axis=0)
    expected = np.mean(
        [expected_copies(c.weights, scale.value, c.cap) for c, scale in pairs], axis=0
    )
    fraction = expected % 1.0
    spread = np.sqrt(fraction * (1.0 - fraction) / 200)
    # The largest of 4,000 deviations stays below five standard errors and a tied 1/200.
    assert (np.abs(mean - expected) < 5.0 * spread + 0.02).all()
    assert mean.mean() == pytest.approx(expected.mean(), abs=0.002)


def test_copies_are_the_floor_of_the_formula() -> None:
    corpus = big_corpus(0)
    scale = settled(corpus, corpus.capacity // 3)
    formula = np.floor(np.minimum(corpus.cap, scale.value * corpus.weights) + corpus.luck)
    # The formula rounds otherwise where an activation meets the scale: at the last one admitted.
    assert (drawn(corpus, scale) != formula).sum() <= 1


def test_ties_are_cut_by_document_id() -> None:
    words = np.array([[2, 0], [1, 5], [1, 4]], dtype=np.uint64)
    corpus = Corpus(np.ones(3), np.full(3, 0.5), np.array([10, 10, 10]), words, 1)
    assert drawn(corpus, settled(corpus, 25)).tolist() == [0, 1, 1]
    assert drawn(corpus, settled(corpus, 15)).tolist() == [0, 0, 1]


def test_equal_ids_are_drawn_together_or_not_at_all() -> None:
    words = np.array([[1, 1], [1, 1], [0, 7]], dtype=np.uint64)
    corpus = Corpus(np.ones(3), np.array([0.5, 0.5, 0.9]), np.array([10, 10, 10]), words, 1)
    scale = settled(corpus, 25)
    assert drawn(corpus, scale).tolist() == [0, 0, 1]
    assert scale.realised_tokens == 10


def test_weights_and_luck_at_their_ends_are_settled() -> None:
    words = np.arange(8, dtype=np.uint64).reshape(4, 2)
    weights = np.array([2.0**-900, 2.0**900, 0.0, 1.0])
    corpus = Corpus(weights, np.array([0.0, 1.0, 1.0, 1.0]), np.full(4, 10), words, 2)
    assert drawn(corpus, settled(corpus, 60)).tolist() == [2, 2, 0, 2]
    assert drawn(corpus, settled(corpus, 55)).tolist() == [1, 2, 0, 2]


def test_a_budget_above_the_capacity_names_the_nearest() -> None:
    corpus = Corpus(np.ones(2), np.full(2, 0.5), np.array([10, 20]), np.eye(2, dtype=np.uint64), 4)
    with pytest.raises(InfeasibleMixtureError, match=r"121 .* 4 copies .* are 120 tokens"):
        settled(corpus, 121)


def test_a_budget_below_the_first_document_names_its_tokens() -> None:
    words = np.eye(2, dtype=np.uint64)
    histogram = activation_histogram(np.ones(2), np.array([0.9, 0.1]), np.array([300, 20]), 1)
    bins = boundary_bins(histogram, 100)
    found = boundary_activations(
        np.ones(2), np.array([0.9, 0.1]), np.array([300, 20]), words, max_copies=1, bins=bins
    )
    with pytest.raises(InfeasibleMixtureError, match="first document to be drawn has 300"):
        settle(histogram, bins, found, 100)


def test_refuses_a_second_pass_over_another_corpus() -> None:
    histogram = activation_histogram(np.ones(1), np.array([0.5]), np.array([10]), 1)
    nothing = Activations(
        activations=np.empty(0),
        tokens=np.empty(0, dtype=np.int64),
        words_A2=np.empty((0, 2), dtype=np.uint64),
    )
    with pytest.raises(ValueError, match="passes differ"):
        cut(histogram, boundary_bins(histogram, 10), nothing, 10)


@pytest.mark.parametrize("weight", [-1.0, np.nan, np.inf, 2.0**-901])
def test_refuses_weights_that_cannot_be_drawn(weight: float) -> None:
    with pytest.raises(ValueError, match="row 1"):
        activation_histogram(np.array([1.0, weight]), np.full(2, 0.5), np.array([1, 1]), 1)


def test_refuses_to_merge_histograms_of_different_caps() -> None:
    parts = [
        activation_histogram(np.ones(1), np.array([0.5]), np.array([1]), cap) for cap in (1, 2)
    ]
    with pytest.raises(ValueError, match="caps"):
        merge_histograms(parts)
