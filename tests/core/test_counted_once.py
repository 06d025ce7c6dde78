"""Near-duplicates beside counts: one of a group is counted, and none of the group meets it."""

import numpy as np
import numpy.typing as npt
import pytest

from samplemix_dagster.core.hashing import doc_id, id_words
from samplemix_dagster.core.quality.ngram.counted_once import (
    CountedOnce,
    first_of_each,
    near_groups,
)
from samplemix_dagster.core.quality.ngram.model import Counted, NgramModel

ORDER, VOCABULARY = 3, 400
WORDS = [f"word{number}" for number in range(VOCABULARY - 1)]
Tokens = npt.NDArray[np.uint32]


def written(seed: int, words: int = 60) -> str:
    rng = np.random.default_rng(seed)
    return " ".join(WORDS[at] for at in rng.integers(0, len(WORDS), words))


def copied(text: str, at: int) -> str:
    words = text.split()
    return " ".join([*words[:at], "word0", *words[at + 1 :]])


def names(texts: list[str]) -> npt.NDArray[np.uint64]:
    return id_words([doc_id(text) for text in texts])[:, 0]


def tokens(text: str) -> Tokens:
    return np.array([WORDS.index(word) + 1 for word in text.split()], dtype=np.uint32)


def counted(texts: list[str]) -> NgramModel:
    each = [tokens(text) for text in texts]
    grams = Counted.of(names(texts), each, order=ORDER, vocabulary=VOCABULARY)
    return NgramModel(grams, order=ORDER, vocabulary=VOCABULARY)


def once(texts: list[str]) -> tuple[CountedOnce, NgramModel, list[str]]:
    near = near_groups(names(texts), texts)
    groups = near.groups_of(names(texts))
    kept = first_of_each(groups)
    firsts = [texts[at] for at in kept]
    found = CountedOnce.of(near, groups[kept], [tokens(text) for text in firsts])
    return found, counted(firsts), firsts


def nats(found: CountedOnce, model: NgramModel, texts: list[str]) -> list[float]:
    met = found.met(names(texts), texts)
    return [float(one) for one in model.nats([tokens(text) for text in texts], met)]


ALONE = [written(seed) for seed in range(6)]
COPIES = [copied(ALONE[0], 10), copied(ALONE[0], 50)]
CORPUS = [*ALONE[:3], *COPIES, *ALONE[3:]]


def test_of_a_group_the_first_that_is_read_is_counted() -> None:
    assert once(CORPUS)[2] == ALONE
    assert once(CORPUS[::-1])[2] == [*ALONE[:2:-1], COPIES[1], *ALONE[2:0:-1]]
    assert once(CORPUS)[0].num_near_duplicates == once(CORPUS[::-1])[0].num_near_duplicates == 2


def test_each_text_costs_what_it_costs_counts_without_its_whole_group() -> None:
    found, model, _ = once(CORPUS)
    group = [ALONE[0], *COPIES]
    expected = counted(ALONE[1:]).nats([tokens(text) for text in group], [None] * 3)
    assert nats(found, model, group) == expected.tolist()


def test_a_text_that_stands_alone_is_out_itself() -> None:
    found, model, _ = once(CORPUS)
    rest = [text for text in ALONE if text != ALONE[4]]
    expected = counted(rest).nats([tokens(ALONE[4])], [None])
    assert nats(found, model, [ALONE[4]]) == expected.tolist()


def test_a_copy_that_came_later_does_not_meet_what_it_was_copied_from() -> None:
    found, model, _ = once(CORPUS)
    for text, rest in ((copied(ALONE[0], 30), ALONE[1:]), (copied(ALONE[5], 30), ALONE[:5])):
        expected = counted(rest).nats([tokens(text)], [None])
        assert nats(found, model, [text]) == expected.tolist()
        with_it = counted(ALONE).nats([tokens(text)], [None])
        assert nats(found, model, [text])[0] > with_it[0] + 10


def test_a_text_unlike_all_others_meets_all_of_them() -> None:
    found, model, _ = once(CORPUS)
    other = written(99)
    assert found.met(names([other]), [other]) == [None]
    assert nats(found, model, [other]) == counted(ALONE).nats([tokens(other)], [None]).tolist()


def test_neither_the_order_nor_the_batch_of_what_is_scored_changes_a_score() -> None:
    found, model, _ = once(CORPUS)
    asked = [*CORPUS, copied(ALONE[0], 30), written(99)]
    together = nats(found, model, asked)
    assert nats(found, model, asked[::-1])[::-1] == together
    assert [nats(found, model, [text])[0] for text in asked] == together


def test_a_group_of_which_no_text_was_counted_leaves_nothing_out() -> None:
    near = near_groups(names(CORPUS), CORPUS)
    groups = near.groups_of(names(ALONE[:1]))
    found = CountedOnce.of(near, groups, [tokens(ALONE[0])])
    met = found.met(names(ALONE), ALONE)
    assert [one is None for one in met] == [False, True, True, True, True, True]
    assert found.num_near_duplicates == 2


def test_texts_too_short_for_n_grams_are_no_copies_of_each_other() -> None:
    short = ["word1 word2", "word1 word3", "word4"]
    assert once([*short, *ALONE])[2] == [*short, *ALONE]


def test_what_was_written_is_read_as_the_same() -> None:
    found, model, _ = once(CORPUS)
    again = CountedOnce.from_arrays(found.to_arrays())
    asked = [*CORPUS, copied(ALONE[3], 5)]
    assert nats(again, model, asked) == nats(found, model, asked)


@pytest.mark.parametrize("texts", [[], ["word1"]])
def test_a_corpus_of_next_to_nothing(texts: list[str]) -> None:
    found, model, firsts = once(texts)
    assert firsts == texts
    assert (
        nats(found, model, [ALONE[0]]) == counted(texts).nats([tokens(ALONE[0])], [None]).tolist()
    )
