"""JSON values that stand one after the other, or in an array: cut, counted, not interpreted.

Brackets outside strings say where a value ends. A line cannot end inside a string of JSON, so a
quote that is missing does no harm beyond its line. What is left open at the end comes back as
lines, so that no row is swallowed.
"""

import re
from collections.abc import Callable, Iterator

from samplemix_dagster.storage.formats.base import EXCERPT_BYTES, Row, Rows
from samplemix_dagster.storage.formats.streaming.lines import Line, broken_row
from samplemix_dagster.storage.formats.streaming.streams import Break, Stream

_OUTSIDE = re.compile(rb'["{}\[\],]')
_INSIDE = re.compile(rb'["\n]|\\.', re.DOTALL)
_BETWEEN = b" \t\r\n,"
_MARK = b"\xef\xbb\xbf"


def first_value(head: bytes) -> bytes | None:
    """Return the first object that is whole in some bytes, as it stands there."""
    for start, end, _ in _Cutter().cut(head):
        if head[start:end].strip(_BETWEEN):
            return head[start:end]
    return None


class _Cutter:
    """Finds where values end. It remembers where it is from one block to the next."""

    def __init__(self) -> None:
        self._depth = 0
        self._base = 0
        self._is_in_string = False
        self._is_escaped = False

    @property
    def open_words(self) -> str:
        """What is open: a value, the array, or nothing."""
        if self._depth > self._base:
            return "it ends in the middle of a value"
        return "it ends in the middle of an array" if self._base else ""

    def cut(self, block: bytes) -> Iterator[tuple[int, int, int]]:
        """Yield (start, end, start of what follows) of what ends in this block.

        A start of 0 is that of the block; what is meant may have begun before it.
        """
        start = at = 0
        if self._is_escaped and block:
            at, self._is_escaped = 1, False
        while found := (_INSIDE if self._is_in_string else _OUTSIDE).search(block, at):
            at, token = found.end(), found[0]
            if self._is_in_string:
                self._is_in_string = token.startswith(b"\\")
            elif token == b'"':
                self._is_in_string = True
            else:
                end, following = self._ends(token, found)
                if end is not None:
                    yield start, end, following
                    start = following
        if self._is_in_string:
            tail = block[at:]
            self._is_escaped = (len(tail) - len(tail.rstrip(b"\\"))) % 2 == 1

    def _ends(self, token: bytes, found: re.Match[bytes]) -> tuple[int | None, int]:
        """Return (where something ends at this token, or None; where the next begins)."""
        before, after = found.span()
        if token in b"{[":
            is_array = token == b"[" and not self._depth
            self._depth += 1
            self._base += is_array
            if is_array:
                return before, after
            # What stands before an object is no part of it.
            return (
                (before, before) if self._depth == self._base + 1 and token == b"{" else (None, 0)
            )
        if token == b",":
            return (before, after) if self._depth == self._base else (None, 0)
        if self._depth > self._base:
            self._depth -= 1
            return (after, after) if self._depth == self._base else (None, 0)
        if token == b"]" and self._base:
            self._depth = self._base = 0
            return before, after
        return None, 0


class Values:
    """The values of a stream as rows; what is left open is cut into lines where these are rows."""

    def __init__(self, stream: Stream, limit: int, row_of: Callable[[bytes, int], Row]) -> None:
        self._stream = stream
        self._limit = limit
        self._row_of = row_of
        self._num_records = 0

    def rows(self) -> Rows:
        """Give every value, and whatever stands between two, as a row."""
        cutter = _Cutter()
        held: list[bytes] = []
        size, is_skipped = 0, False
        for block in self._stream:
            if isinstance(block, Break):
                yield self._one(Line(b"".join(held)[:EXCERPT_BYTES], block.problem, block.words))
                return self._num_records
            last = 0
            for start, end, following in cutter.cut(block):
                if not is_skipped:
                    yield from self._cut(b"".join([*held, block[start:end]]))
                held, size, is_skipped, last = [], 0, False, following
            if not is_skipped:
                held.append(block[last:])
                size += len(held[-1])
            if size > self._limit:
                yield self._one(Line(b"".join(held)[:EXCERPT_BYTES], "too_long"))
                held, size, is_skipped = [], 0, True
        rest = b"".join(held).strip(_BETWEEN)
        if cutter.open_words:
            by_line = self._by_line(rest)
            yield from by_line
            if not by_line or not rest:
                yield self._one(Line(rest[:EXCERPT_BYTES], "truncated", cutter.open_words))
        else:
            yield from self._cut(rest)
        return self._num_records

    def _one(self, line: Line) -> Row:
        self._num_records += 1
        return broken_row(line)

    def _cut(self, raw: bytes) -> Iterator[Row]:
        """Yield the rows of what stands between two ends of values."""
        raw = raw.strip(_BETWEEN).removeprefix(_MARK)
        if not raw.strip():
            return
        row = self._row_of(raw, 1)
        by_line = self._by_line(raw) if row.problem == "invalid_json" else []
        if not by_line:
            self._num_records += 1
        yield from by_line or [row]

    def _by_line(self, raw: bytes) -> list[Row]:
        """Return the rows of lines, where one of several lines is a value; else nothing."""
        lines = [line for piece in raw.split(b"\n") if (line := piece.strip(_BETWEEN))]
        if len(lines) < 2:
            return []
        rows = [self._row_of(line, 1) for line in lines]
        if all(row.problem == "invalid_json" for row in rows):
            return []
        self._num_records += len(lines)
        return rows
