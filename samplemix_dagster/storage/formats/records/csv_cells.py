"""CSV and TSV: records into rows.

No text is cut and none is joined by guess. A record with another number of cells than the header is
a rejected row, but for separators in a last column of text where nothing is quoted: what stands
there is the text. TSV is mostly written without quotes; where its beginning shows so, a quote is a
character like any other, and where a quote is in the wrong place, it is one in that record.
"""

import re
from collections.abc import Iterator, Sequence

from samplemix_dagster.storage.formats.base import (
    EXCERPT_BYTES,
    ReadRules,
    Row,
    Rows,
    paired,
    shown,
)
from samplemix_dagster.storage.formats.records.csv_records import Record, Records, decoded
from samplemix_dagster.storage.formats.streaming.lines import Lines, broken_row
from samplemix_dagster.storage.formats.streaming.streams import Stream

_HEAD_BYTES = 1 << 16
_SHAPE = re.compile(r"[0-9]+|[^\W\d_]+")


def read_csv(stream: Stream, rules: ReadRules) -> Rows:
    """Give the rows of CSV."""
    return (yield from _read(stream, rules, ",", is_literal=False))


def read_tsv(stream: Stream, rules: ReadRules) -> Rows:
    """Give the rows of TSV."""
    is_literal = _has_stray_quotes(stream.head(_HEAD_BYTES)[:_HEAD_BYTES])
    return (yield from _read(stream, rules, "\t", is_literal=is_literal))


def _line_end(head: bytes) -> bytes:
    return b"\r" if b"\r" in head and b"\n" not in head else b"\n"


def _has_stray_quotes(head: bytes) -> bool:
    """Whether quotes stand where none may, and none where only one can: quotes are text."""
    lines = Lines(Stream(iter([head])), len(head), _line_end(head))
    records = Records(lines, "\t", len(head), is_literal=False)
    kinds = [record.kind for record in records if _shows_dialect(record)]
    num_cut = records.num_unclosed if len(head) == _HEAD_BYTES else 0
    return kinds.count("stray") > num_cut and "quoted" not in kinds


def _shows_dialect(record: Record) -> bool:
    if record.kind == "stray":
        return True
    return record.kind == "quoted" and any(
        '"' in cell or "\t" in cell or "\n" in cell for cell in record.cells
    )


def _read(stream: Stream, rules: ReadRules, separator: str, *, is_literal: bool) -> Rows:
    lines = Lines(stream, rules.limit_bytes, _line_end(stream.head(_HEAD_BYTES)))
    records = Records(lines, separator, rules.limit_bytes, is_literal=is_literal)
    header: _Header | None = None
    num_others = num_broken = 0
    for record in records:
        if record.kind == "broken":
            num_broken += record.num_rows
            yield broken_row(record.lines[0])
        elif record.cells == ("",):
            num_others += record.num_rows
        elif header is None:
            header = _Header(record, rules, separator)
            if header.problem:
                yield Row(problem="unreadable", excerpt=header.problem)
                return num_broken + 1
            num_others += len(record.lines)
        else:
            yield from header.rows(record)
    return lines.num_lines + records.num_parted - num_others


class _Header:
    """The names of the columns, and what makes a record a row."""

    def __init__(self, record: Record, rules: ReadRules, separator: str) -> None:
        self.names = record.cells
        self._rules = rules
        self._separator = separator
        self._is_doubled = len(set(self.names)) < len(self.names)
        self._shapes: set[str] = set()
        num_texts = self.names.count(rules.text)
        self.problem = ""
        self._key: int | None = None
        if rules.every_field:
            self._text = len(self.names) - 1
        elif num_texts == 0:
            self.problem = f"no column {rules.text!r}; found: {', '.join(self.names)}"
        elif num_texts > 1:
            self.problem = f"{num_texts} columns are called {rules.text!r}"
        else:
            self._text = self.names.index(rules.text)
            self._key = int(self._text == 0) if len(self.names) > 1 else None

    def rows(self, record: Record) -> Iterator[Row]:
        """Yield the row of a record; of one that may be several, a row for each line."""
        if record.cells == self.names:
            yield self._rejected("repeated_header", record)
        elif record.kind == "stray" and self._separator == ",":
            yield self._rejected("stray_quote", record)
        elif len(record.lines) > 1 and self._may_be_several(record):
            if self._separator == ",":
                for line in record.lines:
                    yield Row(problem="stray_quote", excerpt=shown(line.content))
            else:
                for line in record.lines:
                    cells = tuple(decoded(line).split(self._separator))
                    yield from self.rows(Record("plain", (line,), cells))
        else:
            yield self._row(record)

    def _row(self, record: Record) -> Row:
        cells: Sequence[str] = record.cells
        count = len(self.names)
        is_last = self._text == count - 1
        if len(cells) > count and is_last and record.kind != "quoted":
            cells = decoded(record.lines[0]).split(self._separator, count - 1)
        elif len(cells) > count:
            return self._rejected("too_many_cells", record)
        elif self._text < len(cells) < count:
            return self._rejected("too_few_cells", record)
        if record.kind == "plain" and self._key is not None and len(cells) == count:
            self._shapes.add(_shape(cells[self._key]))
        pairs = zip(self.names, cells, strict=False)
        fields = paired(list(pairs)) if self._is_doubled else dict(pairs)
        row = Row(value=fields.get(self._rules.text), fields=fields)
        return _standing_for(row, record)

    def _rejected(self, problem: str, record: Record) -> Row:
        raw = b"\n".join(line.content for line in record.lines)[:EXCERPT_BYTES]
        return _standing_for(Row(problem=problem, excerpt=shown(raw)), record)

    def _may_be_several(self, record: Record) -> bool:
        """Whether each further line of a record looks like a record, with a number that fits."""
        if self._key is None or len(record.cells) <= self._key:
            return False
        known = {*self._shapes, _shape(record.cells[self._key])}
        for line in record.lines[1:]:
            cells = decoded(line).split(self._separator)
            shape = _shape(cells[self._key]) if len(cells) >= len(self.names) else ""
            if "0" not in shape or shape not in known:
                return False
        return True


def _shape(cell: str) -> str:
    """Return a cell with each number as 0 and each word as a: ``doc-17`` is ``a-0``."""
    return _SHAPE.sub(lambda found: "0" if found[0][0].isdigit() else "a", cell[:80])


def _standing_for(row: Row, record: Record) -> Row:
    if record.num_rows == 1 and len(record.lines) == 1:
        return row
    return row._replace(num_rows=record.num_rows, num_records=len(record.lines))
