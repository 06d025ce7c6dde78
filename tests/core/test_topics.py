"""Topics: memberships that sum to one, a document at a time; rare topics score high."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplemix_dagster.core.diversity.topics import (
    TopicModel,
    TopicScores,
    apply_topics,
    fit_topics,
)
from samplemix_dagster.errors import DegenerateSampleError

NUM_TOPICS = 4
SIZES = (120, 80, 60, 20)
Documents = tuple[list[list[str]], list[list[int]]]


def make_documents() -> tuple[Documents, np.ndarray]:
    """Return 280 documents of 12 words of one of four topics and 6 words of no topic."""
    rng = np.random.default_rng(0)
    topics = rng.permutation(np.repeat(np.arange(NUM_TOPICS), SIZES))
    words, counts = [], []
    for topic in topics:
        own = [f"t{topic}w{i}" for i in rng.choice(25, 12, replace=False)]
        other = [f"x{i}" for i in rng.choice(40, 6, replace=False)]
        words.append(sorted(own + other))
        counts.append(rng.integers(1, 5, 18).tolist())
    return (words, counts), topics


@pytest.fixture(scope="module")
def documents() -> Documents:
    return make_documents()[0]


@pytest.fixture(scope="module")
def model(documents: Documents) -> TopicModel:
    return fit_topics(*documents, num_topics=NUM_TOPICS)


@pytest.fixture(scope="module")
def scores(documents: Documents, model: TopicModel) -> TopicScores:
    return apply_topics(*documents, model)


# Laws


def test_memberships_sum_to_one(scores: TopicScores) -> None:
    assert scores.membership_NK.dtype == np.float32
    np.testing.assert_allclose(scores.membership_NK.sum(axis=1), 1.0, atol=1e-6)


def test_topics_are_distributions_over_words(model: TopicModel) -> None:
    np.testing.assert_allclose(model.components_KV.sum(axis=1), 1.0)
    assert (model.components_KV > 0.0).all()
    assert model.shares.sum() == pytest.approx(1.0)
    assert (np.diff(model.shares) <= 0.0).all()


def test_scores_are_in_their_ranges(scores: TopicScores) -> None:
    assert 0.0 < scores.rarity.min() < scores.rarity.max() < 1.0
    assert 0.0 <= scores.entropy.min() <= scores.entropy.max() <= np.log(NUM_TOPICS)
    np.testing.assert_array_equal(scores.topic, scores.membership_NK.argmax(axis=1))


@settings(max_examples=20, deadline=None)
@given(rows=st.lists(st.integers(0, sum(SIZES) - 1), min_size=1, max_size=8))
def test_a_documents_scores_do_not_depend_on_the_others(
    rows: list[int], documents: Documents, model: TopicModel, scores: TopicScores
) -> None:
    words, counts = documents
    part = apply_topics([words[i] for i in rows], [counts[i] for i in rows], model)
    np.testing.assert_array_equal(part.membership_NK, scores.membership_NK[rows])
    np.testing.assert_array_equal(part.rarity, scores.rarity[rows])


def test_the_order_of_words_in_a_document_hardly_matters(
    documents: Documents, model: TopicModel, scores: TopicScores
) -> None:
    words, counts = ([row[::-1] for row in rows] for rows in documents)
    np.testing.assert_allclose(apply_topics(words, counts, model).rarity, scores.rarity)


def test_the_same_documents_give_the_same_model(documents: Documents, model: TopicModel) -> None:
    again = fit_topics(*documents, num_topics=NUM_TOPICS)
    np.testing.assert_array_equal(again.components_KV, model.components_KV)
    np.testing.assert_array_equal(again.shares, model.shares)


def test_a_model_survives_its_arrays(
    documents: Documents, model: TopicModel, scores: TopicScores
) -> None:
    restored = TopicModel.from_arrays(model.to_arrays(), list(model.vocabulary))
    np.testing.assert_array_equal(apply_topics(*documents, restored).rarity, scores.rarity)


# Oracles


def test_finds_the_topics_that_are_there(model: TopicModel, scores: TopicScores) -> None:
    _, topics = make_documents()
    np.testing.assert_array_equal(scores.topic, topics)  # topics are numbered by share
    for topic, words in enumerate(model.top_words(6)):
        assert all(word.startswith(f"t{topic}w") for word in words)
    np.testing.assert_allclose(model.shares, np.array(SIZES) / sum(SIZES), atol=0.03)


def test_memberships_are_the_optimum_that_scikit_learn_finds(
    documents: Documents, model: TopicModel, scores: TopicScores
) -> None:
    from sklearn.decomposition import non_negative_factorization

    position = {word: i for i, word in enumerate(model.vocabulary)}
    mass_NV = np.zeros((30, len(position)))
    for i, (words, counts) in enumerate(zip(*documents, strict=True)):
        if i < 30:
            mass_NV[i, [position[word] for word in words]] = np.log1p(counts)
    weights_NK, _, _ = non_negative_factorization(
        mass_NV,
        H=model.components_KV,
        update_H=False,
        n_components=NUM_TOPICS,
        solver="mu",
        beta_loss="kullback-leibler",
        max_iter=2000,
        tol=1e-10,
    )
    expected_NK = weights_NK / weights_NK.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(scores.membership_NK[:30], expected_NK, atol=0.01)


def test_a_rare_topic_scores_higher_than_a_frequent_one(scores: TopicScores) -> None:
    by_topic = [scores.rarity[scores.topic == k].mean() for k in range(NUM_TOPICS)]
    assert by_topic == sorted(by_topic)


# Examples


def test_rarity_by_hand() -> None:
    model = TopicModel(
        vocabulary=("common", "rare"),
        components_KV=np.array([[1.0 - 1e-9, 1e-9], [1e-9, 1.0 - 1e-9]]),
        shares=np.array([0.75, 0.25]),
    )
    scores = apply_topics([["common"], ["rare"], ["common", "rare"]], [[1], [2], [1, 1]], model)
    common, rare = -np.log(0.75), -np.log(0.25)
    expected = [common / rare, 1.0 - 1e-5, (common + rare) / 2 / rare]
    np.testing.assert_allclose(scores.rarity, expected, rtol=1e-6)
    np.testing.assert_allclose(scores.entropy, [0.0, 0.0, np.log(2)], atol=1e-6)


def test_a_share_counts_as_at_least_a_tenth_of_an_even_one() -> None:
    model = TopicModel(
        vocabulary=("a", "b"), components_KV=np.eye(2), shares=np.array([1.0 - 1e-9, 1e-9])
    )
    rarity = apply_topics([["a"], ["b"], []], [[1], [1], []], model).rarity
    np.testing.assert_allclose(rarity, [1e-5, 1.0 - 1e-5, 0.5], rtol=1e-6)


def test_a_document_without_a_known_word_has_an_even_membership(model: TopicModel) -> None:
    scores = apply_topics([[], ["unheard"]], [[], [3]], model)
    np.testing.assert_allclose(scores.membership_NK, 1.0 / NUM_TOPICS)
    np.testing.assert_allclose(scores.entropy, np.log(NUM_TOPICS))


def test_shares_can_be_weighted(documents: Documents) -> None:
    _, topics = make_documents()
    heavy = np.where(topics == 3, 100.0, 1.0)
    model = fit_topics(*documents, num_topics=NUM_TOPICS, weights=heavy)
    assert model.top_words(1)[0][0].startswith("t3w")
    assert model.shares[0] > 0.8


def test_a_small_sample_has_fewer_topics(documents: Documents) -> None:
    words, counts = documents
    assert fit_topics(words[:60], counts[:60]).num_topics == 3


def test_words_in_few_or_most_documents_are_left_out(documents: Documents) -> None:
    words, counts = documents
    words = [[*row, "everywhere", f"once{i}"] for i, row in enumerate(words)]
    counts = [[*row, 1, 1] for row in counts]
    vocabulary = fit_topics(words, counts, num_topics=2, max_vocabulary=50).vocabulary
    assert len(vocabulary) == 50
    assert not any(word.startswith(("every", "once")) for word in vocabulary)


def test_one_topic_scores_one_half() -> None:
    model = fit_topics([["a"], ["a"], ["b"], ["b", "c"]], [[1], [1], [1], [1, 1]], num_topics=1)
    assert apply_topics([["a"], []], [[1], []], model).rarity.tolist() == [0.5, 0.5]


def test_refuses_a_sample_without_common_words() -> None:
    with pytest.raises(DegenerateSampleError, match="there are none"):
        fit_topics([["a"], ["b"], ["c"]], [[1], [1], [1]])


def test_refuses_arrays_of_another_vocabulary(model: TopicModel) -> None:
    with pytest.raises(ValueError, match="1 words"):
        TopicModel.from_arrays(model.to_arrays(), ["one"])


def test_refuses_another_number_of_weights(documents: Documents) -> None:
    with pytest.raises(ValueError, match="as many weights"):
        fit_topics(*documents, weights=np.ones(3))
