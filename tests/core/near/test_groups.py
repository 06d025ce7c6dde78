"""Near-duplicates: what a slow search over all pairs finds, whatever the order; planted ones."""

from collections.abc import Sequence

import numpy as np
import pytest

from samplemix_dagster.core.diversity.grams.ngrams import document_grams
from samplemix_dagster.core.diversity.near.groups import NearGroups, group_texts
from samplemix_dagster.core.diversity.near.sketches import Sketches, similarity, sketches_of
from samplemix_dagster.core.hashing import doc_id, id_words

WORDS = [f"word{number}" for number in range(2_000)]


def hashes_of(texts: Sequence[str]) -> np.ndarray:
    return np.ascontiguousarray(id_words([doc_id(text) for text in texts])[:, 0])


def sketched(texts: Sequence[str]) -> tuple[np.ndarray, Sketches]:
    return hashes_of(texts), sketches_of(document_grams(texts, n=5))


def grouped(texts: Sequence[str], least: float = 0.5) -> NearGroups:
    return group_texts(*sketched(texts), least)


def text_of(luck: np.random.Generator, words: int = 300) -> list[str]:
    return list(luck.choice(WORDS, words))


def changed(luck: np.random.Generator, words: list[str], share: float) -> str:
    return " ".join(luck.choice(WORDS) if luck.random() < share else word for word in words)


def planted(seed: int, share: float = 0.02) -> tuple[list[str], list[int]]:
    """Return texts of 12 originals with 0 to 11 changed copies each, and whose copy each is."""
    luck = np.random.default_rng(seed)
    texts, whose = [], []
    for original in range(12):
        words = text_of(luck)
        texts.append(" ".join(words))
        texts += [changed(luck, words, share) for _ in range(original)]
        whose += [original] * (original + 1)
    order = luck.permutation(len(texts))
    return [texts[i] for i in order], [whose[i] for i in order]


def partition(labels: Sequence[object]) -> set[frozenset[int]]:
    """Return which positions have the same label."""
    found: dict[object, set[int]] = {}
    for at, label in enumerate(labels):
        found.setdefault(label, set()).add(at)
    return {frozenset(one) for one in found.values()}


def test_planted_copies_are_found_whole_and_nothing_else() -> None:
    texts, whose = planted(1)
    near = grouped(texts).near(*sketched(texts))
    assert partition(near.groups.tolist()) == partition(whose)
    sizes = [whose.count(original) for original in whose]
    assert near.sizes.tolist() == sizes
    np.testing.assert_allclose(near.scores, np.minimum(1 / np.array(sizes), 0.99999))


def test_a_group_counts_as_one_text() -> None:
    texts, whose = planted(2)
    near = grouped(texts).near(*sketched(texts))
    assert near.scores.sum() == pytest.approx(len(set(whose)), abs=1e-4)


def test_bands_link_what_a_search_over_all_pairs_links() -> None:
    texts, _ = planted(3, share=0.03)
    hashes, sketches = sketched(texts)
    label = list(range(len(texts)))
    for one in range(len(texts)):
        for other in range(one):
            if similarity(sketches[[one]], sketches[[other]])[0] >= 0.5:
                old, new = label[one], label[other]
                label = [new if value == old else value for value in label]
    found = group_texts(hashes, sketches, 0.5).near(hashes, sketches)
    assert partition(found.groups.tolist()) == partition(label)


def test_order_and_repeats_of_texts_change_no_group() -> None:
    texts, _ = planted(4)
    first = grouped(texts)
    second = grouped([*reversed(texts), *texts[:7]])
    for name, array in first.to_arrays().items():
        np.testing.assert_array_equal(array, second.to_arrays()[name])


def test_groups_are_the_same_after_they_were_written() -> None:
    texts, _ = planted(5)
    first = grouped(texts)
    again = NearGroups.from_arrays(first.to_arrays())
    assert again.largest == first.largest
    assert (
        again.near(*sketched(texts)).groups.tolist() == first.near(*sketched(texts)).groups.tolist()
    )


def test_a_new_copy_joins_the_group_of_what_it_copies() -> None:
    luck = np.random.default_rng(6)
    words = text_of(luck)
    known = [" ".join(words), changed(luck, words, 0.02), " ".join(text_of(luck))]
    groups = grouped(known)
    new = [changed(luck, words, 0.02), " ".join(text_of(luck))]
    near = groups.near(*sketched(new))
    assert near.groups[0] == groups.near(*sketched(known)).groups[0]
    assert near.sizes.tolist() == [3, 1]
    assert near.groups[1] == hashes_of(new)[1]


def test_a_group_is_named_by_the_least_hash_of_its_texts() -> None:
    texts, whose = planted(7)
    hashes = hashes_of(texts)
    near = grouped(texts).near(*sketched(texts))
    for original in set(whose):
        members = [at for at, one in enumerate(whose) if one == original]
        assert set(near.groups[members].tolist()) == {hashes[members].min()}


def test_texts_without_grams_are_nobodys_copies() -> None:
    texts = ["", "a b", "c d", *planted(8)[0]]
    near = grouped(texts).near(*sketched(texts))
    assert near.sizes[:3].tolist() == [1, 1, 1]


def test_no_text_at_all_gives_no_group() -> None:
    empty = grouped([])
    assert empty.largest == []
    assert empty.near(*sketched(["one two three four five six"])).sizes.tolist() == [1]


@pytest.mark.parametrize("least", [0.0, 1.5, float("nan")])
def test_a_similarity_that_is_no_share_is_refused(least: float) -> None:
    with pytest.raises(ValueError, match=r"in \(0, 1\]"):
        grouped(["a b c d e f"], least)


def test_a_stricter_similarity_only_splits_groups() -> None:
    texts, _ = planted(9, share=0.05)
    loose, strict = (grouped(texts, least).near(*sketched(texts)) for least in (0.4, 0.7))
    wide = partition(loose.groups.tolist())
    assert all(any(part <= whole for whole in wide) for part in partition(strict.groups.tolist()))
    assert len(partition(strict.groups.tolist())) > len(wide)
