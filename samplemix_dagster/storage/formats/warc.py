"""WARC and WET: records of a crawl. Plain text is read; HTML is not extracted here.

``conversion`` records (WET) and ``resource`` and ``response`` records of plain text are texts.
Other ``response`` records are rejected rows, one each. Records that speak of others
(``warcinfo``, ``request``, ``metadata``, ``revisit``) are no rows.
"""

from collections.abc import Iterator

from samplemix_dagster.storage.formats.base import ReadRules, Row, Rows, shown
from samplemix_dagster.storage.formats.streaming.lines import Line, broken_row
from samplemix_dagster.storage.formats.streaming.measured import Measured
from samplemix_dagster.storage.formats.streaming.streams import Break, Stream

_BEGIN = b"WARC/"
_MOST_HEADER_BYTES = 1 << 20
_TEXTS = ("conversion", "resource", "response")
_NO_ROWS = frozenset({"warcinfo", "request", "metadata", "revisit"})
_EXTRACT = "extract the text first, for example into WET or JSON lines"
Headers = dict[str, str]


def is_warc(head: bytes) -> bool:
    """Whether a file begins with a record."""
    return head.lstrip(b"\r\n").startswith(_BEGIN)


def read_warc(stream: Stream, rules: ReadRules) -> Rows:
    """Give a row for each record that holds something."""
    records = _Records(Measured(stream), rules)
    yield from records.rows()
    return records.num_records


class _Records:
    """Walks over the records; each one that begins is counted, but those that are no rows."""

    def __init__(self, source: Measured, rules: ReadRules) -> None:
        self._source = source
        self._limit = rules.limit_bytes
        self.num_records = 0

    def rows(self) -> Iterator[Row]:
        """Yield the rows; what stands between two records, and is none, is one."""
        while (line := self._source.line(_MOST_HEADER_BYTES)) != b"":
            if line is not None and not line.strip():
                continue
            self.num_records += 1
            if line is None or not line.startswith(_BEGIN):
                yield Row(problem="truncated", excerpt="no record begins where one is due")
                self._resume()
                continue
            row = self._record()
            if row is None:
                self.num_records -= 1
            else:
                yield row
        if self._source.broken is not None:
            self.num_records += 1
            yield _broken(self._source.broken)

    def _resume(self) -> None:
        """Go to where the next record begins."""
        if self._source.skip_to(b"\n" + _BEGIN):
            self._source.skip(1)

    def _record(self) -> Row | None:
        headers = self._headers()
        size = headers.get("content-length", "") if headers is not None else ""
        if headers is None or not size.isdecimal() or len(size) > 18:
            self._resume()
            return Row(problem="truncated", excerpt="the header of a record is no header")
        kind = headers.get("warc-type", "").lower()
        is_read = kind in _TEXTS and int(size) <= self._limit
        body = self._source.read(int(size)) if is_read else b""
        found = len(body) if is_read else self._source.skip(int(size))
        if found < int(size):
            broken = self._source.broken or Break("it ends in the middle of a record")
            self._source.broken = None
            return _broken(broken)
        if kind in _NO_ROWS:
            return None
        if kind in _TEXTS and not is_read:
            return Row(problem="too_long", excerpt=headers.get("warc-target-uri", kind))
        return _row(kind, headers, body)

    def _headers(self) -> Headers | None:
        """Return a record's headers, by lower-cased name; None where they do not end."""
        headers: Headers = {}
        size = 0
        while (line := self._source.line(_MOST_HEADER_BYTES)) and size <= _MOST_HEADER_BYTES:
            size += len(line)
            if not line.strip():
                return headers
            name, _, value = line.decode("utf-8", "replace").partition(":")
            headers[name.strip().lower()] = value.strip()
        return None


def _broken(how: Break) -> Row:
    return broken_row(Line(b"", how.problem, how.words))


def _row(kind: str, headers: Headers, body: bytes) -> Row:
    content_type = "text/plain" if kind == "conversion" else headers.get("content-type", "")
    place = headers.get("warc-target-uri", kind)
    if kind == "response":
        head, _, body = body.partition(b"\r\n\r\n")
        answer = _http_headers(head)
        content_type = answer.get("content-type", "")
        codings = {answer.get("content-encoding", ""), answer.get("transfer-encoding", "")}
        if codings - {"", "identity"}:
            return Row(
                problem="no_text_record", excerpt=f"{place}: packed by its server; {_EXTRACT}"
            )
    if not content_type.lower().startswith("text/plain"):
        what = content_type or f"a record of type {kind}"
        return Row(problem="no_text_record", excerpt=f"{what}: {_EXTRACT} ({place})")
    try:
        text = body.decode(_charset(content_type))
    except (UnicodeDecodeError, LookupError):
        return Row(problem="invalid_utf8", excerpt=shown(body))
    named = {"url": "warc-target-uri", "date": "warc-date", "id": "warc-record-id"}
    fields: dict[str, object] = {
        short: headers[name] for short, name in named.items() if name in headers
    }
    fields |= {_as_written(name): value for name, value in headers.items()}
    return Row(value=text, fields=fields)


def _http_headers(head: bytes) -> Headers:
    pairs = (line.partition(":") for line in head.decode("latin-1").split("\r\n")[1:])
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _charset(content_type: str) -> str:
    _, _, charset = content_type.lower().partition("charset=")
    return charset.split(";")[0].strip(" \"'") or "utf-8"


def _as_written(name: str) -> str:
    """Return a header's name as the standard writes it: ``WARC-Target-URI``."""
    words = {"warc": "WARC", "uri": "URI", "id": "ID", "ip": "IP"}
    return "-".join(words.get(part, part.title()) for part in name.split("-"))
