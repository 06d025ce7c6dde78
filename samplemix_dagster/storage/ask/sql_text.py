"""SQL as text: small relations spelt out, values and names quoted."""

from collections.abc import Callable, Sequence
from typing import Any

Reader = Callable[[Sequence[str], bool], str]
"""Returns what stands after ``from`` for Parquet files: with their names as ``filename``, or not.

Whoever may open files reads them in place (:func:`.views.read_in_place`); a connection that may not
has them handed in (``query.py``).
"""


def union(parts: Sequence[str], columns: str) -> str:
    """Join selects; with none, an empty relation of these columns."""
    if parts:
        return " union all by name ".join(parts)
    casts = ", ".join(
        f"cast(null as {kind}) as {identifier(name)}"
        for name, kind in (column.rsplit(" ", 1) for column in columns.split(", "))
    )
    return f"select {casts} where false"


def relation(name: str, columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> str:
    """A small relation spelt out in SQL, as a view."""
    return f"create or replace view {name} as {rows_as_select(columns, rows)}"


def rows_as_select(columns: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> str:
    """Select rows that are spelt out; columns are names with their types."""
    if not rows:
        return union([], ", ".join(columns))
    named = [(identifier(name), kind) for name, kind in (column.split(" ") for column in columns)]
    casts = ", ".join(f"cast({name} as {kind}) as {name}" for name, kind in named)
    names = ", ".join(name for name, _ in named)
    return f"select {casts} from {values(rows)} as t ({names})"


def values(rows: Sequence[tuple[Any, ...]]) -> str:
    """Return rows as a list of values."""
    listed = ", ".join(f"({', '.join(_literal(value) for value in row)})" for row in rows)
    return f"(values {listed})"


def _literal(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int | float) else text(str(value))


def text(value: str) -> str:
    """Return a text as SQL quotes it."""
    return "'" + value.replace("'", "''") + "'"


def identifier(name: str) -> str:
    """Return a name as SQL quotes it."""
    return '"' + name.replace('"', '""') + '"'
