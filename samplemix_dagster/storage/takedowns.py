"""The list of what was taken down: ``takedown.jsonl`` beside the configuration, to be committed.

A line is a JSON object: ``what`` (``id``, ``text``, ``url`` or ``domain``), ``value``, ``reason``
and ``added``, a date. A text stands there as its document id, so that the list never holds what is
to go. Lines are only ever added by :func:`add_takedowns`; who takes one out takes it out by hand.

What matches, for every kind more rather than less: a document, so every occurrence of its text, if
one occurrence is named. URLs are those in a document's own id and in the fields kept beside it.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cached_property, lru_cache
from pathlib import Path

import pyarrow as pa

from samplemix_dagster.core.hashing import doc_id, fingerprint
from samplemix_dagster.errors import InputError
from samplemix_dagster.storage.lake.whole_files import written_aside
from samplemix_dagster.storage.urls import decoded, host_of, plain_url, spellings_of, urls_of

TAKEDOWN_FILE = "takedown.jsonl"
KINDS = ("id", "text", "url", "domain")
_DOC_ID = re.compile(r"[0-9a-f]{32}")
_OWN_ID = re.compile(r"[A-Za-z][A-Za-z0-9_-]*:.+")
_HOST = re.compile(r"[^\s/:@]+\.[^\s/:@.]+")
_LINES = frozenset({".jsonl", ".ndjson"})


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that was taken down."""

    what: str
    """``id`` (of a document, or ``SOURCE:ID`` as its source gives it), ``text``, ``url`` or
    ``domain``."""
    value: str
    reason: str
    added: str
    """The day, as a date; no result depends on it."""

    @property
    def key(self) -> tuple[str, str]:
        """What it names: two entries with one key are one; a text is named by its id."""
        if self.what == "url":
            return ("url", decoded(self.value))
        return ("id" if self.what == "text" else self.what, self.value)


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


# -- entries from what a person hands in ----------------------------------------------------------


def entries_of(what: str, file: Path, reason: str, added: str) -> list[Entry]:
    """Return the entries that a file names.

    Args:
        what: ``id``, ``url`` or ``domain``: one a line, a host beyond ASCII in both its spellings;
            ``text``: the file is one text, or with the
            ending ``.jsonl`` holds objects with ``text``.
        file: The file.
        reason: Why, in a few words.
        added: The day, as a date.

    Raises:
        InputError: It cannot be read, names nothing, or a line is none of its kind.
    """
    try:
        # As a source reads it: line ends as they stand, and no mark before the first.
        content = file.read_bytes().decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read as UTF-8 text: {error}") from error
    if what == "text":
        values = [doc_id(text) for text in _texts(file, content)]
    else:
        lines = enumerate(content.splitlines(), 1)
        named = [_value(what, line.strip(), file, n) for n, line in lines if line.strip()]
        values = [one for value in named for one in _spelt(what, value)]
    if not values:
        raise InputError(f"{file} names nothing: it has no {what}.")
    return [Entry(what, value, reason, added) for value in values]


def _spelt(what: str, value: str) -> tuple[str, ...]:
    """Return what names one thing: a host in letters beyond ASCII is spelt in two ways."""
    if what not in {"url", "domain"}:
        return (value,)
    others = (_normal(what, other) for other in spellings_of(value)[1:])
    return (value, *(other for other, problem in others if not problem and other != value))


def is_one_text(file: Path, entries: Sequence[Entry]) -> bool:
    """Whether entries of a file are readings of one text: with its last line's end, and without."""
    return entries[0].what == "text" and file.suffix.lower() not in _LINES


def _value(what: str, line: str, file: Path, number: int) -> str:
    value, problem = _normal(what, line)
    if problem:
        raise InputError(f"{file}, line {number}: {line!r:.80} is no {what}: {problem}.")
    return value


def _normal(what: str, value: str) -> tuple[str, str]:
    """Return an id, a URL or a domain as it is compared, or what keeps it from being one."""
    if what == "id":
        if _DOC_ID.fullmatch(value.lower()):
            return value.lower(), ""
        problem = "a document's id has 32 hexadecimal digits, one of a source's own is SOURCE:ID"
        return value, "" if _OWN_ID.fullmatch(value) else problem
    if what == "url":
        plain = plain_url(value)
        problem = "" if "." in plain.partition("/")[0] else "a URL names a host, and mostly a path"
        return plain, problem
    host = value.lower().removeprefix("*.").removeprefix("www.").rstrip(".")
    problem = "a domain is a host's name without a path, as example.org"
    return host, "" if _HOST.fullmatch(host) else problem


def _texts(file: Path, content: str) -> Iterator[str]:
    if file.suffix.lower() not in _LINES:
        if content.strip():
            # As it stands, and without the line's end that editors add.
            yield from dict.fromkeys((content, content.removesuffix("\n").removesuffix("\r")))
        return
    # A string of JSON may hold what else ends a line.
    for number, line in enumerate(content.split("\n"), 1):
        if not line.strip():
            continue
        value = _parsed(line, file, number)
        if not isinstance(value.get("text"), str):
            raise InputError(f'{file}, line {number}: no "text" that is a string.')
        yield str(value["text"])


# -- the file -------------------------------------------------------------------------------------


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
    return Takedowns(tuple(_entry(_parsed(line, file, n), file, n) for n, line in numbered))


def _parsed(line: str, file: Path, number: int) -> Mapping[str, object]:
    try:
        value = json.loads(line)
    except ValueError as error:
        raise InputError(f"{file}, line {number}: it is no JSON ({error}).") from None
    if not isinstance(value, dict):
        raise InputError(f"{file}, line {number}: it is no JSON object.")
    return value


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
    wanted, problem = _normal(entry.what, entry.value)
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
