"""What was taken down, as a person hands it in: ids, texts, URLs, domains, each in one form.

A text stands on the list as its document id, so that the list never holds what is to go.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from samplemix_dagster.core.hashing import doc_id
from samplemix_dagster.errors import InputError
from samplemix_dagster.storage.urls import decoded, plain_url, spellings_of

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
    others = (normal_form(what, other) for other in spellings_of(value)[1:])
    return (value, *(other for other, problem in others if not problem and other != value))


def is_one_text(file: Path, entries: Sequence[Entry]) -> bool:
    """Whether entries of a file are readings of one text: with its last line's end, and without."""
    return entries[0].what == "text" and file.suffix.lower() not in _LINES


def _value(what: str, line: str, file: Path, number: int) -> str:
    value, problem = normal_form(what, line)
    if problem:
        raise InputError(f"{file}, line {number}: {line!r:.80} is no {what}: {problem}.")
    return value


def normal_form(what: str, value: str) -> tuple[str, str]:
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
        value = parsed_line(line, file, number)
        if not isinstance(value.get("text"), str):
            raise InputError(f'{file}, line {number}: no "text" that is a string.')
        yield str(value["text"])


def parsed_line(line: str, file: Path, number: int) -> Mapping[str, object]:
    """Return the object of a line of JSON.

    Raises:
        InputError: It is none.
    """
    try:
        value = json.loads(line)
    except ValueError as error:
        raise InputError(f"{file}, line {number}: it is no JSON ({error}).") from None
    if not isinstance(value, dict):
        raise InputError(f"{file}, line {number}: it is no JSON object.")
    return value
