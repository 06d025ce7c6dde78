"""Text of evaluations is found in documents, however it is set; and nothing else is."""

import random

import numpy as np
import pytest

from samplemix_dagster.core.contamination.search import Index, Wanted, search, wanted_of
from tests.projects import prose

ORDER, SHORTEST = 13, 5
LONG = prose("item", sentences=4)


def index_of(*items: str) -> Index:
    return Index.of([wanted_of([item], ORDER, SHORTEST) for item in items], ORDER)


def disguised(text: str, luck: random.Random) -> str:
    """A text in other letters, with other punctuation and line breaks between words."""
    joints = [" ", "\n", "  ", "\r\n\r\n", ", ", " \u2014 "]
    words = [luck.choice([str.upper, str.lower, str.title])(word) for word in text.split()]
    return "".join(word + luck.choice(joints) for word in words)


def planted(item: str, seed: int) -> str:
    luck = random.Random(seed)
    return f"{prose(f'before-{seed}')} {disguised(item, luck)} {prose(f'after-{seed}')}"


def test_every_planted_item_is_found_and_nothing_where_none_was_planted() -> None:
    items = [prose(f"long-{n}", sentences=5) for n in range(40)]
    items += [" ".join(prose(f"short-{n}").split()[3 : 3 + 5 + n % 8]) for n in range(40)]
    texts = [planted(item, n) if n % 2 else prose(f"clean-{n}") for n, item in enumerate(items)]
    found = {hit.document: hit for hit in search(texts, index_of(*items))}
    assert set(found) == set(range(1, 80, 2))
    assert all(found[n].item == n for n in found)


def test_one_gram_of_a_long_item_is_enough_and_a_shorter_run_is_not() -> None:
    words = LONG.split()
    index = index_of(LONG)
    [hit] = search([f"so {' '.join(words[4:17])} then"], index)
    assert hit.share == pytest.approx(1 / (len(words) - ORDER + 1))
    assert list(search([f"so {' '.join(words[4:16])} then"], index)) == []


def test_a_short_item_is_found_whole_and_not_in_part() -> None:
    index = index_of("The cat sat on the mat.")
    assert [hit.document for hit in search(["THE cat,\nsat on -- the mat", ""], index)] == [0]
    assert list(search(["the cat sat on the", "cat sat on the mat"], index)) == []


def test_a_short_field_beside_a_long_one_is_not_looked_for() -> None:
    wanted = wanted_of([LONG, "by the old stone bridge"], ORDER, SHORTEST)
    assert not wanted.is_whole
    assert list(search(["they met by the old stone bridge"], Index.of([wanted], ORDER))) == []


@pytest.mark.parametrize("text", ["yes", "four words are few", ""])
def test_what_is_too_short_is_not_looked_for(text: str) -> None:
    assert wanted_of([text, "no"], ORDER, SHORTEST) == Wanted((), is_whole=True)
    assert list(search([text], index_of(text))) == []


def test_letters_beyond_ascii_and_compatibility_forms_are_folded() -> None:
    index = index_of("ÜBER DEN WOLKEN \ufb01ndet er Ruhe")
    assert len(list(search(["über den wolken findet er ruhe"], index))) == 1


def test_of_two_items_the_one_of_which_more_stands_there_is_told() -> None:
    other = prose("other item", sentences=4)
    text = f"{' '.join(LONG.split()[:14])} and {other}"
    [hit] = search([text], index_of(LONG, other))
    assert (hit.item, hit.share, hit.num_items) == (1, 1.0, 2)


def test_the_snippet_is_the_longest_run_with_words_around_on_one_line() -> None:
    [hit] = search([planted(LONG, 7)], index_of(LONG))
    words = "".join(c if c.isalnum() else " " for c in hit.snippet).split()
    inside = "".join(c if c.isalnum() else " " for c in LONG.lower()).split()
    assert "\n" not in hit.snippet
    assert inside in [words[k : k + len(inside)] for k in range(len(words))]
    assert len(words) > len(inside)


def test_documents_do_not_touch_one_another() -> None:
    words = LONG.split()
    half = len(words) // 2
    texts = [" ".join(words[:12]), " ".join(words[12:24]), " ".join(words[:half]), LONG]
    index = index_of(LONG)
    alone = [[(hit.item, hit.share) for hit in search([text], index)] for text in texts]
    together = {hit.document: [(hit.item, hit.share)] for hit in search(texts, index)}
    assert alone == [together.get(place, []) for place in range(len(texts))]


def test_an_index_is_the_same_after_it_was_stored() -> None:
    index = index_of(LONG, "the cat sat on the mat", prose("more"))
    again = Index.from_arrays(index.to_arrays())
    texts = [planted(LONG, 1), "the cat sat on the mat"]
    assert list(search(texts, again)) == list(search(texts, index))
    assert np.all(np.diff(index.grams.astype(object)) > 0)


def test_many_places_are_all_found() -> None:
    text = " ".join([LONG] * 400)
    [hit] = search([text], index_of(LONG))
    assert hit.share == 1.0
