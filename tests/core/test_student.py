"""A student: what it sees of a text, what it learns, and that held out means unseen."""

import random

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from samplemix_dagster.core.quality.students.agreement import explained, spearman
from samplemix_dagster.core.quality.students.student import Student, Taught, teach
from samplemix_dagster.core.quality.students.student_features import (
    TOKEN_COLUMNS,
    TextFeatures,
    text_features,
)


def text_of(number: int) -> str:
    """A text of letters, of which more are x the larger its number: from 0 to 199."""
    luck = random.Random(number)
    letters = "".join(luck.choices("abcdefgh xyz.", k=300))
    return "".join("x" if luck.random() < number / 400 else letter for letter in letters)


TEXTS = [text_of(number) for number in range(200)]
TOKENS = [list(text.encode()) for text in TEXTS]
LUCK = np.random.default_rng(0).random(200)
SHARES = np.array([text.count("x") / len(text) for text in TEXTS])
BITS = 1.0 + 4.0 * SHARES


@pytest.fixture(scope="module")
def seen() -> TextFeatures:
    return text_features(TEXTS, TOKENS)


@pytest.fixture(scope="module")
def taught(seen: TextFeatures) -> Taught:
    return teach(seen, BITS, LUCK)


def test_a_text_looks_the_same_whatever_its_neighbours(seen: TextFeatures) -> None:
    for number in (0, 7, 199):
        alone = text_features([TEXTS[number]], [TOKENS[number]])
        assert alone.hashed_NH.tobytes() == seen.hashed_NH[number : number + 1].tobytes()
        assert alone.measures_NS.tobytes() == seen.measures_NS[number : number + 1].tobytes()


def test_tokens_and_pairs_have_length_1_each(seen: TextFeatures) -> None:
    for part in (seen.hashed_NH[:, :TOKEN_COLUMNS], seen.hashed_NH[:, TOKEN_COLUMNS:]):
        np.testing.assert_allclose(np.linalg.norm(part, axis=1), 1.0, rtol=1e-6)


def test_pairs_tell_an_order_that_tokens_do_not() -> None:
    found = text_features(["abcabc", "cbacba"], [list(b"abcabc"), list(b"cbacba")]).hashed_NH
    assert (found[0, :TOKEN_COLUMNS] == found[1, :TOKEN_COLUMNS]).all()
    assert (found[0, TOKEN_COLUMNS:] != found[1, TOKEN_COLUMNS:]).any()


def test_a_text_of_one_token_has_no_pair() -> None:
    found = text_features(["a"], [[97]])
    assert not found.hashed_NH[:, TOKEN_COLUMNS:].any()
    assert np.isfinite(found.measures_NS).all()


def test_what_hangs_on_tokens_is_learnt_and_known_of_texts_not_seen(taught: Taught) -> None:
    assert (explained(taught.held_out_N, BITS) or 0) > 0.95
    others = [text_of(number) for number in range(1000, 1200)]
    found, _ = taught.student.predict(text_features(others, [list(one.encode()) for one in others]))
    # All 200 are nearly all x: further out than any text that it learnt from.
    assert found.mean() > BITS.max()


def test_a_held_out_score_does_not_know_its_own_text(seen: TextFeatures, taught: Taught) -> None:
    folds = np.floor(LUCK * 4)
    mine = folds == folds[3]
    other = BITS.copy()
    other[mine] += np.random.default_rng(1).normal(0, 1e-3, int(mine.sum()))
    again = teach(seen, other, LUCK)
    assert again.penalty == taught.penalty
    assert (again.held_out_N[mine] == taught.held_out_N[mine]).all()
    assert (again.held_out_N[~mine] != taught.held_out_N[~mine]).any()


def test_noise_is_learnt_by_nobody(seen: TextFeatures) -> None:
    noise = np.random.default_rng(2).normal(3, 1, 200)
    found = teach(seen, noise, LUCK)
    learnt, _ = found.student.predict(seen)
    assert abs(spearman(found.held_out_N, noise) or 0) < 0.3
    assert (spearman(learnt, noise) or 0) > abs(spearman(found.held_out_N, noise) or 0)


def test_it_is_unsure_where_it_was_wrong(seen: TextFeatures) -> None:
    # Only texts with many x have a score that nothing in them tells.
    luck = np.random.default_rng(3).normal(0, 1, 200)
    found = teach(seen, 3.0 + luck * (SHARES > 0.3), LUCK)
    unsure = found.unsure_N
    assert unsure[SHARES > 0.35].mean() > 2 * unsure[SHARES < 0.25].mean()


@pytest.mark.parametrize("count", [40, 200])
def test_weights_are_those_of_scikit_learn_in_either_form(count: int) -> None:
    """More columns than texts, and fewer: the hashed columns of these are cut to sixty."""
    columns = np.random.default_rng(4).normal(0, 1, (count, 60))
    target = columns[:, :3].sum(axis=1) + np.random.default_rng(5).normal(0, 0.1, count)
    from samplemix_dagster.core.quality.students.student import _ridge

    weights, offsets = _ridge(columns, target[:, None], 0.3)
    oracle = Ridge(alpha=0.3, solver="cholesky").fit(columns, target)
    np.testing.assert_allclose(weights[:, 0], oracle.coef_, atol=1e-9)
    assert offsets[0] == pytest.approx(oracle.intercept_, abs=1e-9)


def test_learning_twice_gives_the_same_bytes(seen: TextFeatures, taught: Taught) -> None:
    again = teach(seen, BITS, LUCK).student.to_arrays()
    for name, array in taught.student.to_arrays().items():
        assert array.tobytes() == again[name].tobytes()


def test_a_student_comes_back_from_its_arrays(seen: TextFeatures, taught: Taught) -> None:
    again = Student.from_arrays(taught.student.to_arrays())
    for one, other in zip(again.predict(seen), taught.student.predict(seen), strict=True):
        assert one.tobytes() == other.tobytes()


def test_no_score_leaves_what_a_reference_can_say(taught: Taught) -> None:
    odd = text_features(["\x00" * 5000, "x"], [[0] * 5000, [120]])
    bits, unsure = taught.student.predict(odd)
    assert ((bits > 0) & (bits <= 16)).all()
    assert (unsure >= 0).all()


@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_handful_of_texts_teaches_their_mean(count: int) -> None:
    found = teach(text_features(TEXTS[:count], TOKENS[:count]), BITS[:count], LUCK[:count])
    bits, _ = found.student.predict(text_features(TEXTS[:count], TOKENS[:count]))
    assert bits.mean() == pytest.approx(BITS[:count].mean(), rel=1e-3)
