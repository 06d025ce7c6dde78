"""Draws of an evaluation: paired by luck, exact in tokens, nested, and their controls."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplemix_dagster.core.hashing import doc_id, id_words
from samplemix_dagster.core.judging.draws import (
    Pool,
    draw_copies,
    groups_by,
    held_to,
    octaves,
    shares_as_groups,
)


def pool_of(size: int, seed: int = 0) -> Pool:
    luck = np.random.default_rng(seed)
    words = id_words([doc_id(f"{seed}-{row}") for row in range(size)])
    return Pool(words_N2=words, tokens=luck.integers(1, 300, size))


pools = st.builds(pool_of, st.integers(5, 200), st.integers(0, 50))


@given(pool=pools, seed=st.integers(0, 9), share=st.floats(0.05, 0.95))
@settings(deadline=None, max_examples=60)
def test_a_draw_is_the_budget_to_within_a_document_and_never_over(
    pool: Pool, seed: int, share: float
) -> None:
    budget = int(pool.tokens.sum() * share)
    weights = np.random.default_rng(seed).uniform(0.1, 3.0, pool.tokens.size)
    copies = draw_copies(pool, weights, pool.luck(seed), max_copies=4, budget=budget)
    drawn = int((copies * pool.tokens).sum())
    assert budget - int(pool.tokens.max()) < drawn <= budget
    assert copies.max() <= 4


@given(pool=pools, seed=st.integers(0, 9))
@settings(deadline=None, max_examples=40)
def test_a_smaller_budget_lies_inside_a_larger_one(pool: Pool, seed: int) -> None:
    weights = np.ones(pool.tokens.size)
    total = int(pool.tokens.sum())
    half, whole = (
        draw_copies(pool, weights, pool.luck(seed), max_copies=4, budget=budget)
        for budget in (total // 2, total)
    )
    assert (half <= whole).all()


def test_seeds_share_no_luck_and_arms_of_one_seed_share_all() -> None:
    pool = pool_of(400)
    assert np.corrcoef(pool.luck(0), pool.luck(1))[0, 1] == pytest.approx(0.0, abs=0.15)
    ones, nearly = np.ones(400), np.full(400, 1.0)
    nearly[:4] = 2.0
    budget = int(pool.tokens.sum() // 3)
    first, second = (
        draw_copies(pool, weights, pool.luck(0), max_copies=1, budget=budget)
        for weights in (ones, nearly)
    )
    assert (first != second).sum() < 12


@given(pool=pools, seed=st.integers(0, 9))
@settings(deadline=None, max_examples=60)
def test_a_control_takes_as_many_tokens_of_each_group(pool: Pool, seed: int) -> None:
    luck = np.random.default_rng(seed)
    kind = groups_by(luck.choice(["a", "b", "c"], pool.tokens.size), octaves(pool.tokens))
    weights = luck.uniform(0.01, 3.0, pool.tokens.size)
    budget = int(pool.tokens.sum() // 2)
    arm = draw_copies(pool, weights, pool.luck(seed), max_copies=4, budget=budget)
    held = held_to(pool, arm, kind)
    control = draw_copies(pool, np.ones(weights.size), pool.luck(seed), max_copies=4, groups=held)
    got = np.bincount(kind, control * pool.tokens, minlength=held.tokens.size)
    # A group hands on what is left over, so the sums from the first group on agree.
    off = np.cumsum(held.tokens) - np.cumsum(got)
    assert (off >= 0).all()
    assert off.max() <= pool.tokens.max()
    assert got[held.tokens == 0].sum() == 0


def test_uniform_weights_inside_groups_know_nothing_of_the_arms_weights() -> None:
    pool = pool_of(300)
    scores = np.random.default_rng(1).uniform(0, 1, 300)
    kind = groups_by(np.arange(300) % 2)
    arm = draw_copies(
        pool, scores**4 + 1e-9, pool.luck(3), max_copies=1, budget=int(pool.tokens.sum() // 3)
    )
    control = draw_copies(
        pool, np.ones(300), pool.luck(3), max_copies=1, groups=held_to(pool, arm, kind)
    )
    assert scores[arm > 0].mean() > 0.7
    assert scores[control > 0].mean() == pytest.approx(0.5, abs=0.08)


def test_held_shares_are_shares_of_the_budget() -> None:
    found = shares_as_groups(np.array([0, 1, 1, 2]), {0: 0.25, 2: 0.75}, 1000)
    assert found.tokens.tolist() == [250, 0, 750]


def test_a_part_of_a_pool_lies_inside_a_larger_part() -> None:
    pool = pool_of(1000)
    small, large = pool.part(5, 0.2), pool.part(5, 0.6)
    assert (large | ~small).all()
    assert small.mean() == pytest.approx(0.2, abs=0.05)
    assert pool.part(5, 1.0).all()


def test_each_pass_is_read_in_another_order_and_each_copy_is_read_once() -> None:
    pool = pool_of(50)
    copies = np.array([2] * 25 + [0, 1] * 12 + [3], dtype=np.int32)
    rows = pool.order(np.arange(50), copies, 4)
    some = np.flatnonzero(copies)
    assert rows.tolist() == pool.order(some, copies[some], 4).tolist()
    assert np.bincount(rows, minlength=50).tolist() == copies.tolist()
    first, second = rows[: (copies > 0).sum()], rows[(copies > 0).sum() :]
    assert [r for r in first if copies[r] > 1] != list(second[: (copies > 1).sum()])


def test_groups_are_told_apart_by_all_their_columns() -> None:
    found = groups_by(np.array(["a", "a", "b", "b"]), np.array([1, 2, 1, 1]))
    assert len(set(found.tolist())) == 3
    assert found[2] == found[3]
