"""The design's scale: expected tokens are the budget, and copies come to it over many seeds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplemix_dagster.core.hashing import uniforms
from samplemix_dagster.core.mixture.scale.activation import (
    activation_histogram,
    boundary_activations,
    boundary_bins,
)
from samplemix_dagster.core.mixture.scale.expectation import (
    design_scale,
    expected_copies,
    merge_weights,
    weight_histogram,
)
from samplemix_dagster.core.mixture.scale.settle import copies, settle

RELATIVE = 1e-6
"""Weights of a bin differ by a thousandth, and only the bin at the cap is told by its mean."""
CAP = 3


def corpus(seed: int, size: int, spread: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    weights = np.exp(rng.normal(0.0, spread, size))
    weights[rng.random(size) < 0.1] = 0.0
    return weights, rng.integers(0, 900, size)


def expected_tokens(weights: np.ndarray, tokens: np.ndarray, scale: float) -> float:
    return float(expected_copies(weights, scale, CAP) @ tokens)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10**6),
    spread=st.sampled_from([0.0, 0.5, 3.0]),
    share=st.sampled_from([0.001, 0.1, 0.6, 0.999]),
)
def test_expected_tokens_are_the_budget(seed: int, spread: float, share: float) -> None:
    weights, tokens = corpus(seed, 3000, spread)
    budget = share * CAP * float(tokens[weights > 0].sum())
    scale = design_scale(weight_histogram(weights, tokens), budget, CAP)
    # A bin of few documents weighs more in a small corpus than in one of millions.
    assert expected_tokens(weights, tokens, scale) == pytest.approx(budget, rel=2e-5)


def test_in_a_corpus_of_many_documents_the_sum_is_right_to_one_in_a_million() -> None:
    weights, tokens = corpus(1, 400_000, 1.0)
    budget = 0.4 * CAP * float(tokens[weights > 0].sum())
    scale = design_scale(weight_histogram(weights, tokens), budget, CAP)
    assert expected_tokens(weights, tokens, scale) == pytest.approx(budget, rel=RELATIVE)


@given(seed=st.integers(0, 10**6), cuts=st.lists(st.integers(0, 500), max_size=4))
def test_shards_in_any_order_give_the_same_bits(seed: int, cuts: list[int]) -> None:
    weights, tokens = corpus(seed, 500, 1.0)
    parts = np.split(np.random.default_rng(seed).permutation(500), sorted(cuts))
    merged = merge_weights(weight_histogram(weights[p], tokens[p]) for p in parts)
    whole = weight_histogram(weights, tokens)
    assert (merged.bins == whole.bins).all()
    assert (merged.tokens == whole.tokens).all()
    assert np.abs(merged.excess - whole.excess).max(initial=0) == 0
    assert design_scale(merged, 9999, CAP) == design_scale(whole, 9999, CAP)


def test_a_budget_of_all_there_is_puts_every_document_at_the_cap() -> None:
    weights, tokens = corpus(3, 200, 2.0)
    everything = CAP * float(tokens[weights > 0].sum())
    scale = design_scale(weight_histogram(weights, tokens), everything, CAP)
    found = expected_copies(weights, scale, CAP)
    assert np.allclose(found[(weights > 0) & (tokens > 0)], CAP, rtol=1e-3)
    assert (found[weights == 0] == 0).all()


def test_without_a_budget_or_a_document_nothing_is_expected() -> None:
    weights, tokens = corpus(4, 50, 1.0)
    assert design_scale(weight_histogram(weights, tokens), 0.0, CAP) == 0.0
    assert design_scale(weight_histogram(np.zeros(5), np.ones(5, int)), 10.0, CAP) == 0.0


def test_over_many_seeds_copies_come_to_what_is_expected() -> None:
    weights, tokens = corpus(5, 400, 1.0)
    tokens += 100
    budget, num_seeds = 60_000, 400
    words = np.random.default_rng(6).integers(0, 2**63, (400, 2)).astype(np.uint64)
    drawn = np.zeros(400)
    for seed in range(num_seeds):
        luck = uniforms(words, seed, "draw")
        histogram = activation_histogram(weights, luck, tokens, CAP)
        bins = boundary_bins(histogram, budget)
        found = boundary_activations(weights, luck, tokens, words, max_copies=CAP, bins=bins)
        drawn += copies(weights, luck, words, settle(histogram, bins, found, budget), CAP)
    expected = expected_copies(
        weights, design_scale(weight_histogram(weights, tokens), budget, CAP), CAP
    )
    # Half a document is left over on average, of some hundred that are drawn.
    left_over = 0.5 * tokens.mean() / budget
    fraction = expected % 1.0
    spread = np.sqrt(fraction * (1.0 - fraction) / num_seeds)
    assert (drawn @ tokens) / num_seeds == pytest.approx(budget, rel=2 * left_over)
    assert np.abs(drawn / num_seeds - expected).max() < 5 * spread.max() + left_over * CAP
