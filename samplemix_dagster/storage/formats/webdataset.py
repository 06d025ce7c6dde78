"""Tar: members of one name up to its first dot are one row, as WebDataset has it.

A ``.json`` member gives fields, a ``.txt`` member the text. Members of other kinds belong to the
row of their name and are not read; a name without any text is one rejected row. Folders are no
rows.
"""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from samplemix_dagster.storage.formats.base import ReadRules, Row, Rows, paired, text_of
from samplemix_dagster.storage.formats.plain import decoded_row
from samplemix_dagster.storage.formats.records.json_lines import json_row_of
from samplemix_dagster.storage.formats.streaming.lines import Line, broken_row
from samplemix_dagster.storage.formats.streaming.measured import Measured
from samplemix_dagster.storage.formats.streaming.streams import Break, Stream

_BLOCK = 512
_TEXTS = frozenset({"txt", "text", "md", "rst"})
_MOST_NAME_BYTES = 1 << 16
_MOST_SHOWN = 8


def read_tar(stream: Stream, rules: ReadRules) -> Rows:
    """Give a row for each run of members with one name."""
    archive = _Archive(Measured(stream), rules.limit_bytes)
    sample: _Sample | None = None
    for member in archive.members():
        if sample is not None and sample.key != member.key:
            yield sample.row(rules)
            sample = None
        if member.problem is not None:
            yield member.problem
            continue
        if sample is None:
            sample = _Sample(member.key)
        sample.add(member)
    if sample is not None:
        yield sample.row(rules)
    return archive.num_members


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    """A member of an archive: what it is called, and its bytes where they may be text."""

    key: str
    ending: str = ""
    content: bytes | None = None
    is_too_long: bool = False
    problem: Row | None = None


@dataclass(slots=True)
class _Sample:
    """Members with one name."""

    key: str
    num_members: int = 0
    is_too_long: bool = False
    endings: list[str] = field(default_factory=list)
    texts: list[tuple[str, bytes]] = field(default_factory=list)

    def add(self, member: _Member) -> None:
        self.num_members += 1
        self.is_too_long |= member.is_too_long
        if len(self.endings) < _MOST_SHOWN:
            self.endings.append(member.ending)
        if member.content is not None and len(self.texts) < _MOST_SHOWN:
            self.texts.append((member.ending, member.content))

    def row(self, rules: ReadRules) -> Row:
        """Return the row that these members are."""
        return self._row(rules)._replace(num_records=self.num_members)

    def _row(self, rules: ReadRules) -> Row:
        if self.is_too_long:
            return Row(problem="too_long", excerpt=self.key)
        if not self.texts:
            kinds = ", ".join(ending or "no ending" for ending in self.endings)
            return Row(problem="no_text_record", excerpt=f"{self.key}: {kinds}")
        pairs: list[tuple[str, Any]] = [("__key__", self.key)]
        for ending, content in self.texts:
            if ending == "json":
                found = json_row_of(rules)(content, 1)
                if found.fields is None and found.problem in {"invalid_json", "invalid_utf8"}:
                    return found
                pairs += (found.fields or {}).items()
            else:
                found = decoded_row(content)
                if found.problem is not None:
                    return found
                pairs += [(ending, found.value)]
                pairs += [("text", found.value)] if ending != "text" else []
        return text_of(paired(pairs), rules)


def is_tar(head: bytes) -> bool:
    """Whether a file begins with a header of tar."""
    if not head.strip(b"\0"):
        return True  # an archive without a member
    try:
        tarfile.TarInfo.frombuf(head[:_BLOCK], "utf-8", "surrogateescape")
    except (tarfile.HeaderError, ValueError):
        return False
    return True


class _Archive:
    """Walks over the members of a tar; each header that begins is counted."""

    def __init__(self, source: Measured, limit: int) -> None:
        self._source = source
        self._limit = limit
        self._long_name = ""
        self._size: int | None = None
        self.num_members = 0

    def members(self) -> Iterator[_Member]:
        """Yield each member that is no folder; what is no member, but stands there, is one too."""
        is_lost = False
        while len(raw := self._source.read(_BLOCK)) == _BLOCK:
            if not raw.strip(b"\0"):
                continue  # the end is two blocks of zeros, and archives are joined
            try:
                header = tarfile.TarInfo.frombuf(raw, "utf-8", "surrogateescape")
            except (tarfile.HeaderError, ValueError):
                if not is_lost:
                    yield self._broken(Break("no header stands where one is due"))
                is_lost = True
                continue
            is_lost = False
            found = self._member(header)
            if found is not None:
                self.num_members += 1
                yield found
        if self._source.broken is None and raw:
            self._source.broken = Break("it ends in the middle of a header")
        if self._source.broken is not None:
            yield self._broken(self._source.broken)

    def _broken(self, how: Break) -> _Member:
        self.num_members += 1
        return _Member(key="", problem=broken_row(Line(b"", how.problem, how.words)))

    def _member(self, header: tarfile.TarInfo) -> _Member | None:
        """Read what belongs to a header; None where that is no member by itself."""
        size = max(0, header.size)
        if header.type in {tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK}:
            content = self._content(size, _MOST_NAME_BYTES)
            if header.type == tarfile.GNUTYPE_LONGNAME:
                self._long_name = (content or b"").rstrip(b"\0").decode("utf-8", "replace")
            return None
        if header.type in {tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE}:
            self._take_pax(self._content(size, 1 << 20) or b"")
            return None
        size = size if self._size is None else self._size
        name = self._long_name or header.name.encode("utf-8", "replace").decode("utf-8", "replace")
        self._long_name, self._size = "", None
        if header.isdir():
            return None
        folder, _, base = name.rpartition("/")
        stem, _, ending = base.partition(".")
        key = f"{folder}/{stem}" if folder else stem
        if not header.isreg():
            return _Member(key=key, ending="a link or a device")
        return self._regular(key, ending.lower(), size)

    def _regular(self, key: str, ending: str, size: int) -> _Member:
        if ending not in _TEXTS and ending != "json":
            self._content(size, 0)
            return _Member(key=key, ending=ending)
        content = self._content(size, self._limit)
        return _Member(key=key, ending=ending, content=content, is_too_long=content is None)

    def _content(self, size: int, limit: int) -> bytes | None:
        """Return what follows a header; None where it is longer than a limit, and is skipped."""
        padded = -(-size // _BLOCK) * _BLOCK
        if size > limit:
            self._note_end(self._source.skip(padded), padded)
            return None
        content = self._source.read(padded)
        self._note_end(len(content), padded)
        return content[:size]

    def _note_end(self, found: int, wanted: int) -> None:
        if found < wanted and self._source.broken is None:
            self._source.broken = Break("it ends in the middle of a member")

    def _take_pax(self, content: bytes) -> None:
        """Take name and size out of an extended header: ``length key=value`` lines."""
        at = 0
        while at < len(content):
            head, _, _ = content[at : at + 20].partition(b" ")
            if not head.isdigit() or int(head) <= len(head):
                return
            line = content[at + len(head) + 1 : at + int(head)].rstrip(b"\n")
            key, _, value = line.partition(b"=")
            if key == b"path":
                self._long_name = value.decode("utf-8", "replace")
            elif key == b"size" and value.isdigit():
                self._size = int(value)
            at += int(head)
