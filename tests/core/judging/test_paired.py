"""The judge's numbers judge themselves: coverage, sign flips, and planted differences."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplemix_dagster.core.judging.ladder import tokens_to_match
from samplemix_dagster.core.judging.paired import (
    GroupLosses,
    paired_difference,
    sign_flips,
)

SEEDS, TEXTS = 8, 60


def losses(
    luck: np.random.Generator, bytes_D: np.ndarray, *, seeds: float, both: float, gain: float = 0.0
) -> GroupLosses:
    """Two bits a byte, less a gain; with luck of the seed, and of the seed and the text."""
    rate = (
        2.0
        - gain
        + seeds * luck.normal(size=(SEEDS, 1))
        + both * luck.normal(size=(SEEDS, bytes_D.size))
    )
    return GroupLosses(nats_SD=rate * np.log(2.0) * bytes_D, bytes_D=bytes_D)


@pytest.mark.parametrize(
    ("seeds", "texts", "both"), [(0.01, 0, 0.02), (0, 0.05, 0.02), (0, 0, 0.1), (0.01, 0.03, 0.03)]
)
def test_an_interval_of_nothing_covers_nothing_in_95_of_100_trials(
    seeds: float, texts: float, both: float
) -> None:
    luck = np.random.default_rng(5)
    covered, trials = 0, 600
    for _ in range(trials):
        bytes_D = luck.integers(500, 2000, TEXTS)
        arm = losses(luck, bytes_D, seeds=seeds, both=both)
        other = losses(luck, bytes_D, seeds=seeds, both=both)
        shift = texts * luck.normal(size=TEXTS) * np.log(2.0) * bytes_D
        moved = GroupLosses(nats_SD=arm.nats_SD + shift, bytes_D=bytes_D)
        found = paired_difference({"a": moved}, {"a": other}, ["a"])
        covered += found.low <= 0.0 <= found.high
    assert 0.925 <= covered / trials <= 0.985


def test_a_planted_gain_is_found_at_its_size() -> None:
    luck = np.random.default_rng(1)
    bytes_D = luck.integers(500, 2000, TEXTS)
    found = paired_difference(
        {"a": losses(luck, bytes_D, seeds=0.004, both=0.01, gain=0.03)},
        {"a": losses(luck, bytes_D, seeds=0.004, both=0.01)},
        ["a"],
    )
    assert found.low < -0.03 < found.high < 0.0
    assert found.verdict == "better"
    assert found.p_value <= 0.05


def test_the_standard_error_is_that_of_a_bootstrap_over_seeds_and_texts() -> None:
    luck = np.random.default_rng(2)
    bytes_D = luck.integers(500, 2000, 200)
    arm, other = (losses(luck, bytes_D, seeds=0.01, both=0.02) for _ in range(2))
    difference = (arm.nats_SD - other.nats_SD) / np.log(2.0)
    sampled = []
    for _ in range(2000):
        seeds = luck.integers(SEEDS, size=SEEDS)
        texts = luck.integers(200, size=200)
        sampled.append(difference[np.ix_(seeds, texts)].sum() / SEEDS / bytes_D[texts].sum())
    found = paired_difference({"a": arm}, {"a": other}, ["a"])
    from scipy.stats import t

    bootstrap = np.std(sampled) * np.sqrt(SEEDS / (SEEDS - 1))
    own = (found.high - found.low) / 2 / t.ppf(0.975, SEEDS - 1)
    assert own == pytest.approx(bootstrap, rel=0.15)


def test_groups_of_a_set_count_alike() -> None:
    luck = np.random.default_rng(3)
    small, large = luck.integers(10, 20, 30), luck.integers(10_000, 20_000, 30)
    arm = {
        "s": losses(luck, small, seeds=0, both=0, gain=0.1),
        "l": losses(luck, large, seeds=0, both=0, gain=-0.1),
    }
    base = {
        "s": losses(luck, small, seeds=0, both=0),
        "l": losses(luck, large, seeds=0, both=0),
    }
    assert paired_difference(arm, base, ["s", "l"]).value == pytest.approx(0.0, abs=1e-12)


def test_an_arm_against_itself_differs_by_nothing() -> None:
    luck = np.random.default_rng(4)
    arm = losses(luck, luck.integers(10, 20, 30), seeds=0.1, both=0.1)
    found = paired_difference({"a": arm}, {"a": arm}, ["a"])
    assert (found.value, found.low, found.high, found.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_one_seed_claims_nothing() -> None:
    one = GroupLosses(nats_SD=np.ones((1, 5)), bytes_D=np.full(5, 7))
    two = GroupLosses(nats_SD=np.full((1, 5), 2.0), bytes_D=np.full(5, 7))
    found = paired_difference({"a": one}, {"a": two}, ["a"])
    assert found.value < 0
    assert found.verdict == "undecided"
    assert not found.is_claim


def test_arms_of_other_seeds_are_not_paired() -> None:
    one = GroupLosses(nats_SD=np.ones((2, 5)), bytes_D=np.full(5, 7))
    two = GroupLosses(nats_SD=np.ones((3, 5)), bytes_D=np.full(5, 7))
    with pytest.raises(ValueError, match="same seeds and texts"):
        paired_difference({"a": one}, {"a": two}, ["a"])


@given(st.lists(st.floats(0.01, 1.0), min_size=2, max_size=10))
@settings(deadline=None)
def test_all_of_one_sign_is_the_smallest_p_value(values: list[float]) -> None:
    assert sign_flips(-np.array(values)) == pytest.approx(2.0 ** (1 - len(values)))


def test_sign_flips_of_many_pairs_agree_with_the_exact_ones() -> None:
    values = np.random.default_rng(0).normal(0.3, 1.0, 14)
    exact = sign_flips(values)
    padded = np.concatenate([values, [1e-12]])
    assert sign_flips(padded) == pytest.approx(exact, abs=0.02)


def test_tokens_to_match_is_the_budget_whose_loss_it_is() -> None:
    budgets, found = [100, 200, 400], [3.0, 2.5, 2.0]
    assert tokens_to_match(budgets, found, 2.5) == pytest.approx(200)
    assert tokens_to_match(budgets, found, 2.25) == pytest.approx(200 * 2**0.5)
    assert tokens_to_match(budgets, found, 3.0) == pytest.approx(100)
    assert tokens_to_match(budgets, found, 3.1) is None
    assert tokens_to_match(budgets, found, 1.9) is None


def test_a_rung_that_taught_nothing_is_stepped_over() -> None:
    assert tokens_to_match([1, 2, 4], [3.0, 3.1, 2.0], 2.5) == pytest.approx(2 * 2**0.5)


def test_a_ladder_ascends() -> None:
    with pytest.raises(ValueError, match="ascending"):
        tokens_to_match([2, 1], [1.0, 2.0], 1.5)
