"""Counted draws: the same whatever the order, and others when one draw is another."""

import random
from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from samplemix_dagster.core.draw_count import DrawCount
from samplemix_dagster.core.hashing import doc_id, id_words

DRAWS = st.lists(st.integers(0, 9).map(lambda n: doc_id(str(n))), max_size=40)


def one_by_one(draws: list[str]) -> DrawCount:
    found = DrawCount()
    for draw in draws:
        found.add_one(draw)
    return found


@given(DRAWS, st.randoms())
def test_draws_one_by_one_are_those_of_a_ledger_in_any_order(
    draws: list[str], luck: random.Random
) -> None:
    counted = Counter(draws)
    ledger = DrawCount()
    for ids in (sorted(counted)[::2], sorted(counted)[1::2]):
        ledger.add(id_words(ids), np.array([counted[one] for one in ids], dtype=np.int64))
    luck.shuffle(draws)
    assert one_by_one(draws).is_of(ledger)
    assert ledger.num_draws == len(draws)


@given(DRAWS, DRAWS)
def test_only_the_same_draws_are_the_same_count(first: list[str], second: list[str]) -> None:
    assert one_by_one(first).is_of(one_by_one(second)) == (Counter(first) == Counter(second))
