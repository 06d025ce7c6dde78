"""Clusters: compactness x separation, one document at a time, from a model that can be stored."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplemix_dagster.core.diversity.meaning.clusters import (
    ClusterModel,
    ClusterScores,
    apply_clusters,
    fit_clusters,
    split_half_agreement,
)
from samplemix_dagster.core.diversity.meaning.micro_clusters import (
    label_micro,
    weighted_reachability,
)
from samplemix_dagster.core.diversity.meaning.spherical import (
    mean_directions,
    nearest,
    own_cosines,
    spherical_kmeans,
    unit_rows,
)
from samplemix_dagster.core.hashing import round_significant
from samplemix_dagster.errors import DegenerateSampleError

NUM_GROUPS = 8
NUM_DOCUMENTS = 480


def make_groups(seed: int, scatter: float = 0.12) -> tuple[np.ndarray, np.ndarray]:
    """Return documents around eight directions, and the group of each."""
    rng = np.random.default_rng(seed)
    centres = np.eye(32)[:NUM_GROUPS] + 0.1
    groups = np.arange(NUM_DOCUMENTS) % NUM_GROUPS
    rows_NE = centres[groups] + scatter * rng.normal(size=(NUM_DOCUMENTS, 32))
    return unit_rows(rows_NE).astype(np.float16), groups


@pytest.fixture(scope="module", name="embeddings_NE")
def fixture_embeddings() -> np.ndarray:
    return make_groups(0)[0]


@pytest.fixture(scope="module")
def model(embeddings_NE: np.ndarray) -> ClusterModel:
    return fit_clusters(embeddings_NE)


@pytest.fixture(scope="module")
def scores(embeddings_NE: np.ndarray, model: ClusterModel) -> ClusterScores:
    return apply_clusters(embeddings_NE, model)


# Laws


def test_the_mean_of_a_clusters_spread_is_its_compactness_times_its_separation(
    scores: ClusterScores, model: ClusterModel
) -> None:
    for cluster in range(model.num_clusters):
        is_member = scores.cluster == cluster
        compactness = scores.distance[is_member].mean()
        expected = compactness * model.separations[cluster]
        assert scores.spread[is_member].mean() == pytest.approx(expected, rel=1e-12)


def test_scores_lie_strictly_inside_zero_and_one(scores: ClusterScores) -> None:
    assert 0.0 < scores.score.min() < scores.score.max() < 1.0


def test_the_median_document_of_the_fitting_sample_scores_one_half(scores: ClusterScores) -> None:
    assert np.median(scores.score) == pytest.approx(0.5, abs=1e-3)


def test_a_score_rises_with_the_spread(scores: ClusterScores) -> None:
    order = np.argsort(scores.spread)
    assert (np.diff(scores.score[order]) >= 0.0).all()


@settings(max_examples=20, deadline=None)
@given(rows=st.lists(st.integers(0, NUM_DOCUMENTS - 1), min_size=1, max_size=9))
def test_a_documents_scores_do_not_depend_on_the_others(
    rows: list[int],
    embeddings_NE: np.ndarray,
    model: ClusterModel,
    scores: ClusterScores,
) -> None:
    part = apply_clusters(embeddings_NE[rows], model)
    np.testing.assert_array_equal(part.cluster, scores.cluster[rows])
    np.testing.assert_array_equal(part.is_noise, scores.is_noise[rows])
    np.testing.assert_allclose(part.score, scores.score[rows], rtol=1e-12)


def test_the_same_rows_give_the_same_model(embeddings_NE: np.ndarray, model: ClusterModel) -> None:
    again = fit_clusters(embeddings_NE).to_arrays()
    for name, array in model.to_arrays().items():
        np.testing.assert_array_equal(again[name], array)


def test_a_model_survives_its_arrays(
    embeddings_NE: np.ndarray, model: ClusterModel, scores: ClusterScores
) -> None:
    restored = ClusterModel.from_arrays(model.to_arrays())
    assert restored.method == model.method
    np.testing.assert_array_equal(apply_clusters(embeddings_NE, restored).score, scores.score)


def test_every_document_belongs_to_a_cluster_noise_or_not(
    scores: ClusterScores, model: ClusterModel
) -> None:
    assert set(scores.cluster.tolist()) == set(range(model.num_clusters))


def test_cluster_numbers_go_down_in_size(scores: ClusterScores) -> None:
    sizes = np.bincount(scores.cluster[~scores.is_noise])
    assert (np.diff(sizes) <= 0).all()


def test_a_longer_vector_is_the_same_document(
    embeddings_NE: np.ndarray, model: ClusterModel, scores: ClusterScores
) -> None:
    longer = apply_clusters(embeddings_NE.astype(np.float32) * 7.0, model)
    np.testing.assert_allclose(longer.distance, scores.distance, atol=1e-6)


# Oracles


def test_finds_the_groups_that_are_there(scores: ClusterScores, model: ClusterModel) -> None:
    from sklearn.metrics import adjusted_rand_score

    assert model.method == "hdbscan"
    assert adjusted_rand_score(make_groups(0)[1], scores.cluster) > 0.95


def test_two_halves_agree_on_groups_that_are_there(embeddings_NE: np.ndarray) -> None:
    assert split_half_agreement(embeddings_NE, seed=3) > 0.9


def test_even_weights_give_the_reachability_of_hdbscan() -> None:
    from hdbscan._hdbscan_reachability import mutual_reachability

    points_MD = np.random.default_rng(0).normal(size=(40, 5))
    distance_MM = np.linalg.norm(points_MD[:, None] - points_MD[None], axis=2)
    expected_MM = mutual_reachability(distance_MM, min_points=1)
    np.fill_diagonal(expected_MM, 0.0)
    np.testing.assert_allclose(weighted_reachability(points_MD, np.ones(40)), expected_MM)


def test_a_heavy_point_is_dense_by_itself() -> None:
    points_MD = np.array([[0.0], [1.0], [5.0]])
    heavy_MM = weighted_reachability(points_MD, np.array([1.0, 1.0, 10.0]))
    light_MM = weighted_reachability(points_MD, np.array([10.0, 1.0, 1.0]))
    assert heavy_MM[0, 1] == 5.0  # only with the heavy point in reach is there enough
    assert light_MM[0, 1] == 1.0


def test_separation_is_the_mean_distance_to_the_five_nearest_others(model: ClusterModel) -> None:
    exact_CE = model.centroids_CE.astype(float)
    distance_CC = 1.0 - exact_CE @ exact_CE.T
    expected = [np.sort(np.delete(row, i))[:5].mean() for i, row in enumerate(distance_CC)]
    np.testing.assert_allclose(model.separations, expected)


def test_kmeans_ends_where_every_centroid_is_its_members_mean() -> None:
    unit_NE = unit_rows(make_groups(1)[0])
    centroids_CE = spherical_kmeans(unit_NE, np.ones(len(unit_NE)), NUM_GROUPS, seed=0)
    members = nearest(unit_NE, centroids_CE)
    means_CE = mean_directions(unit_NE, members, NUM_GROUPS)
    np.testing.assert_allclose(centroids_CE, means_CE, atol=1e-5)
    assert own_cosines(unit_NE, centroids_CE, members).mean() > 0.8


def test_a_weight_of_two_is_a_row_that_stands_twice() -> None:
    unit_NE = unit_rows(make_groups(2)[0][:6])
    members = np.array([0, 0, 1, 1, -1, 1], dtype=np.int32)
    weighted_CE = mean_directions(unit_NE, members, 2, np.array([2.0, 1, 1, 1, 1, 1]))
    repeated_CE = mean_directions(
        np.concatenate([unit_NE[:1], unit_NE]), np.concatenate([members[:1], members]), 2
    )
    np.testing.assert_allclose(weighted_CE, repeated_CE, atol=1e-6)


# Examples


def test_scores_stay_inside_when_rounded_to_five_digits(
    embeddings_NE: np.ndarray, model: ClusterModel
) -> None:
    steep = dataclasses.replace(model, log_scale=1e-9)
    rounded = round_significant(apply_clusters(embeddings_NE, steep).score)
    assert 0.0 < rounded.min() < 0.01 < 0.99 < rounded.max() < 1.0


@pytest.mark.parametrize("num_documents", [1, 2, 9])
def test_fewer_than_ten_documents_are_one_cluster(
    embeddings_NE: np.ndarray, num_documents: int
) -> None:
    model = fit_clusters(embeddings_NE[:num_documents])
    scores = apply_clusters(embeddings_NE[:20], model)
    assert (model.method, model.num_clusters) == ("single", 1)
    assert not scores.is_noise.any()
    assert ((scores.score > 0.0) & (scores.score < 1.0)).all()


def test_a_small_sample_falls_back_to_kmeans_and_says_so(embeddings_NE: np.ndarray) -> None:
    model = fit_clusters(embeddings_NE[:30])
    assert model.method == "kmeans"
    assert 2 <= model.num_clusters <= 4


def test_a_hundred_documents_are_enough_for_density(embeddings_NE: np.ndarray) -> None:
    model = fit_clusters(embeddings_NE[:100])
    assert model.method.startswith("hdbscan")
    assert model.num_clusters >= 3


def test_equal_documents_can_be_fitted() -> None:
    model = fit_clusters(np.ones((40, 8), dtype=np.float32))
    scores = apply_clusters(np.ones((3, 8), dtype=np.float32), model)
    np.testing.assert_allclose(scores.score, 0.5, atol=1e-9)


@pytest.mark.parametrize("heavy", [1.0, 5.0, 20.0, 1000.0])
def test_no_cluster_of_density_has_more_than_half_of_the_weight(heavy: float) -> None:
    micro_ME = unit_rows(make_groups(4)[0][:80])
    weights = np.where(np.arange(80) % NUM_GROUPS == 0, heavy, 1.0)
    labels, method = label_micro(micro_ME, weights, min_cluster_size=5, seed=0)
    largest = max(weights[labels == label].sum() for label in range(labels.max() + 1))
    assert method == "kmeans" or largest <= weights.sum() / 2


def test_a_zero_embedding_is_noise_at_distance_one(model: ClusterModel) -> None:
    scores = apply_clusters(np.zeros((1, 32), dtype=np.float16), model)
    assert scores.is_noise.tolist() == [True]
    assert scores.distance.tolist() == [1.0]


def test_zero_embeddings_take_no_part_in_a_fit(
    embeddings_NE: np.ndarray, model: ClusterModel
) -> None:
    padded_NE = np.concatenate([np.zeros((5, 32), dtype=np.float16), embeddings_NE])
    np.testing.assert_array_equal(fit_clusters(padded_NE).centroids_CE, model.centroids_CE)


def test_no_documents_have_no_scores(model: ClusterModel) -> None:
    assert apply_clusters(np.zeros((0, 32)), model).score.shape == (0,)


def test_refuses_a_sample_without_embeddings() -> None:
    with pytest.raises(DegenerateSampleError, match="other than zero"):
        fit_clusters(np.zeros((12, 4)))


def test_refuses_a_value_that_is_not_finite() -> None:
    with pytest.raises(ValueError, match="row 1"):
        fit_clusters(np.array([[1.0, 0.0], [np.nan, 0.0]]))


def test_refuses_another_width(model: ClusterModel) -> None:
    with pytest.raises(ValueError, match="16 wide"):
        apply_clusters(np.ones((2, 16)), model)
