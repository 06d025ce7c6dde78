"""n-grams: exact against plain dictionaries, mergeable in any order, and honest when sampled."""

import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplemix_dagster.core.diversity.grams.ngrams import DocumentGrams, document_grams
from samplemix_dagster.core.diversity.grams.ownership import (
    GramIndex,
    GramScores,
    component,
    gram_index,
    gram_scores,
    merge_indexes,
    sample_error,
)

# Written down again, so that the compiled tokeniser has something to be wrong against.
WORD = re.compile(r"[一中のไ𠀀]|[a-z0-9éßÉЯ한ÿ]+")
PIECES = [
    *["red", "Blue", "x1", "no", "été", "É", "Яß", "한한", "ÿ", "中", "一の", "ไไ", "𠀀", "9"],
    *[
        " ",
        " ",
        " ",
        "\n",
        "\t",
        ",",
        "_",
        "-",
        "'",
        "\u00a0",
        "«",
        "—",
        "。",
        "！",
        "　",
        "🙂",
        "×",
    ],
]
texts_of_pieces = st.lists(st.sampled_from(PIECES), max_size=60).map("".join)
corpora = st.lists(texts_of_pieces, min_size=1, max_size=6, unique=True)


def plain_grams(text: str, n: int) -> Counter[tuple[str, ...]]:
    lowered = "".join(c.lower() if c.isascii() else c for c in text)
    words = WORD.findall(lowered)
    return Counter(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def hashes_of(texts: Sequence[str]) -> np.ndarray:
    """Return a hash for each text that depends on the text only."""
    return np.array([hash_of(text) for text in texts], dtype=np.uint64)


def hash_of(text: str) -> int:
    return zlib.crc32(text.encode()) << 32 | zlib.adler32(text.encode())


def index_of(texts: Sequence[str], n: int = 2, sample_bits: int = 0) -> GramIndex:
    grams = document_grams(texts, n=n, sample_bits=sample_bits)
    return gram_index(grams, hashes_of(texts))


def scores_of(texts: Sequence[str], index: GramIndex, n: int = 2) -> GramScores:
    return gram_scores(document_grams(texts, n=n), hashes_of(texts), index)


def assert_same(first: GramIndex, second: GramIndex) -> None:
    np.testing.assert_array_equal(first.grams, second.grams)
    np.testing.assert_array_equal(first.owners, second.owners)
    np.testing.assert_array_equal(first.is_shared, second.is_shared)


# Laws


@settings(max_examples=60, deadline=None)
@given(corpora, corpora, corpora)
def test_merging_is_associative_commutative_and_idempotent(
    a: list[str], b: list[str], c: list[str]
) -> None:
    first, second, third = index_of(a), index_of(b), index_of(c)
    merged = merge_indexes([first, second, third])
    assert_same(merged, merge_indexes([third, merge_indexes([second, first])]))
    assert_same(merged, merge_indexes([merge_indexes([first, second]), third]))
    assert_same(merged, merge_indexes([merged, first, merged]))


@settings(max_examples=60, deadline=None)
@given(corpora, corpora)
def test_the_index_of_shards_merged_is_the_index_of_all_documents(
    a: list[str], b: list[str]
) -> None:
    assert_same(merge_indexes([index_of(a), index_of(b)]), index_of(a + b))


@settings(max_examples=60, deadline=None)
@given(corpora)
def test_each_gram_is_owned_once(texts: list[str]) -> None:
    index = index_of(texts)
    scores = scores_of(texts, index)
    owned = (scores.ownership * scores.num_positions).sum()
    assert owned == pytest.approx(len(index.grams))


@settings(max_examples=60, deadline=None)
@given(corpora)
def test_shares_keep_their_order(texts: list[str]) -> None:
    scores = scores_of(texts, index_of(texts))
    has_any = scores.num_positions > 0
    assert (scores.novelty <= scores.ownership).all()
    assert (scores.ownership + scores.repetition <= 1 + 1e-12)[has_any].all()
    assert (scores.novelty + scores.overlap <= 1 + 1e-12)[has_any].all()


@settings(max_examples=40, deadline=None)
@given(corpora, st.integers(0, 3))
def test_a_documents_grams_do_not_depend_on_the_others(texts: list[str], bits: int) -> None:
    together = document_grams(texts, n=2, sample_bits=bits)
    for i, text in enumerate(texts):
        alone = document_grams([text], n=2, sample_bits=bits)
        part = together.select(i, i + 1)
        np.testing.assert_array_equal(alone.grams, part.grams)
        np.testing.assert_array_equal(alone.counts, part.counts)


@settings(max_examples=40, deadline=None)
@given(corpora, st.integers(0, 4))
def test_a_finer_sample_is_part_of_a_coarser_one(texts: list[str], bits: int) -> None:
    every = document_grams(texts, n=2)
    kept = document_grams(texts, n=2, sample_bits=bits)
    is_kept = every.grams < np.uint64(2) ** np.uint64(64 - bits) if bits else every.grams >= 0
    np.testing.assert_array_equal(kept.grams, every.grams[is_kept])
    np.testing.assert_array_equal(kept.counts, every.counts[is_kept])


@settings(max_examples=40, deadline=None)
@given(corpora)
def test_a_document_that_stands_twice_is_one_document(texts: list[str]) -> None:
    once, twice = index_of(texts), index_of([*texts, texts[0]])
    assert_same(once, twice)


@settings(deadline=None)
@given(texts_of_pieces)
def test_counts_sum_to_the_positions(text: str) -> None:
    grams = document_grams([text, text], n=2)
    assert grams.counts.sum() == grams.num_positions.sum()
    assert (np.diff(grams.select(1, 2).grams.astype(object)) > 0).all()


# Oracles


@settings(max_examples=150, deadline=None)
@given(corpora, st.integers(1, 5))
def test_agrees_with_plain_dictionaries(texts: list[str], n: int) -> None:
    counted = [plain_grams(text, n) for text in texts]
    names = hashes_of(texts).tolist()
    have: dict[tuple[str, ...], set[int]] = defaultdict(set)
    for name, grams in zip(names, counted, strict=True):
        for gram in grams:
            have[gram].add(name)
    scores = scores_of(texts, index_of(texts, n), n)
    for i, (name, grams) in enumerate(zip(names, counted, strict=True)):
        positions = sum(grams.values())
        assert scores.num_positions[i] == positions
        if positions == 0:
            continue
        others = sum(times for gram, times in grams.items() if have[gram] != {name})
        assert scores.ownership[i] * positions == pytest.approx(
            sum(min(have[gram]) == name for gram in grams)
        )
        assert scores.novelty[i] * positions == pytest.approx(
            sum(have[gram] == {name} for gram in grams)
        )
        assert scores.overlap[i] * positions == pytest.approx(others)
        assert scores.repetition[i] == pytest.approx(1 - len(grams) / positions)


def test_a_merge_in_many_buckets_agrees_with_a_sort() -> None:
    rng = np.random.default_rng(0)
    pool = np.unique(rng.integers(0, 2**64, 2_500_000, dtype=np.uint64))
    parts = [
        GramIndex(grams=grams, owners=np.full_like(grams, k), is_shared=np.zeros(len(grams), bool))
        for k, grams in enumerate(np.sort(rng.choice(pool, 1_500_000, False)) for _ in range(3))
    ]
    merged = merge_indexes(parts)
    grams, first, times = np.unique(
        np.concatenate([part.grams for part in parts]), return_index=True, return_counts=True
    )
    np.testing.assert_array_equal(merged.grams, grams)
    np.testing.assert_array_equal(merged.owners, first // 1_500_000)
    np.testing.assert_array_equal(merged.is_shared, times > 1)


def test_many_documents_in_runs_agree_with_all_at_once() -> None:
    rng = np.random.default_rng(1)
    offsets = np.arange(0, 4_800_001, 1_600_000)
    grams = DocumentGrams(
        num_positions=np.diff(offsets),
        offsets=offsets,
        grams=rng.integers(0, 2_000_000, offsets[-1], dtype=np.uint64),
        counts=np.ones(offsets[-1], dtype=np.uint32),
    )
    names = np.array([5, 3, 9], dtype=np.uint64)
    index = gram_index(grams, names)
    owner = np.full(2_000_000, 10, dtype=np.uint64)
    np.minimum.at(owner, grams.grams, grams.per_gram(names))
    np.testing.assert_array_equal(index.owners, owner[index.grams])
    scores = gram_scores(grams, names, index)
    is_own = owner[grams.grams] == grams.per_gram(names)
    np.testing.assert_allclose(scores.ownership, is_own.reshape(3, -1).mean(axis=1))


@pytest.mark.parametrize("sample_bits", [2, 4])
def test_a_sampled_ownership_is_within_its_stated_error(sample_bits: int) -> None:
    rng = np.random.default_rng(2)
    shared = " ".join(map(str, rng.integers(0, 10**6, 4000))).split()
    texts = []
    for _ in range(300):
        start, length = rng.integers(0, 3500), rng.integers(0, 500)
        own = map(str, rng.integers(0, 10**6, rng.integers(100, 500)))
        texts.append(" ".join([*shared[start : start + length], *own]))
    exact = scores_of(texts, index_of(texts, n=5), n=5)
    kept = document_grams(texts, n=5, sample_bits=sample_bits)
    sampled = gram_scores(kept, hashes_of(texts), gram_index(kept, hashes_of(texts)))
    error = sample_error(sampled.ownership, sampled.num_positions)
    errors = (sampled.ownership - exact.ownership) / error
    assert abs((sampled.ownership - exact.ownership).mean()) < 0.02
    assert (np.abs(errors) < 2.0).mean() > 0.9
    assert errors.std() > 0.6  # an error that is stated much too large tells nothing


# Examples


def test_ownership_by_hand() -> None:
    texts = ["a b c a b", "b c d"]
    index = gram_index(document_grams(texts, n=2), np.array([7, 3], dtype=np.uint64))
    scores = gram_scores(document_grams(texts, n=2), np.array([7, 3], dtype=np.uint64), index)
    # Grams ab bc ca ab, and bc cd: the second has the smaller hash, so bc is its.
    np.testing.assert_allclose(scores.ownership, [2 / 4, 2 / 2])
    np.testing.assert_allclose(scores.novelty, [2 / 4, 1 / 2])
    np.testing.assert_allclose(scores.overlap, [1 / 4, 1 / 2])
    np.testing.assert_allclose(scores.repetition, [1 / 4, 0])


def test_one_of_several_near_copies_keeps_its_grams() -> None:
    body = " ".join(f"w{i}" for i in range(200))
    texts = [body, f"{body} one", f"{body} two", f"{body} three"]
    scores = scores_of(texts, index_of(texts, n=5), n=5)
    assert (scores.ownership > 0.99).sum() == 1
    assert (scores.ownership < 0.02).sum() == 3
    assert (scores.overlap > 0.99).all()


def test_fewer_words_than_n_score_one_half() -> None:
    scores = scores_of(["a b c d", ""], index_of(["a b c d e f"], n=5), n=5)
    assert scores.ownership.tolist() == scores.novelty.tolist() == [0.5, 0.5]
    assert scores.overlap.tolist() == scores.repetition.tolist() == [0.0, 0.0]
    assert scores.num_positions.tolist() == [0, 0]


def test_what_a_frozen_index_does_not_know_is_owned_and_novel() -> None:
    scores = scores_of(["u v w", "a b c"], index_of(["a b c d"]))
    assert scores.ownership.tolist() == scores.novelty.tolist() == [1.0, 0.0]
    assert scores.overlap.tolist() == [0.0, 1.0]


def test_letters_and_marks_of_ascii_only_are_folded() -> None:
    lower, upper, accented, other = (
        document_grams([text], n=2).grams.tolist()
        for text in ("red-blue", "RED, BLUE", "été blue", "Été blue")
    )
    assert lower == upper
    assert accented != other


def test_a_text_longer_than_a_batch_is_read_to_its_end() -> None:
    long = "word " * 2_000_000 + "last"
    grams = document_grams([long, "word word last"], n=2)
    assert grams.num_positions.tolist() == [2_000_000, 2]
    np.testing.assert_array_equal(grams.select(0, 1).grams, grams.select(1, 2).grams)


def test_no_documents_have_no_grams() -> None:
    grams = document_grams([])
    assert (grams.num_documents, len(grams.grams)) == (0, 0)
    index = gram_index(grams, np.empty(0, dtype=np.uint64))
    assert gram_scores(grams, np.empty(0, dtype=np.uint64), index).ownership.shape == (0,)
    assert len(merge_indexes([]).grams) == 0


@pytest.mark.parametrize("power", [0.5, 1.0, 4.0, 6.0])
def test_a_component_lies_strictly_inside_zero_and_one_and_rises(power: float) -> None:
    values = component(np.array([0.0, 0.3, 0.6, 1.0]), power=power)
    assert 0.0 < values[0] < values[1] < values[2] < values[3] < 1.0


def test_a_component_of_power_one_is_the_share_itself() -> None:
    assert component(np.array([0.25])).tolist() == [0.25]


def test_nothing_kept_is_as_uncertain_as_a_flat_prior() -> None:
    error = sample_error(np.array([0.5]), np.array([0]))
    assert error[0] == pytest.approx(np.sqrt(1 / 12))


@pytest.mark.parametrize("wrong", [{"n": 0}, {"sample_bits": -1}, {"sample_bits": 33}])
def test_refuses_grams_that_cannot_be(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="sample_bits"):
        document_grams(["a b"], **wrong)


def test_refuses_another_number_of_hashes() -> None:
    with pytest.raises(ValueError, match="as many hashes"):
        gram_index(document_grams(["a b"]), np.empty(0, dtype=np.uint64))


@pytest.mark.parametrize("wrong", [{"power": 0.0}, {"lowest": 0.0}, {"highest": 1.0}])
def test_refuses_a_component_that_could_touch_zero_or_one(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="lowest"):
        component(np.array([0.5]), **wrong)
