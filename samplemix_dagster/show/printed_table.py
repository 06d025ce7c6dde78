"""Tables for people and for programs: on a terminal as wide as it is, and as CSV, JSON, Parquet.

A column knows its kind: numbers stand to the right, names and ids to the left. What does not fit
is folded inside its column; where there are more columns than the terminal has room for, each row
is shown by itself, a value a line. Nothing is left out.
"""

import io
import sys
from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from typing import Any

from samplemix_dagster.errors import ConfigError
from samplemix_dagster.show.presentation import Quantity
from samplemix_dagster.show.terminal import plain_line, print_lines, print_raw, terminal_width

FORMATS = ("table", "csv", "json", "parquet")
_STYLES = {"stale": "yellow", "failed": "red", "current": "green", "broken": "red"}
_LEAST_WIDTH = 12
_GAP = 2
_LONGEST = 60
"""Characters of a cell in a file or pipe; on a terminal it is folded instead."""


def chosen_format(form: str, *, json: bool) -> str:
    """Return the form of an answer: ``--json`` is ``--format json``.

    Raises:
        ConfigError: There is no such form.
    """
    if form not in FORMATS:
        raise ConfigError(f"--format is one of {', '.join(FORMATS)}, not {form!r}.")
    return "json" if json else form


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], *, title: str | None = None
) -> None:
    """Print a table on stdout, for a person."""
    width = terminal_width()
    text = table_text(columns, rows, title=title, width=width, is_styled=width is not None)
    print_raw(text)


def write_records(form: str, records: Sequence[Mapping[str, Any]]) -> None:
    """Write JSON objects of equal keys to stdout, a row each, as ``csv`` or ``parquet``."""
    import pyarrow as pa

    write_table(form, pa.Table.from_pylist([dict(record) for record in records]))


def write_table(form: str, table: Any) -> None:
    """Write an Arrow table to stdout as ``csv`` or ``parquet``.

    Raises:
        ConfigError: Parquet would go to a terminal.
    """
    from samplemix_dagster.storage.ask.tabular import write_csv, write_parquet

    is_terminal = sys.stdout.isatty()
    if form == "parquet" and is_terminal:
        raise ConfigError("Parquet is no text for a terminal: send it to a file with `>`.")
    buffer = io.BytesIO()
    (write_csv if form == "csv" else write_parquet)(table, buffer)
    if is_terminal:
        print_lines(buffer.getvalue().decode("utf-8", "replace").splitlines())
        return
    sys.stdout.flush()
    sys.stdout.buffer.write(buffer.getbuffer())
    sys.stdout.buffer.flush()


def table_text(
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    title: str | None = None,
    width: int | None = None,
    is_styled: bool = False,
) -> str:
    """Return a table as text.

    Args:
        columns: Names of the columns.
        rows: Values; a :class:`Quantity` is text that stands to the right, as numbers do.
        title: A line above.
        width: Columns of the terminal; None where there is none, and each row is one line.
        is_styled: Whether states have colours.
    """
    head = f"{plain_line(title)}\n\n" if title else ""
    if not rows:
        return f"{plain_line(title)}\n" if title else ""
    cells = [[_cell(value) for value in row] for row in rows]
    if width is None:
        cells = [[_shortened(cell) for cell in line] for line in cells]
    names = [plain_line(name) for name in columns]
    widths = _widths(names, cells, width)
    if widths is None:
        return head + _by_row(names, cells)
    return head + _rendered(names, rows, cells, widths, is_styled=is_styled)


def _rendered(
    names: Sequence[str],
    rows: Sequence[Sequence[Any]],
    cells: list[list[str]],
    widths: Sequence[int],
    *,
    is_styled: bool,
) -> str:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, _GAP, 0, 0), show_edge=False)
    for index, (name, width) in enumerate(zip(names, widths, strict=True)):
        is_number = all(_is_number(row[index]) for row in rows)
        justify = "right" if is_number else "left"
        table.add_column(Text(name), justify=justify, width=width, overflow="fold")  # type: ignore[arg-type]
    table.add_row(*(Text("-" * width) for width in widths))
    for line in cells:
        table.add_row(*(Text(cell, style=_style(cell, is_styled=is_styled)) for cell in line))
    console = Console(
        file=io.StringIO(),
        width=sum(widths) + _GAP * len(widths),
        force_terminal=is_styled,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    console.print(table, soft_wrap=False)
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return "".join(line.rstrip() + "\n" for line in text.splitlines())


def _widths(names: Sequence[str], cells: list[list[str]], width: int | None) -> list[int] | None:
    """Return the width of each column on a terminal; None where there is no room for all.

    Columns of words (cells with blanks) give way first, the widest most; then paths and names;
    ids, which are all of one length, last.
    """
    natural = _natural(names, cells)
    if width is None or _total(natural) <= width:
        return natural
    words = {i for i in range(len(names)) if any(" " in line[i].strip() for line in cells)}
    loose = {i for i in range(len(names)) if len({len(line[i]) for line in cells}) > 1}
    paths = {i for i in range(len(names)) if any("/" in line[i] for line in cells)}
    for chosen in (words, words | loose | paths, set(range(len(names)))):
        found = _folded(natural, chosen, width)
        if found is not None:
            return found
    return None


def _folded(natural: Sequence[int], chosen: Collection[int], width: int) -> list[int] | None:
    """Return widths in which the chosen columns share what the others leave over."""
    found = list(natural)
    least = {index: min(natural[index], _LEAST_WIDTH) for index in chosen}
    while _total(found) > width:
        wide = [index for index in chosen if found[index] > least[index]]
        if not wide:
            return None
        found[max(wide, key=lambda index: found[index])] -= 1
    return found


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _GAP * (len(widths) - 1)


def _natural(names: Sequence[str], cells: list[list[str]]) -> list[int]:
    from rich.cells import cell_len

    return [
        max(cell_len(name), *(cell_len(line[index]) for line in cells))
        for index, name in enumerate(names)
    ]


def _by_row(names: Sequence[str], cells: list[list[str]]) -> str:
    longest = max(len(name) for name in names)
    lines = []
    for number, line in enumerate(cells, 1):
        lines.append(f"-- row {number}")
        lines += [f"{name:<{longest}}  {cell}" for name, cell in zip(names, line, strict=True)]
    return "\n".join(lines) + "\n"


def _style(cell: str, *, is_styled: bool) -> str:
    return _STYLES.get(cell, "") if is_styled else ""


def _is_number(value: Any) -> bool:
    return value is None or (
        isinstance(value, int | float | Decimal | Quantity) and not isinstance(value, bool)
    )


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:z,.4f}".rstrip("0").rstrip(".") if abs(value) < 1e6 else f"{value:,.0f}"
    if isinstance(value, int):
        return f"{value:,}"
    return plain_line(str(value))


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
