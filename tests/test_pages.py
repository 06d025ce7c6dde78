"""Standalone pages: whatever text is in them stays text, and they fit a narrow screen."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from jinja2 import UndefinedError

from samplemix_dagster.pages.difference import difference_page
from samplemix_dagster.pages.dots import Figure, dots_of
from samplemix_dagster.pages.evaluation import evaluation_page
from samplemix_dagster.pages.frame import Table, render
from samplemix_dagster.pages.lineage import lineage_page
from tests.judged import found_of

HOSTILE = "\"'><script>alert(1)</script>"
HARMLESS = "x" * len(HOSTILE)


def node(identity: str, kind: str, word: str, **more: Any) -> dict[str, Any]:
    found = {"id": identity, "kind": kind, "name": word, "version": word, "note": word}
    return {**found, "place": word, "asset": word, "inputs": [], "is_there": True, **more}


def lineage_of(word: str) -> dict[str, Any]:
    """A lineage in which every text is this word."""
    nodes = [
        node("shard", "shard", word),
        node("source", "source", word, inputs=["shard"], num_documents=3),
        node("model", "model", word, files=[word]),
        node("feature", "feature", word, inputs=["source", "model"], sources=[word]),
        node("fit", "fit", word, inputs=["feature"], is_there=False),
        node("mixture", "mixture", word, inputs=["fit"]),
    ]
    made = dict.fromkeys(
        ("name", "version", "made_at", "made_by", "run_id", "samplemix_version", "manifest"), word
    )
    git = {"commit": word, "is_dirty": False}
    return {"nodes": nodes, "packages": {word: word}, "git": git, **made}


def difference_of(word: str) -> dict[str, Any]:
    """A difference of one cause and two groups, in which every text is this word."""
    side = {"name": word, "version": word, "made_at": word}
    change = {"tokens": 5, "draws": 1, "documents_drawn": 1} | dict.fromkeys(
        ("mean_quality", "mean_diversity"), 0.25
    )
    rows = [
        {
            "name": word,
            "tokens_a": 10,
            "tokens_b": 10 + moved,
            "share_a": 0.5,
            "share_b": 0.5,
            "tokens_change": moved,
            "draws_change": 1,
            "by_cause": [{"tokens": moved}],
        }
        for moved in (12, -7)
    ]
    return {
        "a": side,
        "b": side,
        "words": [word],
        "causes": [{"change": change, "what": [word], "joined_because": word}],
        "change": change,
        "groups": {word: rows},
        "total_variation": {word: 0.5},
    }


def pages(word: str) -> Iterator[str]:
    yield lineage_page(lineage_of(word), [(word, word)])
    yield difference_page(difference_of(word), [word])
    yield render("words.html", words=word)
    yield evaluation_page(found_of({word: (-0.02, -0.03, -0.01)}, group=word, kind=word))


class Elements(HTMLParser):
    """The elements of a page with the names of their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, list[str]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, [name for name, _ in attrs]))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize(
    "which", [0, 1, 2, 3], ids=["lineage", "difference", "words", "evaluation"]
)
def test_no_text_adds_an_element_or_an_attribute_to_a_page(which: int) -> None:
    hostile, harmless = (Elements(list(pages(word))[which]) for word in (HOSTILE, HARMLESS))
    assert hostile.elements == harmless.elements
    assert HOSTILE in hostile.text


@pytest.mark.parametrize("which", [0, 1, 3], ids=["lineage", "difference", "evaluation"])
def test_a_page_stands_alone_and_runs_no_script(which: int) -> None:
    page = list(pages(HARMLESS))[which]
    assert {"script", "link", "img", "iframe"}.isdisjoint(tag for tag, _ in Elements(page).elements)


