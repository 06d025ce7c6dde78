"""What every page has in common: how a template is filled in, and what a table shows.

Templates stand in ``templates/``; every value in them is escaped, so text from a corpus is shown as
it is. Light or dark follows the reader's system.
"""

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined

from samplemix_dagster.show.presentation import Quantity

_NUMBERS = (int, float, Quantity)


class Cell(NamedTuple):
    """A value of a table as it is shown."""

    text: str
    kind: str
    """``number``, ``digest``, or nothing."""
    column: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table: a column of nothing but numbers stands to the right, a digest in a fixed width."""

    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]

    @property
    def heads(self) -> list[tuple[str, bool]]:
        """Each column's name, and whether it holds numbers."""
        return [
            (name, bool(self.rows) and all(isinstance(row[at], _NUMBERS) for row in self.rows))
            for at, name in enumerate(self.columns)
        ]

    @property
    def lines(self) -> Iterable[list[Cell]]:
        """The cells of each row."""
        heads = self.heads
        for row in self.rows:
            yield [_cell(value, *head) for value, head in zip(row, heads, strict=True)]


def _cell(value: Any, column: str, is_number: bool) -> Cell:
    if is_number:
        return Cell(_shown(value), "number", column)
    text = str(value)
    is_digest = len(text) >= 24 and " " not in text
    return Cell(text, "digest" if is_digest else "", column)


def _shown(value: float | Quantity) -> str:
    if isinstance(value, Quantity):
        return value
    return f"{value:,}" if isinstance(value, int) else f"{value:z,.4f}"


def render(template: str, **values: Any) -> str:
    """Return a template of ``templates/`` filled in.

    Raises:
        jinja2.UndefinedError: A name of the template has no value.
    """
    return _environment().get_template(template).render(values)


@functools.cache
def _environment() -> Environment:
    found = Environment(
        loader=PackageLoader(__package__ or ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    found.filters["shortened"] = shortened
    return found


def shortened(text: str, length: int) -> str:
    """Return text of at most so many characters."""
    return text if len(text) <= length else text[: length - 1] + "…"
