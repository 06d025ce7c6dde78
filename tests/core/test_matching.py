"""Ids of groups: kept where the groups are the same, never used twice."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samplemix_dagster.core.diversity.matching import affinities, cosines, match_groups
from samplemix_dagster.core.diversity.meaning.spherical import unit_rows


def directions(seed: int, count: int, width: int = 16) -> np.ndarray:
    return unit_rows(np.random.default_rng(seed).normal(size=(count, width)).astype(np.float32))


@given(seed=st.integers(0, 999), count=st.integers(1, 20))
def test_a_shuffled_fit_keeps_every_id(seed: int, count: int) -> None:
    old = directions(seed, count)
    order = np.random.default_rng(seed).permutation(count)
    ids = list(range(5, 5 + count))
    found = match_groups(cosines(old, old[order]), ids, 100, least=0.8)
    assert list(found.ids) == [ids[i] for i in order]
    assert found.num_matched == count
    assert found.next_id == 100


@given(seed=st.integers(0, 999), old=st.integers(0, 12), new=st.integers(0, 12))
def test_ids_differ_and_new_ones_were_never_used(seed: int, old: int, new: int) -> None:
    likeness = np.random.default_rng(seed).uniform(size=(old, new))
    ids = list(range(0, 2 * old, 2))
    found = match_groups(likeness, ids, 2 * old + 3, least=0.5)
    assert len(set(found.ids)) == new
    fresh = [i for i, place in zip(found.ids, found.matched, strict=True) if place < 0]
    assert fresh == list(range(2 * old + 3, 2 * old + 3 + len(fresh)))
    assert found.next_id == 2 * old + 3 + len(fresh)
    for place, likeness_, identity in zip(found.matched, found.likeness, found.ids, strict=True):
        assert place < 0 or (identity == ids[place] and likeness_ >= 0.5)


def test_pairs_below_the_floor_do_not_outweigh_a_good_one() -> None:
    likeness = np.array([[0.9, 0.79], [0.79, 0.1]])
    found = match_groups(likeness, [0, 1], 2, least=0.8)
    assert found.ids == (0, 2)


def test_a_gone_group_gives_its_id_to_nobody() -> None:
    old = directions(1, 4)
    new = np.concatenate([old[:2], directions(2, 1)])
    first = match_groups(cosines(old, new), [0, 1, 2, 3], 4, least=0.95)
    assert first.ids == (0, 1, 4)
    again = match_groups(cosines(new, old), first.ids, first.next_id, least=0.95)
    assert again.ids == (0, 1, 5, 6)


def test_affinity_is_1_for_the_same_distribution_whatever_the_order_of_words() -> None:
    rows = np.random.default_rng(0).dirichlet(np.ones(5), size=3)
    words = ["a", "b", "c", "d", "e"]
    order = [4, 2, 0, 1, 3]
    found = affinities(rows, words, rows[:, order], [words[i] for i in order])
    np.testing.assert_allclose(np.diag(found), 1.0, rtol=1e-12)
    assert (found <= 1.0 + 1e-12).all()
    assert affinities(rows, words, rows, ["v", "w", "x", "y", "z"]).max() == 0.0


@pytest.mark.parametrize(
    ("ids", "next_id"), [([0], 5), ([0, 7], 5), ([-1, 0], 5)], ids=["few", "late", "negative"]
)
def test_refuses_ids_that_cannot_be(ids: list[int], next_id: int) -> None:
    with pytest.raises(ValueError, match="id"):
        match_groups(np.ones((2, 2)), ids, next_id, least=0.5)
