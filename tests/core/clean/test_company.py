"""How a text keeps company with a corpus: counts that add up, and what they tell."""

import numpy as np
import pytest

from samplemix_dagster.core.hashing import doc_id
from samplemix_dagster.core.junk.luck import Luck
from samplemix_dagster.core.quality.clean.measures import (
    WORDS_BYTES,
    Company,
    Counting,
    Shares,
)

SUBJECTS = ("the pilot", "my sister", "an old farmer", "the council", "our neighbour")
VERBS = ("found", "had forgotten", "wanted to see", "could not open", "painted")
THINGS = ("the red gate", "a letter from the town", "the long road", "his own boat", "the mill")
ENDS = ("in the morning", "after the storm", "without a word", "before anyone came", "again")


def prose(number: int, sentences: int = 30) -> str:
    luck = Luck("prose", number)
    parts = [luck.picks(part, of, sentences) for part, of in
             (("s", SUBJECTS), ("v", VERBS), ("t", THINGS), ("e", ENDS))]  # fmt: skip
    return " ".join(f"{' '.join(words)}." for words in zip(*parts, strict=True))


def salad(number: int) -> str:
    words = prose(number).split()
    return " ".join(words[place] for place in Luck("salad", number).order("o", len(words)))


TEXTS = [prose(number) for number in range(40)]
IDS = [doc_id(text) for text in TEXTS]


def company(ids: list[str] = IDS, texts: list[str] = TEXTS, num_bytes: int = 1) -> Company:
    counting = Counting(num_bytes)
    counting.add(ids, texts)
    return counting.company()


def same(first: Company, second: Company) -> bool:
    one, other = first.to_arrays(), second.to_arrays()
    return one.keys() == other.keys() and all(np.array_equal(one[k], other[k]) for k in one)


def test_counts_do_not_depend_on_the_order_or_on_a_text_that_comes_twice() -> None:
    turned = company(IDS[::-1] + IDS[:5], TEXTS[::-1] + TEXTS[:5])
    assert same(turned, company())


def test_counts_come_back_from_their_arrays() -> None:
    assert same(Company.from_arrays(company().to_arrays()), company())


def test_a_document_that_was_counted_is_measured_as_if_it_had_not_been() -> None:
    counted = company().measures(IDS[:3], TEXTS[:3])
    without = company(IDS[3:], TEXTS[3:])
    for one, measured in zip(range(3), counted, strict=True):
        others = company(IDS[:one] + IDS[one + 1 :], TEXTS[:one] + TEXTS[one + 1 :])
        (expected,) = others.measures([IDS[one]], [TEXTS[one]])
        # By chance, words of the document itself meet: that pair is not taken out.
        names = expected.keys() - {"log_order_gain", "pair_information", "triple_information"}
        assert {name: measured[name] for name in names} == pytest.approx(
            {name: expected[name] for name in names}
        )
    assert without.documents.size == 37


def test_measuring_leaves_the_counts_as_they_are() -> None:
    found = company()
    first = found.measures(IDS, TEXTS)
    assert same(found, company())
    assert found.measures(IDS, TEXTS) == first


def test_a_measure_does_not_depend_on_the_other_texts_of_a_call() -> None:
    found = company()
    assert found.measures(IDS, TEXTS)[7:9] == found.measures(IDS[7:9], TEXTS[7:9])


def test_words_of_salad_do_not_follow_each_other_more_often_than_by_chance() -> None:
    found = company()
    mixed = [salad(number) for number in range(40)]
    texts, salads = (
        [one["log_order_gain"] for one in found.measures([doc_id(t) for t in some], some)]
        for some in (TEXTS, mixed)
    )
    assert min(texts) > 1.0
    assert abs(float(np.mean(salads))) < 0.5


def test_a_line_that_stands_elsewhere_is_shared_and_one_of_its_own_is_not() -> None:
    page = "Home\nContact us today\n"
    texts = [page + "A line of the first.", page + "Another of the second."]
    ids = [doc_id(text) for text in texts]
    one, _ = company(ids, texts).measures(ids, texts)
    assert one["shared_lines"] == pytest.approx(20 / 40, abs=0.02)


def test_an_empty_text_and_an_empty_corpus_have_measures() -> None:
    nothing = company([], [])
    texts = ["", "one", "one two"]
    found = nothing.measures([doc_id(text) for text in texts], texts)
    assert np.isfinite([list(one.values()) for one in found]).all()


def test_a_large_corpus_is_counted_in_part_and_the_part_is_a_hash() -> None:
    ids = [doc_id(str(number)) for number in range(4000)]
    all_words, some_runs = Shares.of(WORDS_BYTES).counted(ids)
    assert all_words.all()
    assert some_runs.mean() == pytest.approx(1 / 8, abs=0.03)
    half, runs = Shares.of(2 * WORDS_BYTES).counted(ids)
    assert half.mean() == pytest.approx(0.5, abs=0.03)
    assert not (runs & ~half).any()
    assert not (Shares.of(4 * WORDS_BYTES).counted(ids)[0] & ~half).any()
