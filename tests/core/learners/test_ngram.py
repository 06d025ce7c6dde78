"""The n-gram learner: proper, equal to a slow one of the printed formula, a judge of draws."""

import itertools
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplemix_dagster.core.learners.ngram import NgramJudge
from samplemix_dagster.core.learners.ragged import TokenTexts

VOCABULARY = 6
texts = st.lists(
    st.lists(st.integers(0, VOCABULARY - 1), min_size=1, max_size=12), min_size=1, max_size=8
)


class SlowKneserNey:
    """The formula as it is printed, with dictionaries."""

    def __init__(self, draw: list[list[int]], order: int) -> None:
        grams = [Counter[tuple[int, ...]]() for _ in range(order + 1)]
        for text in draw:
            padded = [VOCABULARY] * (order - 1) + text
            for end in range(order - 1, len(padded)):
                grams[order][tuple(padded[end - order + 1 : end + 1])] += 1
        for length in range(order - 1, 0, -1):
            grams[length] = Counter(longer[1:] for longer in grams[length + 1])
        self.grams = grams

    def discount(self, length: int, count: int) -> float:
        n1, n2, n3, n4 = (sum(c == k for c in self.grams[length].values()) for k in (1, 2, 3, 4))
        share = n1 / (n1 + 2 * n2) if n1 else 0.5
        times = min(count, 3)
        these, following = [(n1, n2), (n2, n3), (n3, n4)][times - 1]
        raw = times - (times + 1) * share * following / these if these else times * share
        return min(max(raw, 0.05 * times), 0.95 * times)

    def probability(self, context: tuple[int, ...], token: int) -> float:
        length = len(context) + 1
        lower = self.probability(context[1:], token) if context else 1 / VOCABULARY
        after = {g: c for g, c in self.grams[length].items() if g[:-1] == context}
        if not after:
            return lower
        count = after.get((*context, token), 0)
        own = count - self.discount(length, count) if count else 0.0
        left = sum(self.discount(length, c) for c in after.values())
        return (own + left * lower) / sum(after.values())

    def nats(self, text: list[int], order: int) -> float:
        padded = [VOCABULARY] * (order - 1) + text
        return -sum(
            np.log(self.probability(tuple(padded[end - order + 1 : end]), padded[end]))
            for end in range(order - 1, len(padded))
        )


def judged(draw: list[list[int]], wanted: list[list[int]], order: int) -> list[float]:
    judge = NgramJudge(TokenTexts.of(wanted), order=order, vocabulary=VOCABULARY)
    return [float(nats) for nats in judge.nats(TokenTexts.of(draw))]


@given(draw=texts, wanted=texts, order=st.integers(2, 4))
@settings(deadline=None, max_examples=60)
def test_it_is_the_printed_formula(
    draw: list[list[int]], wanted: list[list[int]], order: int
) -> None:
    slow = SlowKneserNey(draw, order)
    assert judged(draw, wanted, order) == pytest.approx([slow.nats(t, order) for t in wanted])


@given(draw=texts, context=st.lists(st.integers(0, VOCABULARY - 1), max_size=4))
@settings(deadline=None, max_examples=60)
def test_probabilities_after_any_context_sum_to_one(
    draw: list[list[int]], context: list[int]
) -> None:
    every = [[*context, token] for token in range(VOCABULARY)]
    losses = judged(draw, [context or [0], *every], 3)
    before = losses[0] if context else 0.0
    assert sum(np.exp(before - np.array(losses[1:]))) == pytest.approx(1.0)


def walks(seed: int, count: int, *, step: int) -> list[list[int]]:
    """Texts in which a token is mostly followed by the one ``step`` further on."""
    luck = np.random.default_rng(seed)
    found = []
    for _ in range(count):
        text = [int(luck.integers(VOCABULARY))]
        for _ in range(30):
            off = step if luck.random() < 0.8 else int(luck.integers(VOCABULARY))
            text.append((text[-1] + off) % VOCABULARY)
        found.append(text)
    return found


def test_texts_of_the_same_kind_teach_more_than_texts_of_another() -> None:
    wanted = walks(0, 20, step=1)
    same, other = (sum(judged(walks(7, 40, step=step), wanted, 3)) for step in (1, 2))
    assert same < 0.7 * other


def test_twice_the_texts_teach_more_and_copies_of_the_same_do_not() -> None:
    wanted, first, more = walks(0, 50, step=1), walks(1, 10, step=1), walks(2, 10, step=1)
    once, copied, doubled = (
        sum(judged(draw, wanted, 3)) for draw in (first, first * 2, first + more)
    )
    assert doubled < once
    assert doubled < copied


def test_the_order_of_a_draw_changes_nothing() -> None:
    draw = [[1, 2, 3, 4], [2, 3], [5, 1, 2], [2, 3, 4]]
    every = [judged(list(found), [[1, 2, 3], [5]], 3) for found in itertools.permutations(draw)]
    assert all(found == every[0] for found in every)


def test_a_token_beyond_the_vocabulary_is_refused() -> None:
    judge = NgramJudge(TokenTexts.of([[1]]), order=2, vocabulary=VOCABULARY)
    with pytest.raises(ValueError, match="token 6 is none of a vocabulary of 6"):
        judge.nats(TokenTexts.of([[6]]))


def test_an_empty_draw_is_refused() -> None:
    judge = NgramJudge(TokenTexts.of([[1]]), order=2, vocabulary=VOCABULARY)
    with pytest.raises(ValueError, match="without tokens"):
        judge.nats(TokenTexts.of([]))


def test_texts_are_taken_in_the_asked_order_as_often_as_asked() -> None:
    found = TokenTexts.of([[1], [2, 3], [], [4, 5, 6]]).take(np.array([3, 0, 3, 2]))
    assert [found.text(i).tolist() for i in range(4)] == [[4, 5, 6], [1], [4, 5, 6], []]
