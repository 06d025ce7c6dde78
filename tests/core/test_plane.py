"""Planes: exact in any order, the same bits everywhere, and true to the documents."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from samplemix_dagster.core.beta.plane import (
    MAX_DOCUMENT_TOKENS,
    Plane,
    exact_sum,
    merge,
    plane_of,
    portable_exp,
    portable_log,
    squeeze,
)

scores = hnp.arrays(np.float64, 60, elements=st.floats(0.0, 1.0, allow_subnormal=False))
counts = hnp.arrays(np.int64, 60, elements=st.integers(0, MAX_DOCUMENT_TOKENS - 1))


def assert_same(left: Plane, right: Plane) -> None:
    first, second = left.to_arrays(), right.to_arrays()
    assert all((first[name] == second[name]).all() for name in first)


@settings(deadline=None, max_examples=40)
@given(quality=scores, diversity=scores, tokens=counts, cut=st.integers(0, 60))
def test_a_split_corpus_merges_to_the_same_bits_in_any_order(
    quality: np.ndarray, diversity: np.ndarray, tokens: np.ndarray, cut: int
) -> None:
    order = np.random.default_rng(cut).permutation(60)
    whole = plane_of(quality, diversity, tokens)
    parts = [
        plane_of(quality[rows], diversity[rows], tokens[rows])
        for rows in (order[cut:], order[:cut])
    ]
    assert_same(merge(parts), whole)


@settings(deadline=None, max_examples=20)
@given(quality=scores, diversity=scores, tokens=counts)
def test_arrays_carry_a_plane_without_loss(
    quality: np.ndarray, diversity: np.ndarray, tokens: np.ndarray
) -> None:
    plane = plane_of(quality, diversity, tokens)
    assert_same(Plane.from_arrays(plane.to_arrays()), plane)


def test_moments_agree_with_numpy() -> None:
    rng = np.random.default_rng(0)
    q, d, t = rng.beta(2, 3, 5000), rng.beta(3, 1, 5000), rng.integers(1, 900, 5000)
    plane = plane_of(q, d, t)
    # Fixed point rounds each logarithm by at most 3e-8, without bias.
    assert plane.quality.mean_log_x(plane.num_tokens, 5000) == pytest.approx(
        np.average(np.log(q), weights=t), abs=1e-8
    )
    assert plane.diversity.mean_log_1mx(plane.num_tokens, 5000) == pytest.approx(
        np.average(np.log1p(-d), weights=t), abs=1e-8
    )
    assert plane.mean_quality == pytest.approx(np.average(q, weights=t), abs=1e-8)
    assert plane.effective_sample_size == pytest.approx(t.sum() ** 2 / (t**2).sum())


def test_exact_ends_are_counted_and_squeezed_by_the_size_of_the_whole() -> None:
    plane = plane_of(np.array([0.0, 1.0, 0.5]), np.array([0.5, 0.5, 1.0]), np.array([10, 20, 30]))
    half = 0.5 / 3
    expected = (10 * np.log(half) + 20 * np.log(1 - half) + 30 * np.log(0.5)) / 60
    assert plane.num_squeezed == 3
    assert plane.quality.mean_log_x(60, 3) == pytest.approx(expected, abs=1e-7)


def test_squeezing_moves_the_ends_only() -> None:
    assert squeeze(np.array([0.0, 1e-9, 0.7, 1.0]), 50).tolist() == [0.01, 1e-9, 0.7, 0.99]


def test_one_document_lands_in_one_cell() -> None:
    plane = plane_of(np.array([0.5]), np.array([1.0]), np.array([7]))
    assert plane.tokens_BB[64, 127] == plane.num_tokens == 7
    assert plane.num_documents == 1


def test_logarithm_and_exponential_are_within_two_units_in_the_last_place() -> None:
    rng = np.random.default_rng(0)
    exponents = rng.uniform(-700.0, 700.0, 100_000)
    values = np.concatenate([np.exp(exponents), 1.0 + rng.uniform(-0.4, 0.4, 100_000)])
    np.testing.assert_allclose(portable_log(values), np.log(values), rtol=2 * 2.0**-52)
    np.testing.assert_allclose(portable_exp(exponents), np.exp(exponents), rtol=2 * 2.0**-52)


def test_logarithms_are_these_bits_on_every_machine() -> None:
    found = portable_log(np.array([0.1, 0.12345, 0.99999, 3.0]))
    assert [value.hex() for value in found.tolist()] == GOLDEN_LOGS


GOLDEN_LOGS = [
    "-0x1.26bb1bbb55515p+1",
    "-0x1.0bc400fd245ccp+1",
    "-0x1.4f8bc681df715p-17",
    "0x1.193ea7aad030bp+0",
]


def test_sums_beyond_64_bits_are_exact() -> None:
    values = np.full(5, 2**62, dtype=np.int64)
    assert exact_sum(np.append(values, -1)) == 5 * 2**62 - 1


@pytest.mark.parametrize("bad", [np.nan, -0.1, 1.1])
def test_refuses_scores_outside_the_interval(bad: float) -> None:
    with pytest.raises(ValueError, match=r"quality lies in \[0, 1\]; 1 do not"):
        plane_of(np.array([0.5, bad]), np.array([0.5, 0.5]), np.array([1, 1]))


def test_refuses_lists_of_different_lengths() -> None:
    with pytest.raises(ValueError, match="one length"):
        plane_of(np.array([0.5, 0.5]), np.array([0.5]), np.array([1]))


def test_refuses_negative_token_counts() -> None:
    with pytest.raises(ValueError, match="has 0 to"):
        plane_of(np.array([0.5]), np.array([0.5]), np.array([-1]))


def test_no_documents_make_an_empty_plane() -> None:
    empty = np.empty(0)
    plane = plane_of(empty, empty, np.empty(0, dtype=np.int64))
    assert plane.num_tokens == plane.num_documents == 0
    assert np.isnan(plane.mean_quality)
