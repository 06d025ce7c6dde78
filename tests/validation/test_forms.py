"""The forms of tasks: told apart by fields, the same whatever the order, bad rows with words."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samplemix_dagster.validation.tasks.forms import Item, Option, RefusedRowError, form_of

CHOICES = ["a harbour", "an oven", "a comet", "a court"]
ASKED = {"query": "Where do boats lie?", "choices": CHOICES, "gold": 0}
SCHEMA = {
    "context_options": ["The boat left because the boat", "The boat left because the storm"],
    "continuation": "was over.",
    "gold": 1,
}


def item(row: dict[str, Any]) -> Item:
    form = form_of(row)
    assert form is not None
    return form.item(row)


@pytest.mark.parametrize(
    ("row", "form"),
    [
        (ASKED, "multiple choice"),
        ({"question": "Q", "choices": ["a", "b"], "answer": "B", "id": 7}, "multiple choice"),
        (SCHEMA, "schema"),
        ({"context": "Boats lie in a", "continuation": "harbour"}, "continuation"),
        ({"sentence_good": "It is.", "sentence_bad": "It are."}, "minimal pairs"),
        ({"good": "It is.", "bad": "It are.", "uid": "agreement"}, "minimal pairs"),
    ],
)
def test_fields_say_the_form(row: dict[str, Any], form: str) -> None:
    found = form_of(row)
    assert found is not None
    assert found.name == form


@pytest.mark.parametrize("row", [{}, {"text": "a"}, {"query": "a", "choices": ["b", "c"]}])
def test_other_fields_are_no_form(row: dict[str, Any]) -> None:
    assert form_of(row) is None


@given(order=st.permutations(range(4)), letters=st.booleans(), gold=st.integers(0, 3))
def test_the_order_of_choices_changes_nothing(order: list[int], letters: bool, gold: int) -> None:
    at = order.index(gold)
    mixed = {
        "question": ASKED["query"],
        "choices": [CHOICES[number] for number in order],
        "answer": "ABCD"[at] if letters else at,
    }
    assert item(mixed) == item({**ASKED, "gold": gold})
    assert item(mixed).doc_id == item({**ASKED, "gold": gold}).doc_id


def test_another_answer_is_another_item() -> None:
    assert item({**ASKED, "gold": 1}).doc_id != item(ASKED).doc_id


def test_wrong_options_that_are_alike_are_two() -> None:
    assert len(item({**ASKED, "choices": ["a", "b", "b"]}).others) == 2


def test_a_schema_judges_one_continuation_after_each_context() -> None:
    found = item(SCHEMA)
    assert found.answer == Option("The boat left because the storm", " was over.")
    assert found.others == (Option("The boat left because the boat", " was over."),)


def test_a_pair_is_judged_whole() -> None:
    found = item({"sentence_good": "It is.", "sentence_bad": "It are."})
    assert found == Item(Option("", "It is."), (Option("", "It are."),))


@pytest.mark.parametrize(
    ("context", "continuation", "judged"),
    [
        ("Boats lie in a", "harbour", " harbour"),
        ("Boats lie in a ", "harbour", "harbour"),
        ("Where?\n", "There", "There"),
        ("Boats lie in a", " harbour", " harbour"),
    ],
)
def test_a_space_parts_a_continuation_where_nothing_does(
    context: str, continuation: str, judged: str
) -> None:
    found = item({"context": context, "continuation": continuation})
    assert found.answer == Option(context, judged)


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({**ASKED, "query": "  "}, "query is no text"),
        ({**ASKED, "query": None}, "query is no text"),
        ({**ASKED, "choices": "harbour"}, "choices is no list of two texts or more"),
        ({**ASKED, "choices": ["one"]}, "choices is no list of two texts or more"),
        ({**ASKED, "choices": ["one", 2]}, "choices is no text"),
        ({**ASKED, "choices": ["one", "two", "one"]}, "the answer is among the other options"),
        ({**ASKED, "gold": 4}, "gold is none of the options"),
        ({**ASKED, "gold": -1}, "gold is none of the options"),
        ({**ASKED, "gold": "E"}, "gold is none of the options"),
        ({**ASKED, "gold": "0"}, "gold is neither an index nor a letter"),
        ({**ASKED, "gold": True}, "gold is neither an index nor a letter"),
        ({**ASKED, "gold": 1.0}, "gold is neither an index nor a letter"),
        ({**ASKED, "query": "half a pair \ud800"}, "query is no Unicode text"),
        ({"good": "It is.", "bad": "It is."}, "the answer is among the other options"),
        ({"context": "", "continuation": "harbour"}, "context is no text"),
    ],
)
def test_a_row_that_makes_no_item_says_why(row: dict[str, Any], reason: str) -> None:
    with pytest.raises(RefusedRowError, match=reason):
        item(row)
