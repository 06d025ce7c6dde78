"""Lines of a stream of bytes, each counted, none longer in memory than a limit."""

from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from samplemix_dagster.storage.formats.base import EXCERPT_BYTES, Row, shown
from samplemix_dagster.storage.formats.streaming.streams import Break, Stream


def broken_row(line: "Line") -> Row:
    """Return the rejected row of a line with a problem."""
    head = shown(line.content)
    excerpt = f"{line.words}: {head}" if line.words and head else line.words or head
    return Row(problem=line.problem, excerpt=excerpt, num_rows=line.num_lines)


class Line(NamedTuple):
    """A line as it stands, without its end; or what is wrong with it."""

    content: bytes
    """The line; of a line with a problem its first bytes."""
    problem: str = ""
    """``too_long``, or how the stream breaks off."""
    words: str = ""
    """Why the stream broke off."""
    num_lines: int = 1
    """So many lines with this content stand here one after the other."""


class Lines:
    """The lines of a stream.

    ``num_lines`` is counted over the bytes as they pass, apart from how they are cut: readers
    answer for that many. A stream that breaks off has one line more, the broken one.
    """

    def __init__(self, stream: Stream, limit: int, end: bytes = b"\n") -> None:
        self._stream = stream
        self._limit = limit
        self.end = end
        self.num_lines = 0

    def __iter__(self) -> Iterator[Line]:
        held: list[bytes] = []
        size = 0
        is_skipped = is_open = False
        for block in self._stream:
            if isinstance(block, Break):
                self.num_lines += 1 + (is_open and is_skipped)
                yield Line(b"".join(held)[:EXCERPT_BYTES], block.problem, block.words)
                return
            self.num_lines += block.count(self.end)
            is_open = not block.endswith(self.end)
            first, *middle = block.split(self.end)
            rest = middle.pop() if middle else None
            if not is_skipped:
                held.append(first)
                size += len(first)
            if rest is not None:
                if not is_skipped:
                    yield self._line(b"".join(held) if len(held) > 1 else first)
                yield from self._runs(middle)
                held, size, is_skipped = [rest], len(rest), False
            if size > self._limit and not is_skipped:
                yield Line(b"".join(held)[:EXCERPT_BYTES], "too_long")
                held, size, is_skipped = [], 0, True
        if is_open:
            self.num_lines += 1
            if not is_skipped:
                yield Line(b"".join(held))

    def _runs(self, pieces: list[bytes]) -> Iterator[Line]:
        for piece, run in groupby(pieces):
            num_lines = sum(1 for _ in run)
            if len(piece) > self._limit:
                yield Line(piece[:EXCERPT_BYTES], "too_long", num_lines=num_lines)
            else:
                yield Line(piece, num_lines=num_lines)

    def _line(self, whole: bytes) -> Line:
        if len(whole) > self._limit:
            return Line(whole[:EXCERPT_BYTES], "too_long")
        return Line(whole)
