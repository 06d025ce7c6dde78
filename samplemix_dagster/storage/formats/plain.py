"""Plain text: a file is one document, or its paragraphs are."""

import io

from samplemix_dagster.storage.formats.base import EXCERPT_BYTES, ReadRules, Row, Rows, shown
from samplemix_dagster.storage.formats.streaming.lines import Line, Lines, broken_row
from samplemix_dagster.storage.formats.streaming.streams import Break, Stream


def read_text(stream: Stream, rules: ReadRules) -> Rows:
    """Give a text as one row, or a row for each paragraph."""
    if rules.split == "blank_line":
        return (yield from _paragraphs(stream, rules))
    buffer = io.BytesIO()
    for block in stream:
        if isinstance(block, Break):
            yield broken_row(Line(buffer.getvalue()[:EXCERPT_BYTES], block.problem, block.words))
            return 1
        buffer.write(block)
        if buffer.tell() > rules.limit_bytes:
            yield Row(problem="too_long", excerpt=shown(buffer.getvalue()))
            return 1
    yield decoded_row(buffer.getvalue())
    return 1


def decoded_row(raw: bytes, num_records: int = 1) -> Row:
    """Return the row of a text."""
    try:
        return Row(value=raw.decode("utf-8"), num_records=num_records)
    except UnicodeDecodeError:
        excerpt = raw[:EXCERPT_BYTES].decode("utf-8", "backslashreplace")
        return Row(problem="invalid_utf8", excerpt=excerpt, num_records=num_records)


def _paragraphs(stream: Stream, rules: ReadRules) -> Rows:
    lines = Lines(stream, rules.limit_bytes)
    paragraph = _Paragraph(rules.limit_bytes)
    num_blank = 0
    for line in lines:
        if line.problem:
            yield paragraph.broken(line)
            paragraph = _Paragraph(rules.limit_bytes)
        elif line.content.strip():
            paragraph.add(line)
        else:
            num_blank += line.num_lines
            if paragraph.num_lines:
                yield paragraph.row()
                paragraph = _Paragraph(rules.limit_bytes)
    if paragraph.num_lines:
        yield paragraph.row()
    return lines.num_lines - num_blank


class _Paragraph:
    """Lines that belong together, up to a limit."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._runs: list[Line] = []
        self._size = 0
        self.num_lines = 0

    def add(self, line: Line) -> None:
        self.num_lines += line.num_lines
        self._size += (len(line.content) + 1) * line.num_lines
        if self._size <= self._limit:
            self._runs.append(line)

    def row(self) -> Row:
        text = self._text()
        if self._size > self._limit:
            return Row(problem="too_long", excerpt=shown(text), num_records=self.num_lines)
        return decoded_row(text, self.num_lines)

    def broken(self, line: Line) -> Row:
        """Return the row of a paragraph that a line with a problem belongs to."""
        head = b"\n".join([self._text(), line.content]) if self._runs else line.content
        found = broken_row(Line(head[:EXCERPT_BYTES], line.problem, line.words))
        return found._replace(num_rows=1, num_records=self.num_lines + line.num_lines)

    def _text(self) -> bytes:
        pieces = (
            piece
            for line in self._runs
            for piece in [line.content.removesuffix(b"\r")] * line.num_lines
        )
        return b"\n".join(pieces)
