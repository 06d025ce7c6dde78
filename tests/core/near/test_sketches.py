"""Sketches: an estimate of the overlap of n-grams that knows nothing of order, repeats or batch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplemix_dagster.core.diversity.grams.ngrams import DocumentGrams, document_grams
from samplemix_dagster.core.diversity.near.sketches import NUM_HASHES, similarity, sketches_of


def of_sets(sets: list[set[int]]) -> DocumentGrams:
    """Return documents of which each has the grams of a set, once each."""
    sizes = [len(one) for one in sets]
    grams = [gram for one in sets for gram in sorted(one)]
    return DocumentGrams(
        num_positions=np.array(sizes, dtype=np.int64),
        offsets=np.cumsum([0, *sizes]),
        grams=np.array(grams, dtype=np.uint64),
        counts=np.ones(sum(sizes), dtype=np.uint32),
    )


def pairs_of(similar: float, size: int, count: int, seed: int) -> list[set[int]]:
    """Return pairs of sets of a size, one after the other, of one Jaccard index."""
    luck = np.random.default_rng(seed)
    shared = round(2 * size * similar / (1 + similar))
    found = []
    for _ in range(count):
        grams = luck.integers(0, 2**63, 2 * size - shared, dtype=np.uint64).tolist()
        found += [set(grams[:size]), set(grams[size - shared :])]
    return found


@pytest.mark.parametrize("similar", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("size", [20, 400, 20_000])
def test_equal_entries_estimate_the_jaccard_index(similar: float, size: int) -> None:
    count = 40 if size > 1000 else 300
    sketches = sketches_of(of_sets(pairs_of(similar, size, count, seed=size)))
    found = similarity(sketches[0::2], sketches[1::2])
    shared = round(2 * size * similar / (1 + similar))
    truth = shared / (2 * size - shared)
    error = np.sqrt(truth * (1 - truth) / NUM_HASHES)
    assert abs(found.mean() - truth) < 4 * error / np.sqrt(count)
    assert found.std() == pytest.approx(error, rel=0.35)


def test_sets_with_nothing_in_common_agree_by_chance_alone() -> None:
    sketches = sketches_of(of_sets(pairs_of(0.0, 50_000, 20, seed=3)))
    assert similarity(sketches[0::2], sketches[1::2]).max() <= 2 / NUM_HASHES


@given(st.lists(st.text("ab cd\n", max_size=40), min_size=1, max_size=6), st.randoms())
@settings(deadline=None)
def test_a_sketch_depends_on_its_own_text_alone(texts: list[str], luck: object) -> None:
    whole = sketches_of(document_grams(texts, n=2))
    alone = [sketches_of(document_grams([text], n=2))[0] for text in texts]
    np.testing.assert_array_equal(whole, np.array(alone))


def test_repeats_and_punctuation_change_no_sketch() -> None:
    texts = ["one two three four five", "One, two: three; four -- five!"]
    sketches = sketches_of(document_grams(texts, n=3))
    np.testing.assert_array_equal(sketches[0], sketches[1])
    repeated = sketches_of(document_grams(["a b a b a b a", "a b a"], n=2))
    np.testing.assert_array_equal(repeated[0], repeated[1])


def test_a_text_without_grams_has_an_empty_sketch() -> None:
    assert not sketches_of(document_grams(["", "two words"], n=5)).any()
