"""The forms of a task's rows, told apart by their fields, and the items that rows make.

An item is an answer and the options that it is judged against, each a context and what stands after
it. Forms and fields are those in which the tasks of common harnesses are handed on as JSON lines.
"""

import json
import string
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from samplemix_dagster.core.hashing import doc_id

Fields = Mapping[str, object]


class RefusedRowError(ValueError):
    """A row that makes no item; its words say why, the same words for the same fault."""


@dataclass(frozen=True, slots=True, order=True)
class Option:
    """What is judged, after a context that is read."""

    context: str
    continuation: str


@dataclass(frozen=True, slots=True)
class Item:
    """An answer beside other options, in an order that the file's order does not change."""

    answer: Option
    others: tuple[Option, ...] = ()

    @property
    def doc_id(self) -> str:
        """The item's digest: of all its options, and of which is right."""
        options = [[one.context, one.continuation] for one in (self.answer, *self.others)]
        return doc_id(json.dumps(options))


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A form of rows.

    Attributes:
        name: What it is called.
        fields: The fields that a row of the form has; of each group any one.
        options: Gives a row's options and the number of the right one.
    """

    name: str
    fields: tuple[tuple[str, ...], ...]
    options: Callable[[Fields], tuple[list[Option], int]]

    def fits(self, row: Fields) -> bool:
        """Whether a row has all fields of the form."""
        return all(any(name in row for name in names) for names in self.fields)

    @property
    def in_words(self) -> str:
        """The form's name and fields."""
        return f"{self.name} ({', '.join('/'.join(names) for names in self.fields)})"

    def item(self, row: Fields) -> Item:
        """Return a row's item.

        Raises:
            RefusedRowError: The row makes none.
        """
        options, right = self.options(row)
        others = options[:right] + options[right + 1 :]
        if options[right] in others:
            raise RefusedRowError("the answer is among the other options")
        return Item(answer=options[right], others=tuple(sorted(others)))


def _first(row: Fields, *names: str) -> tuple[str, object]:
    return next(((name, row[name]) for name in names if name in row), (names[0], None))


def _text(row: Fields, *names: str) -> str:
    name, found = _first(row, *names)
    return as_text(found, name)


def as_text(found: object, name: str) -> str:
    """Return a text that says something.

    Raises:
        RefusedRowError: It is none, is blank, or cannot be written as UTF-8.
    """
    if not isinstance(found, str) or not found.strip():
        raise RefusedRowError(f"{name} is no text")
    try:
        found.encode()
    except UnicodeEncodeError:
        raise RefusedRowError(f"{name} is no Unicode text") from None
    return found


def _texts(row: Fields, name: str) -> list[str]:
    found = row.get(name)
    if not isinstance(found, list) or len(found) < 2:
        raise RefusedRowError(f"{name} is no list of two texts or more")
    return [as_text(one, name) for one in found]


def _right(row: Fields, among: int) -> int:
    """Return the number of the right one: an index from 0, or a letter from A."""
    name, found = _first(row, "gold", "answer")
    if isinstance(found, str) and len(found) == 1 and found in string.ascii_uppercase:
        found = string.ascii_uppercase.index(found)
    if isinstance(found, bool) or not isinstance(found, int):
        raise RefusedRowError(f"{name} is neither an index nor a letter")
    if not 0 <= found < among:
        raise RefusedRowError(f"{name} is none of the options")
    return found


def _after(context: str, continuation: str) -> Option:
    """Return a continuation after its context: where no white space parts them, a space does.

    The space is judged with what follows it, as the tokens of most vocabularies begin with one.
    """
    is_parted = context[-1].isspace() or continuation[0].isspace()
    return Option(context, continuation if is_parted else f" {continuation}")


def _multiple_choice(row: Fields) -> tuple[list[Option], int]:
    query, choices = _text(row, "query", "question"), _texts(row, "choices")
    return [_after(query, choice) for choice in choices], _right(row, len(choices))


def _schema(row: Fields) -> tuple[list[Option], int]:
    contexts, continuation = _texts(row, "context_options"), _text(row, "continuation")
    return [_after(context, continuation) for context in contexts], _right(row, len(contexts))


def _continuation(row: Fields) -> tuple[list[Option], int]:
    return [_after(_text(row, "context"), _text(row, "continuation"))], 0


def _minimal_pair(row: Fields) -> tuple[list[Option], int]:
    pair = _text(row, "sentence_good", "good"), _text(row, "sentence_bad", "bad")
    return [Option("", sentence) for sentence in pair], 0


FORMS = (
    Form(
        name="multiple choice",
        fields=(("query", "question"), ("choices",), ("gold", "answer")),
        options=_multiple_choice,
    ),
    Form(
        name="schema",
        fields=(("context_options",), ("continuation",), ("gold", "answer")),
        options=_schema,
    ),
    Form(name="continuation", fields=(("context",), ("continuation",)), options=_continuation),
    Form(
        name="minimal pairs",
        fields=(("sentence_good", "good"), ("sentence_bad", "bad")),
        options=_minimal_pair,
    ),
)


def form_of(row: Fields) -> Form | None:
    """Return the form of a row; None where it has the fields of none."""
    return next((form for form in FORMS if form.fits(row)), None)
