"""Groups of documents by one column or several: each document is in one, and names differ."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samplemix_dagster.core.mixture.groups import Groups, group_name, group_parts, groups_of
from samplemix_dagster.core.mixture.scale.activation import activation_histogram, merge_histograms
from samplemix_dagster.core.mixture.scale.gathered import GatheredHistograms

WORDS = st.text(alphabet="ab/%2F", max_size=4)
PAIRS = st.lists(st.tuples(WORDS, WORDS), max_size=30)


def by_two(pairs: list[tuple[str, str]]) -> Groups:
    return groups_of([[one for one, _ in pairs], [other for _, other in pairs]])


@given(one=st.tuples(WORDS, WORDS), other=st.tuples(WORDS, WORDS))
def test_two_groups_have_one_name_only_if_they_are_one(
    one: tuple[str, str], other: tuple[str, str]
) -> None:
    assert (group_name(one) == group_name(other)) == (one == other)


@given(parts=st.lists(WORDS, min_size=1, max_size=3).map(tuple))
def test_a_name_gives_its_parts_back(parts: tuple[str, ...]) -> None:
    assert group_parts(group_name(parts), len(parts)) == parts


def test_a_name_of_two_parts_is_none_of_three() -> None:
    assert group_parts("web/en", 3) is None


@given(pairs=PAIRS)
def test_a_document_is_in_the_group_of_its_own_parts(pairs: list[tuple[str, str]]) -> None:
    assert by_two(pairs).of_documents.tolist() == [group_name(pair) for pair in pairs]


@given(pairs=PAIRS)
def test_every_document_is_in_one_part(pairs: list[tuple[str, str]]) -> None:
    rows = np.arange(len(pairs))
    found = [rows[part].tolist() for _, part in by_two(pairs).parts()]
    assert sorted(row for part in found for row in part) == rows.tolist()


@given(pairs=PAIRS)
def test_the_names_of_groups_differ_and_each_has_a_document(pairs: list[tuple[str, str]]) -> None:
    assert sorted(by_two(pairs).names) == sorted({group_name(pair) for pair in pairs})


def test_one_part_alone_is_the_name_as_it_is() -> None:
    assert groups_of([["a/b", "50%"]]).of_documents.tolist() == ["a/b", "50%"]


def test_a_slash_inside_one_of_several_parts_is_encoded() -> None:
    assert group_name(["a/b", "c%"]) == "a%2Fb/c%25"


@given(order=st.permutations(range(4)), seed=st.integers(0, 1000))
def test_histograms_are_gathered_to_the_same_in_any_order(order: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    shards = [
        activation_histogram(rng.gamma(1.0, 1.0, 20), rng.random(20), rng.integers(1, 99, 20), 3)
        for _ in range(4)
    ]
    gathered = GatheredHistograms()
    for number in order:
        gathered.add("a", shards[number])
    merged = merge_histograms(shards)
    assert gathered["a"].tokens.tolist() == merged.tokens.tolist()
    assert gathered["a"].max_document_tokens == merged.max_document_tokens


def test_histograms_of_two_caps_are_not_gathered() -> None:
    one, other = (
        activation_histogram(np.ones(1), np.zeros(1), np.ones(1, dtype=np.int64), cap)
        for cap in (1, 2)
    )
    gathered = GatheredHistograms()
    gathered.add("a", one)
    with pytest.raises(ValueError, match=r"caps \[1, 2\]"):
        gathered.add("a", other)