def test_losses_lie_left_of_zero_and_gains_right_of_it() -> None:
    page = difference_page(difference_of("a"), ["the dials"])
    zero = 250 + 65 + 7 * (725 / 19)
    assert f'<line x1="{zero:.1f}"' in page
    assert f'<rect x="{zero:.1f}" y="4" width="{12 * 725 / 19:.1f}"' in page
    assert f'<rect x="315.0" y="30" width="{7 * 725 / 19:.1f}"' in page


def test_without_a_cause_none_is_shown() -> None:
    found = difference_of("a") | {"causes": [], "groups": {}, "words": ["They are the same."]}
    page = difference_page(found, [])
    assert "They are the same." in page
    assert "What each cause moves" not in page


def test_what_is_gone_is_dashed() -> None:
    page = lineage_page(lineage_of("a"))
    assert page.count("stroke-dasharray") == 1
    assert "a (gone)" in page


def test_a_column_of_numbers_alone_stands_to_the_right() -> None:
    table = Table(("name", "count", "mixed"), [("a", 1_000, 2), ("b", 2, "two")])
    assert [is_number for _, is_number in table.heads] == [False, True, False]
    assert [cell.text for line in table.lines for cell in line] == [
        "a",
        "1,000",
        "2",
        "b",
        "2",
        "two",
    ]


def test_a_wide_drawing_scrolls_on_a_narrow_screen_and_the_page_does_not() -> None:
    for page in (lineage_page(lineage_of("a")), difference_page(difference_of("a"), ["a"])):
        assert re.search(r'<div class="wide[ a-z]*"><svg', page)
        assert ".wide { margin: 18px 0; overflow-x: auto; }" in page
        assert "@media (max-width: 640px)" in page


def test_bars_that_a_telephone_would_cut_off_are_words_there() -> None:
    page = difference_page(difference_of("a"), ["a"])
    assert '<div class="wide desk"><svg' in page
    assert ".desk { display: none; }" in page
    changes = re.findall(r'font-size="12">([+-][0-9,]+)</text>', page)
    assert changes
    assert [f"{one} tokens</li>" in page for one in changes] == [True] * len(changes)


def test_a_value_that_is_missing_is_an_error_and_no_blank() -> None:
    with pytest.raises(UndefinedError):
        render("words.html")


def test_an_interval_left_of_nought_is_drawn_left_of_its_line() -> None:
    figures = [
        Figure(name="a", value=-0.02, low=-0.03, high=-0.01, verdict="better"),
        Figure(name="b", value=0.05, low=0.02, high=0.08, verdict="worse"),
    ]
    found = dots_of(figures, "a picture")
    assert found is not None
    better, worse = found.dots
    assert better.left < better.x < better.right < found.zero < worse.left < worse.x < worse.right
    assert all(0 < place < 100 for dot in found.dots for place in (dot.left, dot.right))


def test_ticks_are_round_numbers_in_order_and_nought_is_one() -> None:
    figures = [Figure(name="a", value=0.003, low=-0.0123, high=0.0171, verdict="undecided")]
    found = dots_of(figures, "a picture")
    assert found is not None
    shown = ["-0.010", "-0.005", "0", "+0.005", "+0.010", "+0.015"]
    assert [words for _, words in found.ticks] == shown
    assert [place for place, _ in found.ticks] == sorted(place for place, _ in found.ticks)
    assert (found.zero, "0") in found.ticks


def test_an_arm_that_does_not_differ_and_one_pair_alone_are_drawn_too() -> None:
    for low, high in ((0.0, 0.0), (None, None)):
        found = dots_of([Figure(name="a", value=0.0, low=low, high=high, verdict="undecided")], "")
        assert found is not None
        assert found.dots[0].x == found.zero == 50.0
    assert dots_of([], "nothing") is None


def test_a_loss_stands_on_a_page_as_plainly_as_a_win() -> None:
    found = found_of({"good": (-0.02, -0.03, -0.01), "bad": (0.02, 0.01, 0.03)})
    page = evaluation_page(found)
    assert '<li class="better">good is better than proportional: -0.0200' in page
    assert '<li class="worse">bad is worse than proportional: +0.0200' in page
