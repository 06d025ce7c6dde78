"""The list of what was taken down: ``takedown.jsonl`` beside the configuration, to be committed.

A line is a JSON object: ``what`` (``id``, ``text``, ``url`` or ``domain``), ``value``, ``reason``
and ``added``, a date. A text stands there as its document id, so that the list never holds what is
to go. Lines are only ever added by :func:`add_takedowns`; who takes one out takes it out by hand.

What matches, for every kind more rather than less: a document, so every occurrence of its text, if
one occurrence is named. URLs are those in a document's own id and in the fields kept beside it.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from pathlib import Path

import pyarrow as pa

from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.errors import InputError
from samplemix_dagster.storage.lake.whole_files import written_aside
from samplemix_dagster.storage.takedown_entries import KINDS, Entry, normal_form, parsed_line
from samplemix_dagster.storage.urls import decoded, host_of, plain_url, urls_of

TAKEDOWN_FILE = "takedown.jsonl"
_DOC_ID = re.compile(r"[0-9a-f]{32}")


@dataclass(frozen=True)
class Takedowns:
    """A list of entries, in the file's order."""

    entries: tuple[Entry, ...]

    @cached_property
    def by_key(self) -> Mapping[tuple[str, str], Entry]:
        """The first entry of each key."""
        found: dict[tuple[str, str], Entry] = {}
        for entry in self.entries:
            found.setdefault(entry.key, entry)
        return found

    @property
    def digest(self) -> str:
        """Hash of what is named and why, in any order."""
        return fingerprint(sorted([*key, entry.reason] for key, entry in self.by_key.items()))

    @cached_property
    def asks_beyond_ids(self) -> bool:
        """Whether more than the id of a document's text is to be looked at."""
        return any(what != "id" or ":" in value for what, value in self.by_key)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of documents that :meth:`among` reads."""
        return ("doc_id", "id", "metadata") if self.asks_beyond_ids else ("doc_id",)

    def among(self, documents: pa.Table, source: str) -> Iterator[tuple[str, list[Entry]]]:
        """Yield id and entries of each document that is named, the most particular entry first.

        Args:
            documents: ``doc_id``, and ``id`` and ``metadata`` where more than ids is asked for.
            source: The source that they belong to.
        """
        ids = documents.column("doc_id").to_pylist()
        if not self.asks_beyond_ids:
            for identity in ids:
                if entry := self.by_key.get(("id", identity)):
                    yield identity, [entry]
            return
        own, metadata = documents.column("id"), documents.column("metadata")
        for row in zip(ids, own.to_pylist(), metadata.to_pylist(), strict=True):
            keys = _keys_of(*row, source)
            if entries := [self.by_key[key] for key in keys if key in self.by_key]:
                yield row[0], entries


def _keys_of(
    identity: str, own: str | None, metadata: str | None, source: str
) -> Iterator[tuple[str, str]]:
    """Yield every key by which a document may be named, the most particular first."""
    yield "id", identity
    if own is not None:
        yield "id", f"{source}:{own}"
    for url in urls_of(own, metadata):
        yield "url", decoded(plain_url(url))
        host = host_of(url)
        while "." in host:
            yield "domain", host
            host = host.partition(".")[2]


def read_takedowns(file: Path) -> Takedowns:
    """Return the list of a file; without one, an empty list.

    Raises:
        InputError: It cannot be read, or a line is no entry.
    """
    try:
        seen = file.stat()
    except FileNotFoundError:
        return Takedowns(())
    return _read(file, seen.st_size, seen.st_mtime_ns)


@lru_cache(maxsize=8)
def _read(file: Path, size: int, changed: int) -> Takedowns:
    del size, changed
    try:
        lines = file.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read as UTF-8 text: {error}") from error
    numbered = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
    return Takedowns(tuple(_entry(parsed_line(line, file, n), file, n) for n, line in numbered))


def _entry(value: Mapping[str, object], file: Path, number: int) -> Entry:
    names = ("what", "value", "reason", "added")
    given = [value.get(name) for name in names]
    if more := sorted(set(value) - set(names)):
        raise InputError(
            f"{file}, line {number}: an entry has {', '.join(names)}, and no {more[0]!r:.80}."
        )
    if not all(isinstance(one, str) for one in given):
        raise InputError(f"{file}, line {number}: an entry has {', '.join(names)}, all of it text.")
    what, *rest = map(str, given)
    entry = Entry(what, *rest)
    if problem := _problem_of(entry):
        raise InputError(f"{file}, line {number}: {problem}")
    return entry


def _problem_of(entry: Entry) -> str:
    """Return what keeps an entry from naming what it means, in words; empty where nothing does.

    What is compared stands in the list as :func:`entries_of` writes it: in another form it would
    name nothing, and nobody would notice.
    """
    if entry.what not in KINDS:
        return f"what is one of {', '.join(KINDS)}, not {entry.what!r}."
    try:
        date.fromisoformat(entry.added)
    except ValueError:
        return f"added is a date, as 2026-01-31, not {entry.added!r}."
    if entry.what == "text":
        if not _DOC_ID.fullmatch(entry.value):
            return (
                f"a text stands there as its document id, not as {entry.value!r:.80}; "
                "`samplemix takedown add --texts` writes it."
            )
        return ""
    wanted, problem = normal_form(entry.what, entry.value)
    if problem:
        return f"{entry.value!r:.80} is no {entry.what}: {problem}."
    if entry.what == "url" and plain_url(f"http://www.{entry.value}") == entry.value:
        return ""  # a host whose own name begins with www
    if wanted != entry.value:
        return f"this {entry.what} is written {wanted!r:.200} there, not {entry.value!r:.200}."
    return ""


def add_takedowns(file: Path, entries: Iterable[Entry]) -> list[Entry]:
    """Add entries to a list, which appears whole; return those that it did not name already.

    Raises:
        InputError: The list cannot be read.
        LakeError: It cannot be written.
    """
    known = {entry.key for entry in read_takedowns(file).entries}
    new = []
    for entry in entries:
        if entry.key not in known:
            known.add(entry.key)
            new.append(entry)
    if new:
        before = file.read_text(encoding="utf-8") if file.is_file() else ""
        if before and not before.endswith("\n"):
            before += "\n"
        names = ("what", "value", "reason", "added")
        lines = [json.dumps({name: getattr(entry, name) for name in names}) for entry in new]
        with written_aside(file) as aside:
            aside.write_text(before + "\n".join(lines) + "\n", encoding="utf-8")
    return new
