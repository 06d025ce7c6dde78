"""The n-gram reference: proper, the learner's formula, and blind to a text's own counts."""

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplemix_dagster.core.hashing import doc_id, id_words
from samplemix_dagster.core.learners.ngram import NgramJudge
from samplemix_dagster.core.learners.ragged import TokenTexts
from samplemix_dagster.core.quality.ngram.model import Counted, NgramModel, check_order

VOCABULARY = 6
ORDER = 3
# Token 0 stands before texts, and in none.
corpora = st.lists(
    st.lists(st.integers(1, VOCABULARY - 1), min_size=1, max_size=12), min_size=2, max_size=8
)


def tokens(text: list[int]) -> npt.NDArray[np.uint32]:
    return np.array(text, dtype=np.uint32)


def names(count: int) -> npt.NDArray[np.uint64]:
    return id_words([doc_id(str(number)) for number in range(count)])[:, 0]


def model(texts: list[list[int]], order: int = ORDER) -> NgramModel:
    counted = Counted.of(
        names(len(texts)), [tokens(text) for text in texts], order=order, vocabulary=VOCABULARY
    )
    return NgramModel(counted, order=order, vocabulary=VOCABULARY)


def ragged(texts: list[list[int]]) -> TokenTexts:
    return TokenTexts.of([tokens(text) for text in texts])


@settings(deadline=None)
@given(corpora, st.sampled_from([2, 3, 4, 5]))
def test_after_any_context_the_probabilities_of_all_tokens_sum_to_1(
    texts: list[list[int]], order: int
) -> None:
    made = model(texts, order)
    for context in ([], [1], texts[0][:2], [5, 1, 2, 3, 4]):
        total = sum(
            made.probabilities(tokens([*context, token]))[-1] for token in range(VOCABULARY)
        )
        assert total == pytest.approx(1.0, abs=1e-12)


@settings(deadline=None)
@given(corpora, st.sampled_from([2, 3, 4, 5]))
def test_it_is_the_formula_of_the_learner_that_judges_draws(
    texts: list[list[int]], order: int
) -> None:
    judged = ragged(texts[:1])
    expected = NgramJudge(judged, order=order, vocabulary=VOCABULARY).nats(ragged(texts[1:]))
    found = -np.log(model(texts[1:], order).probabilities(tokens(texts[0]))).sum()
    assert found == pytest.approx(expected[0], rel=1e-12)


@settings(deadline=None)
@given(corpora, st.sampled_from([2, 3, 4, 5]))
def test_a_text_that_was_counted_costs_what_it_costs_a_model_that_never_saw_it(
    texts: list[list[int]], order: int
) -> None:
    every, own = names(len(texts)), tokens(texts[0])
    without = Counted.of(
        every[1:], [tokens(text) for text in texts[1:]], order=order, vocabulary=VOCABULARY
    )
    expected = NgramModel(without, order=order, vocabulary=VOCABULARY).nats([own], [None])
    made = model(texts, order)
    assert made.nats([own], made.own(every[:1], [own]))[0] == expected[0]


@settings(deadline=None)
@given(corpora)
def test_scoring_texts_that_were_counted_leaves_the_model_as_it_was(
    texts: list[list[int]],
) -> None:
    made, every = model(texts), names(len(texts))
    each = [tokens(text) for text in texts]
    first = made.nats(each, made.own(every, each))
    again = made.nats(each[::-1], made.own(every[::-1], each[::-1]))[::-1]
    assert first.tolist() == again.tolist()


@settings(deadline=None)
@given(corpora)
def test_the_order_of_the_texts_changes_no_count(texts: list[list[int]]) -> None:
    every = names(len(texts))
    there = Counted.of(every, [tokens(t) for t in texts], order=ORDER, vocabulary=VOCABULARY)
    back = Counted.of(
        every[::-1], [tokens(t) for t in texts[::-1]], order=ORDER, vocabulary=VOCABULARY
    )
    for name, array in there.to_arrays().items():
        assert np.array_equal(array, back.to_arrays()[name])


def test_without_any_text_every_token_is_as_likely_as_another() -> None:
    assert model([]).probabilities(tokens([1, 2])).tolist() == [1 / VOCABULARY] * 2


def test_what_was_written_is_read_as_the_same_model() -> None:
    texts = [[1, 2, 3, 1, 2], [2, 3, 1]]
    counted = Counted.of(
        names(2), [tokens(text) for text in texts], order=ORDER, vocabulary=VOCABULARY
    )
    again = NgramModel(Counted.from_arrays(counted.to_arrays()), order=ORDER, vocabulary=VOCABULARY)
    one = tokens([3, 1, 2, 4])
    assert again.probabilities(one).tolist() == model(texts).probabilities(one).tolist()


def test_other_tokens_under_the_id_of_a_counted_text_are_refused() -> None:
    made, other = model([[1, 2, 3], [2, 3]]), [tokens([5, 5, 5, 5])]
    own = made.own(names(1), other)
    with pytest.raises(ValueError, match="has the id of one that was counted"):
        made.nats(other, own)


def test_a_token_outside_the_vocabulary_is_refused() -> None:
    with pytest.raises(ValueError, match="token 6 is none of a vocabulary of 6"):
        model([[6]])


def test_an_order_whose_grams_do_not_fit_into_64_bits_is_refused() -> None:
    with pytest.raises(ValueError, match="an order of 4, or a vocabulary of 4,096, does"):
        check_order(5, 65_536)


def test_five_tokens_of_4096_fit() -> None:
    check_order(5, 4096)
