"""Commonness: probabilities counted by hand, a text's own words left out, any order of parts."""

import itertools
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplemix_dagster.core.calibrating.unit_scores import Middle
from samplemix_dagster.core.diversity.grams.commonness import (
    GramCounts,
    gram_counts,
    log_commonness,
)
from samplemix_dagster.core.diversity.grams.ngrams import document_grams

texts_of_words = st.lists(st.sampled_from(["a", "b", "c"]), max_size=12).map(" ".join)
corpora = st.lists(texts_of_words, min_size=1, max_size=6)


def counted(texts: Sequence[str]) -> GramCounts:
    return gram_counts([document_grams(texts, n=2)])


def by_hand(text: str, texts: Sequence[str]) -> float:
    """Mean log probability of the text's bigrams, its own occurrences out, one added to each."""

    def bigrams(one: str) -> list[tuple[str, ...]]:
        words = one.split()
        return list(itertools.pairwise(words))

    every = Counter(gram for one in texts for gram in bigrams(one))
    own, total = Counter(bigrams(text)), sum(every.values()) + 1
    logs = [np.log((max(every[g] - own[g], 0) + 1) / total) for g in bigrams(text)]
    return float(np.mean(logs)) if logs else float("nan")


@given(corpora)
@settings(deadline=None)
def test_it_is_what_counting_by_hand_gives(texts: list[str]) -> None:
    found = log_commonness(document_grams(texts, n=2), counted(texts))
    np.testing.assert_allclose(found, [by_hand(text, texts) for text in texts])


@given(corpora, st.randoms())
@settings(deadline=None)
def test_counts_add_up_in_any_order_and_grouping(texts: list[str], luck: object) -> None:
    whole = counted(texts)
    parts = [counted([text]) for text in reversed(texts)]
    again = gram_counts([gram_counts(parts[:2]), *parts[2:]])
    np.testing.assert_array_equal(whole.grams, again.grams)
    np.testing.assert_array_equal(whole.counts, again.counts)


def test_a_copy_makes_a_text_common_and_its_own_repeats_do_not() -> None:
    others = ["c a c b c c b", "b b c a"]
    alone, copied = (["a b a b a b", *others, *more] for more in ([], ["a b a b a b"]))
    first = log_commonness(document_grams(alone, n=2), counted(alone))[0]
    second = log_commonness(document_grams(copied, n=2), counted(copied))[0]
    assert second > first
    assert first == pytest.approx(by_hand(alone[0], alone))


def test_a_text_without_grams_stands_in_the_middle() -> None:
    texts = ["a", "a b c", "a b a c", "c c c"]
    logs = log_commonness(document_grams(texts, n=2), counted(texts))
    assert np.isnan(logs[0])
    assert Middle.of(logs).low_scores(logs)[0] == 0.5


def test_scores_fall_as_commonness_rises_and_the_median_gets_a_half() -> None:
    values = np.array([-9.0, -7.0, -5.0, -4.0, -1.0])
    scores = Middle.of(values).low_scores(values)
    assert (np.diff(scores) < 0).all()
    assert scores[2] == 0.5
    assert ((scores > 0) & (scores < 1)).all()


def test_values_that_are_all_the_same_get_a_half() -> None:
    values = np.full(4, -3.0)
    assert Middle.of(values).low_scores(values).tolist() == [0.5] * 4
