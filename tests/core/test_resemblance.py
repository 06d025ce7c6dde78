"""Resemblance: what it tells apart, that a text is scored by a model that had not seen it."""

import random

import numpy as np
import pytest

from samplemix_dagster.core.quality.resemblance import (
    Resemblance,
    TooFewExamplesError,
    learn_resemblance,
    resemblance_features,
)
from samplemix_dagster.core.quality.students.agreement import area_under_curve

WORDS = [f"word{number}" for number in range(400)]


def text(kind: int, number: int, length: int = 60) -> str:
    """A text of one of two kinds: each has 40 words of its own among 360 that both have."""
    luck = random.Random(f"{kind}/{number}")
    own = WORDS[40 * kind : 40 * kind + 40]
    return " ".join(luck.choices(own, k=length // 6) + luck.choices(WORDS[80:], k=length))


def some(count: int, kinds: tuple[int, ...] = (0, 1)) -> tuple[list[str], np.ndarray, np.ndarray]:
    texts = [text(kind, number) for kind in kinds for number in range(count)]
    is_example = np.repeat(np.array(kinds) == 0, count)
    return texts, is_example, (np.arange(len(texts)) % 2).astype(np.int8)


def test_held_out_examples_score_above_others_of_another_kind() -> None:
    texts, is_example, folds = some(60)
    features = resemblance_features(texts)
    scores = learn_resemblance(features, is_example, folds).scores(features, folds)
    assert area_under_curve(scores[is_example], scores[~is_example]) > 0.95


def test_where_both_sides_are_of_one_kind_nothing_is_told_apart_held_out() -> None:
    texts, is_example, folds = some(120, kinds=(0, 0))
    is_example = np.arange(len(texts)) % 4 < 2
    features = resemblance_features(texts)
    scores = learn_resemblance(features, is_example, folds).scores(features, folds)
    # 240 texts: the standard error of the area is .04.
    assert abs(area_under_curve(scores[is_example], scores[~is_example]) - 0.5) < 0.12


def test_a_half_is_scored_by_the_same_numbers_whatever_it_holds_itself() -> None:
    texts, is_example, folds = some(40)
    features = resemblance_features(texts)
    one = learn_resemblance(features, is_example, folds)
    flipped = np.where(folds == 0, ~is_example, is_example)
    other = learn_resemblance(features, flipped, folds)
    first = np.flatnonzero(folds == 0)
    assert (
        one.scores(features, folds)[first].tolist() == other.scores(features, folds)[first].tolist()
    )


def test_both_sides_weigh_the_same_however_many_there_are() -> None:
    texts, is_example, folds = some(40)
    more = texts + [text(1, number) for number in range(1000, 1400)]
    is_more = np.concatenate([is_example, np.zeros(400, dtype=bool)])
    folds_of_more = np.concatenate([folds, (np.arange(400) % 2).astype(np.int8)])
    features = resemblance_features(more)
    scores = learn_resemblance(features, is_more, folds_of_more).scores(features, folds_of_more)
    assert scores[is_more].mean() > 0.5 > scores[~is_more].mean()


def test_a_text_is_a_unit_vector_and_one_without_words_is_nothing() -> None:
    lengths = np.sqrt(resemblance_features(["a b c a", "", "..."]).power(2).sum(axis=1))
    assert np.asarray(lengths).ravel()[:2].tolist() == pytest.approx([1.0, 0.0])


def test_case_and_a_longer_tail_than_is_read_change_nothing() -> None:
    body = "some words of a text " * 2000
    one, other = resemblance_features([body, body.upper() + "and an end"]).toarray()
    assert one.tolist() == other.tolist()


def test_what_was_written_scores_the_same() -> None:
    texts, is_example, folds = some(20)
    features = resemblance_features(texts)
    learned = learn_resemblance(features, is_example, folds)
    again = Resemblance.from_arrays(learned.to_arrays())
    assert again.scores(features, folds).tolist() == learned.scores(features, folds).tolist()


def test_too_few_examples_are_refused_with_their_number() -> None:
    texts, is_example, folds = some(4)
    with pytest.raises(TooFewExamplesError, match="a half of the examples has 2 texts, and 5 are"):
        learn_resemblance(resemblance_features(texts), is_example, folds)
