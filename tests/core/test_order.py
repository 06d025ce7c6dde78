"""The order: every window is close to the mixture, far closer than a shuffle's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplemix_dagster.core.mixture.order import (
    Cutter,
    HeldOut,
    key_ranges,
    keys_of_ranks,
    luck_ranges,
    order_keys,
    order_luck,
    strata_of,
    stratum_ranks,
)

ZEROS = np.zeros(3000, dtype=np.int64)


def words_of(size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 2**63, (size, 2)).astype(np.uint64)


def keys_of(strata: np.ndarray, words: np.ndarray, seed: int = 0) -> np.ndarray:
    zeros = np.zeros(strata.size, dtype=np.int64)
    return order_keys(strata, order_luck(words, zeros, zeros + 1, seed), words, zeros)


def worst_window(strata: np.ndarray, order: np.ndarray, length: int) -> float:
    """Return the largest gap between a window's stratum count and the mixture's share of it."""
    is_in = (strata[order][:, None] == np.unique(strata)).astype(float)
    sums = np.concatenate([np.zeros((1, is_in.shape[1])), np.cumsum(is_in, axis=0)])
    windows = sums[length:] - sums[:-length]
    return float(np.abs(windows - length * is_in.mean(axis=0)).max())


strata_lists = st.lists(st.integers(0, 6), min_size=1, max_size=300).map(np.array)


@settings(deadline=None, max_examples=60)
@given(strata=strata_lists, low=st.floats(0, 1), high=st.floats(0, 1))
def test_an_interval_of_keys_holds_each_share_to_within_two_draws(
    strata: np.ndarray, low: float, high: float
) -> None:
    low, high = min(low, high), max(low, high)
    keys = keys_of(strata, words_of(strata.size))
    is_in = (keys >= low) & (keys < high)
    for stratum in np.unique(strata):
        expected = (high - low) * (strata == stratum).sum()
        assert abs((is_in & (strata == stratum)).sum() - expected) < 2.0


@settings(deadline=None, max_examples=40)
@given(strata=strata_lists, seed=st.integers(0, 99))
def test_the_rows_order_changes_no_key(strata: np.ndarray, seed: int) -> None:
    words = words_of(strata.size)
    shuffled = np.random.default_rng(seed).permutation(strata.size)
    assert (keys_of(strata, words)[shuffled] == keys_of(strata[shuffled], words[shuffled])).all()


@settings(deadline=None, max_examples=40)
@given(strata=strata_lists)
def test_each_draw_has_its_own_nth_part_of_its_stratum(strata: np.ndarray) -> None:
    keys = keys_of(strata, words_of(strata.size))
    for stratum in np.unique(strata):
        found = np.sort(keys[strata == stratum])
        assert (np.floor(found * found.size + 1e-9) == np.arange(found.size)).all()


def test_windows_are_far_closer_to_the_mixture_than_a_shuffles() -> None:
    rng = np.random.default_rng(0)
    strata = rng.choice(8, 20_000, p=np.arange(1, 9) / 36)
    ours = worst_window(strata, np.argsort(keys_of(strata, words_of(strata.size))), 1000)
    shuffled = worst_window(strata, rng.permutation(strata.size), 1000)
    assert ours < 6.0
    assert shuffled > 8.0 * ours


def test_another_seed_is_another_order() -> None:
    words = words_of(3000)
    first, second = (np.argsort(keys_of(ZEROS, words, seed)) for seed in (0, 1))
    assert abs(np.corrcoef(np.argsort(first), np.argsort(second))[0, 1]) < 0.06


def test_copies_of_one_document_stand_a_third_of_the_run_apart() -> None:
    words, copy = np.repeat(words_of(1000), 3, axis=0), np.tile([0, 1, 2], 1000)
    luck = order_luck(words, copy, np.full(3000, 3), 0)
    keys = order_keys(ZEROS, luck, words, copy).reshape(1000, 3)
    # Ranks of 3,000 uniforms wander by under 3 / sqrt(3000) of the run.
    assert np.abs(np.diff(keys, axis=1) - 1 / 3).max() < 0.06


def passes(shuffles: bool) -> np.ndarray:
    """The places of 1,000 documents in each of four passes: (1000, 4)."""
    words, copy = np.repeat(words_of(1000), 4, axis=0), np.tile(np.arange(4), 1000)
    luck = order_luck(words, copy, np.full(4000, 4), 0, shuffles=shuffles)
    return order_keys(np.zeros(4000, dtype=np.int64), luck, words, copy).reshape(1000, 4)


def test_passes_that_are_shuffled_have_other_orders_in_each_quarter() -> None:
    keys = passes(shuffles=True)
    quarter = np.floor(keys[:, 0] * 16)
    for number in range(4):
        own = np.argsort(np.argsort(keys[quarter == number], axis=0), axis=0)
        others = np.corrcoef(own, rowvar=False)[~np.eye(4, dtype=bool)]
        # Of 250 documents; five standard deviations of a correlation of none.
        assert np.abs(others).max() < 5 / 250**0.5


def test_copies_stay_apart_in_passes_that_are_shuffled() -> None:
    apart = np.diff(passes(shuffles=True), axis=1) * 4
    # Ranks of 4,000 uniforms wander by under 3 / sqrt(4000) of the run.
    assert 0.75 - 0.19 < apart.min() < 0.85
    assert 1.15 < apart.max() < 1.25 + 0.19


def test_passes_that_are_alike_have_one_order() -> None:
    places = np.argsort(np.argsort(passes(shuffles=False), axis=0), axis=0)
    assert (places == places[:, :1]).all()


def test_equal_luck_is_ordered_by_document_and_copy() -> None:
    words = np.array([[2, 0], [1, 0], [1, 0]], dtype=np.uint64)
    luck, copy = np.full(3, 7, dtype=np.uint64), np.array([0, 1, 0])
    keys = order_keys(np.zeros(3, dtype=np.int64), luck, words, copy)
    assert np.argsort(keys).tolist() == [2, 1, 0]


def test_keys_stay_below_one() -> None:
    keys = keys_of(np.arange(100_000) % 2, words_of(100_000))
    assert 0.0 <= keys.min() < keys.max() < 1.0


def test_no_draws_have_no_keys() -> None:
    assert keys_of(np.empty(0, dtype=np.int64), words_of(0)).size == 0


def test_strata_are_clusters_by_bands_and_noise_has_its_own() -> None:
    found = strata_of(np.array([-1, -1, 0, 0, 5]), np.array([0.0, 1.0, 0.0, 0.3, 0.99]))
    assert found.tolist() == [0, 3, 4, 5, 27]


def test_refuses_clusters_below_noise() -> None:
    with pytest.raises(ValueError, match="not -2"):
        strata_of(np.array([-2]), np.array([0.5]))


def test_refuses_a_copy_beyond_its_count() -> None:
    with pytest.raises(ValueError, match="counts from 0"):
        order_luck(words_of(1), np.array([1]), np.array([1]), 0)


# -- files -----------------------------------------------------------------------------------------


def files_of(tokens: np.ndarray, files: int, is_held: np.ndarray | None = None) -> np.ndarray:
    kept = tokens if is_held is None else tokens[~is_held]
    cutter = Cutter(int(kept.sum()), files, holds_out=is_held is not None)
    return cutter.files(tokens, is_held)


def held_out(words_D2: np.ndarray, seed: int, share: float) -> np.ndarray:
    found = HeldOut(seed, share)
    found.add(words_D2, np.ones(len(words_D2), dtype=np.int64))
    return found.of(words_D2)


token_lists = st.lists(st.integers(0, 50), max_size=60).map(lambda t: np.array(t, dtype=np.int64))


@given(token_lists, st.integers(1, 7))
def test_files_are_contiguous_and_even_to_within_one_draw(tokens: np.ndarray, files: int) -> None:
    file = files_of(tokens, files)
    assert (np.diff(file) >= 0).all()
    sizes = np.bincount(file, weights=tokens, minlength=files)
    assert (np.abs(sizes - tokens.sum() / files) <= 50).all()


@given(token_lists, st.integers(2, 7), st.integers(0, 60), st.integers(0, 99))
def test_where_the_order_is_cut_into_stretches_changes_no_file(
    tokens: np.ndarray, files: int, cut: int, seed: int
) -> None:
    is_held = np.random.default_rng(seed).random(tokens.size) < 0.2
    cutter = Cutter(int(tokens[~is_held].sum()), files, holds_out=True)
    parts = [cutter.files(tokens[rows], is_held[rows]) for rows in (slice(cut), slice(cut, None))]
    assert (np.concatenate(parts) == files_of(tokens, files, is_held)).all()


@given(st.lists(st.integers(0, 2**60), max_size=40), st.integers(0, 9), st.floats(0.01, 0.9))
def test_a_document_is_held_out_with_all_its_copies_or_not_at_all(
    ids: list[int], seed: int, share: float
) -> None:
    words_D2 = np.array([[one, one // 3] for one in ids] * 2, dtype=np.uint64).reshape(-1, 2)
    is_held = held_out(words_D2, seed, share)
    assert (is_held[: len(ids)] == is_held[len(ids) :]).all()
    assert is_held.any() == bool(ids)


@given(st.integers(0, 40), st.integers(0, 99), st.floats(0.001, 0.5), st.integers(0, 40))
def test_what_is_held_out_is_counted_whatever_came_first(
    size: int, seed: int, share: float, cut: int
) -> None:
    words_D2 = words_of(size, seed)
    tokens = np.random.default_rng(seed).integers(0, 90, size)
    found = HeldOut(seed, share)
    for rows in (slice(cut, None), slice(cut)):
        found.add(words_D2[rows], tokens[rows])
    assert found.num_tokens == tokens[found.of(words_D2)].sum()


def test_the_share_that_is_held_out_is_the_one_asked_for() -> None:
    words_D2 = np.random.default_rng(0).integers(0, 2**63, (100_000, 2), dtype=np.uint64)
    # Five standard deviations of a share of 100,000.
    assert abs(held_out(words_D2, 0, 0.02).mean() - 0.02) < 5 * (0.02 / 100_000) ** 0.5


def test_held_out_draws_are_the_last_file_and_nothing_else() -> None:
    is_held = np.array([False, True, False, True, False])
    assert files_of(np.full(5, 2), 3, is_held).tolist() == [0, 2, 0, 2, 1]


# -- by ranges -------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(strata=strata_lists, num_ranges=st.integers(1, 9))
def test_ranks_in_a_range_of_luck_follow_those_of_the_ranges_below(
    strata: np.ndarray, num_ranges: int
) -> None:
    words = words_of(strata.size)
    copy = np.zeros(strata.size, dtype=np.int64)
    luck = order_luck(words, copy, copy + 1, 0)
    ranges = luck_ranges(luck, num_ranges)
    sizes, below = np.bincount(strata), np.zeros(int(strata.max()) + 1, dtype=np.int64)
    keys = np.empty(strata.size)
    for number in range(num_ranges):
        own = np.flatnonzero(ranges == number)
        of = strata[own]
        ranks = stratum_ranks(of, luck[own], words[own], copy[own]) + below[of]
        keys[own] = keys_of_ranks(ranks, sizes[of], luck[own])
        below += np.bincount(of, minlength=below.size)
    assert (keys == order_keys(strata, luck, words, copy)).all()


@given(st.lists(st.floats(0, 1, exclude_max=True), min_size=2), st.integers(1, 400))
def test_ranges_of_keys_are_in_the_order_of_the_keys(keys: list[float], num_ranges: int) -> None:
    found = key_ranges(np.sort(np.array(keys)), num_ranges)
    assert (np.diff(found) >= 0).all()
    assert 0 <= found[0] <= found[-1] < num_ranges


@settings(deadline=None, max_examples=60)
@given(strata=strata_lists, seed=st.integers(0, 99), first=st.floats(0, 1), second=st.floats(0, 1))
def test_any_window_of_draws_holds_each_share_to_within_the_stated_bound(
    strata: np.ndarray, seed: int, first: float, second: float
) -> None:
    start, end = sorted(round(edge * strata.size) for edge in (first, second))
    order = np.argsort(keys_of(strata, words_of(strata.size), seed), kind="stable")
    size = int(strata.max()) + 1
    shares = np.bincount(strata) / strata.size
    counts = np.bincount(strata[order][start:end], minlength=size)
    bound = 2.0 + 2.0 * np.unique(strata).size * shares
    assert (np.abs(counts - (end - start) * shares) < bound).all()
