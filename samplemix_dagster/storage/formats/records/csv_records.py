"""Lines of CSV or TSV into records: which cells a record has, and which lines it goes over.

By RFC 4180 where that holds: a cell that begins with a quote ends with one, a doubled quote inside
it is a quote, and separators and line ends inside it are text. Where it does not hold, the first
line is a record of its own, and the next line is read as if nothing had been.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from samplemix_dagster.storage.formats.streaming.lines import Line, Lines

_HELD_BYTES = 1 << 26
_LINE_BYTES = 64
"""What a held line costs beside its content."""

_MARK = b"\xef\xbb\xbf"

Kind = Literal["plain", "quoted", "stray", "broken"]


@dataclass(frozen=True, slots=True)
class Record:
    """A record: its lines as they stand, and its cells."""

    kind: Kind
    """``plain``: no cell is quoted. ``quoted``: some are. ``stray``: a quote is in the wrong place,
    and the cells are what stands between separators. ``broken``: a line with a problem."""
    lines: tuple[Line, ...]
    cells: tuple[str, ...] = ()

    @property
    def num_rows(self) -> int:
        """How many records of this content stand here one after the other."""
        return self.lines[0].num_lines if len(self.lines) == 1 else 1


class Records:
    """The records of lines, in order. Each line is in exactly one of them."""

    def __init__(self, lines: Lines, separator: str, limit: int, *, is_literal: bool) -> None:
        """Take lines; where ``is_literal``, a quote is a character like any other."""
        self._lines = iter(lines)
        self._end = lines.end.decode()
        self._ahead: deque[Line] = deque()
        self._separator = separator
        self._limit = max(limit, _HELD_BYTES)
        self._is_literal = is_literal
        self.num_unclosed = 0
        """Quotes that nothing closed before the end."""
        self.num_parted = 0
        """Lines beyond those that were counted: a line held several, ended by carriage returns."""

    def __iter__(self) -> Iterator[Record]:
        while (line := self._next()) is not None:
            if line.problem:
                yield Record("broken", (line,))
            elif self._is_parted(line.content):
                self._part(line)
            else:
                yield self._record(line._replace(content=line.content.removeprefix(_MARK)))

    @staticmethod
    def _is_parted(content: bytes) -> bool:
        """Whether a line that begins a record holds other line ends, and no quote around them."""
        return b'"' not in content and (b"\r" in content[:-1] or b"\n" in content)

    def _part(self, line: Line) -> None:
        pieces = line.content.removesuffix(b"\r").replace(b"\n", b"\r").split(b"\r")
        self.num_parted += (len(pieces) - 1) * line.num_lines
        parts = [Line(piece) for piece in pieces] * line.num_lines
        self._ahead.extendleft(reversed(parts))

    def _next(self) -> Line | None:
        return self._ahead.popleft() if self._ahead else next(self._lines, None)

    def _next_single(self) -> Line | None:
        """Return one line, also of a run of equal ones."""
        line = self._next()
        if line is None or line.num_lines == 1:
            return line
        self._ahead.appendleft(line._replace(num_lines=line.num_lines - 1))
        return line._replace(num_lines=1)

    def _record(self, line: Line) -> Record:
        text = decoded(line)
        literal = tuple(text.split(self._separator))
        if self._is_literal or '"' not in text:
            return Record("plain", (line,), literal)
        if line.num_lines > 1:
            self._ahead.appendleft(line._replace(num_lines=line.num_lines - 1))
            line = line._replace(num_lines=1)
        quoted = _Quoted(self._separator, self._end)
        lines, size = [line], len(line.content)
        quoted.take(_raw(line))
        while quoted.is_open and size <= self._limit:
            following = self._next_single()
            if following is None:
                self.num_unclosed += 1
                break
            lines.append(following)
            if following.problem:
                break
            size += len(following.content) + _LINE_BYTES
            quoted.take_more(following)
        if quoted.is_whole and not lines[-1].problem:
            kind: Kind = "quoted" if quoted.is_quoted else "plain"
            return Record(kind, tuple(lines), tuple(quoted.cells))
        self._ahead.extendleft(reversed(lines[1:]))
        return Record("stray", (line,), literal)


def decoded(line: Line) -> str:
    """Return a line as text, without its end; what is not UTF-8 stays marked as such."""
    return _raw(line).removesuffix("\r")


def _raw(line: Line) -> str:
    return line.content.decode("utf-8", "surrogateescape")


class _Quoted:
    """Cells by RFC 4180, of a line and as many more as a quoted cell goes over."""

    def __init__(self, separator: str, end: str) -> None:
        self._separator = separator
        self._end = end
        self._parts: list[str] = []
        self._is_stray = False
        self.is_open = False
        """Whether a cell has begun that no quote has closed."""
        self.cells: list[str] = []
        self.is_quoted = False

    @property
    def is_whole(self) -> bool:
        """Whether every quote has its partner, in its place."""
        return not self.is_open and not self._is_stray

    def take(self, text: str, at: int = 0) -> None:
        """Read cells to the end of a line, or to a cell that goes on behind it."""
        while True:
            if text.startswith('"', at):
                self.is_quoted = self.is_open = True
                at = self._close(text, at + 1)
                if at < 0:
                    return
            else:
                end = text.find(self._separator, at)
                self.cells.append(text[at:].removesuffix("\r") if end < 0 else text[at:end])
                at = len(text) if end < 0 else end
            if at >= len(text):
                return
            at += 1

    def take_more(self, line: Line) -> None:
        """Read a line that an open cell goes on with."""
        self._parts.append(self._end)
        text = _raw(line)
        at = self._close(text, 0)
        if 0 <= at < len(text):
            self.take(text, at + 1)

    def _close(self, text: str, at: int) -> int:
        """Read an open cell to its closing quote; return where that cell ends, or -1."""
        while (quote := text.find('"', at)) >= 0:
            if text.startswith('"', quote + 1):
                self._parts.append(text[at : quote + 1])
                at = quote + 2
                continue
            is_last = text[quote + 1 : quote + 3] in {"", "\r"}
            self._is_stray = not is_last and not text.startswith(self._separator, quote + 1)
            self.is_open = False
            self.cells.append("".join([*self._parts, text[at:quote]]))
            self._parts = []
            if self._is_stray:
                return -1
            return len(text) if is_last else quote + 1
        self._parts.append(text[at:])
        return -1
