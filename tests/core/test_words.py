"""Words: what counts as one, and which of them tell a cluster from the others."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplemix_dagster.core.diversity.words import MAX_CHARACTERS, count_words, telling_words

TOPICS = ("violin sonata orchestra cello", "goal striker keeper penalty", "flour oven dough yeast")
COMMON = "the and of to in is"


def make_documents(num_documents: int = 60) -> tuple[np.ndarray, list[list[str]], list[list[int]]]:
    """Return clusters, words and counts: stop-words everywhere, one topic's words in each."""
    rng = np.random.default_rng(0)
    clusters = np.arange(num_documents, dtype=np.int32) % len(TOPICS)
    texts = []
    for cluster in clusters:
        topical = rng.choice(TOPICS[cluster].split(), size=8)
        frequent = rng.choice(COMMON.split(), size=40)
        texts.append(" ".join([*topical, *frequent]))
    counted = [count_words(text) for text in texts]
    return clusters, [words for words, _ in counted], [counts for _, counts in counted]


# Laws


@settings(deadline=None)
@given(st.text(max_size=300))
def test_words_are_sorted_distinct_lower_case_and_of_bounded_length(text: str) -> None:
    words, counts = count_words(text)
    assert words == sorted(set(words))
    assert all(2 <= len(word) <= 30 and not word.isdigit() for word in words)
    assert len(counts) == len(words)
    assert all(count >= 1 for count in counts)


@settings(deadline=None)
@given(st.text(alphabet="abc AB1é中", max_size=100))
def test_a_text_that_stands_twice_has_each_word_twice(text: str) -> None:
    words, counts = count_words(text)
    assert count_words(f"{text}\n{text}") == (words, [2 * count for count in counts])


@settings(deadline=None)
@given(st.text(alphabet="ab xyz", max_size=100))
def test_case_does_not_matter(text: str) -> None:
    assert count_words(text.upper()) == count_words(text)


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(60)))
def test_the_order_of_documents_does_not_change_the_telling_words(order: list[int]) -> None:
    clusters, words, counts = make_documents()
    shuffled = telling_words(
        clusters[order], [words[i] for i in order], [counts[i] for i in order], num_clusters=3
    )
    plain = telling_words(clusters, words, counts, num_clusters=3)
    assert [set(row) for row in shuffled] == [set(row) for row in plain]


# Examples


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The cat, the CAT!", ["cat", "the"]),
        ("x86 1999 a 7z", ["7z", "x86"]),
        ("snake_case don't", ["case", "don", "snake"]),
        ("L'été à Orléans", ["orléans", "été"]),
        ("हिन्दी में।", ["में", "हिन्दी"]),
        ("日本語", ["日本", "本語"]),
        ("読むthe本棚", ["the", "本棚", "読む"]),
        ("สวัสดี", ["ดี", "วั", "สว", "สด", "ัส"]),
        ("한국어 문장", ["문장", "한국어"]),
        ("A" * 31 + " ok", ["ok"]),
        ("", []),
    ],
)
def test_words_of_many_scripts(text: str, words: list[str]) -> None:
    assert count_words(text)[0] == sorted(words)


def test_counts_are_how_often_a_word_stands_in_the_text() -> None:
    assert count_words("to be or not to be") == (["be", "not", "or", "to"], [2, 1, 1, 2])


def test_only_the_beginning_of_a_long_text_is_read() -> None:
    assert count_words("ab " * MAX_CHARACTERS + "zz")[0] == ["ab"]


def test_telling_words_are_the_topics_and_not_the_stop_words() -> None:
    clusters, words, counts = make_documents()
    telling = telling_words(clusters, words, counts, num_clusters=3, top=4)
    assert [set(row) for row in telling] == [set(topic.split()) for topic in TOPICS]


def test_a_frequent_word_leads_a_rare_one() -> None:
    words = [*([["often"]] * 18), *([["often", "rare"]] * 6), *([["other"]] * 36)]
    clusters = np.array([0] * 24 + [1] * 36, dtype=np.int32)
    counts = [[1] * len(row) for row in words]
    assert telling_words(clusters, words, counts, num_clusters=2)[0] == ["often", "rare"]


def test_an_only_cluster_has_no_telling_words() -> None:
    clusters, words, counts = make_documents()
    assert telling_words(np.zeros_like(clusters), words, counts, num_clusters=1) == [[]]


def test_a_cluster_without_documents_has_no_telling_words() -> None:
    clusters, words, counts = make_documents()
    assert telling_words(clusters, words, counts, num_clusters=4)[3] == []


def test_no_documents_have_no_telling_words() -> None:
    assert telling_words(np.empty(0, np.int32), [], [], num_clusters=2) == [[], []]


def test_refuses_sequences_of_different_lengths() -> None:
    with pytest.raises(ValueError, match="one length"):
        telling_words(np.zeros(2, np.int32), [["ab"]], [[1]], num_clusters=1)


def test_refuses_a_cluster_out_of_range() -> None:
    with pytest.raises(ValueError, match=r"0\.\.1"):
        telling_words(np.array([2], np.int32), [["ab"]], [[1]], num_clusters=2)
