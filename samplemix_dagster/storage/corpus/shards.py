"""Read shards: files in, documents and rejected rows out, one at a time.

Memory does not grow with a shard. Every row of a shard becomes a :class:`Document` or a
:class:`Rejection` with a reason from the closed list :data:`REASONS`: never silence, never an
exception for what a file contains. What is not here: which shards exist (``manifest.py``) and what
is computed from a document (``engine``).

Files are opened by what their first bytes say, not by their ending: a ``.jsonl`` that is really
gzip is read as gzip, and a ``.parquet`` that is not Parquet is one rejected row.
"""

import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from samplemix_dagster.errors import CheckFailedError
from samplemix_dagster.storage.corpus.rejections import MOST_FIRST
from samplemix_dagster.storage.corpus.rows import Openable, ReadRules, Row, field_of, rows_of

REASONS: dict[str, str] = {
    "empty_file": "the shard has no row",
    "unreadable": "the shard cannot be opened as what it claims to be",
    "truncated": "the shard ends in the middle; what came before is kept",
    "directory": "a folder stands where a shard was expected",
    "invalid_json": "the line is not one JSON object",
    "stray_quote": "a quote of CSV is not closed, or closed in the middle of a cell",
    "too_many_cells": "more cells than columns, and which are the text is not certain",
    "too_few_cells": "fewer cells than columns, behind the text",
    "repeated_header": "the names of the columns once more: files were joined",
    "duplicate_field": "the text field stands there more than once, with different values",
    "no_text_record": "a member of an archive or a record of a crawl without plain text",
    "invalid_utf8": "the bytes are not UTF-8, or a lone surrogate stands in the text",
    "missing_text": "the text field is absent or null",
    "not_text": "the text field is not a string",
    "empty": "nothing but white space",
    "too_short": "fewer characters than corpus.min_characters",
    "too_long": "more characters than corpus.max_characters",
    "binary_like": "a NUL character, an endless word, or hardly a space: encoded data, not prose",
}
"""Every reason for which a row is rejected, and what it means."""

_EXCERPT_CHARACTERS = 200
_SHORT_CHARACTERS = 40
_SURROGATE = re.compile("[\ud800-\udfff]")
_SPACELESS = (
    ("\u0e00", "\u0eff"),  # Thai, Lao
    ("\u1000", "\u109f"),  # Myanmar
    ("\u1780", "\u17ff"),  # Khmer
    ("\u2e80", "\u9fff"),  # CJK, kana
    ("\uf900", "\ufaff"),
    ("\U00020000", "\U0003ffff"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One accepted text and where it stands: ``row`` counts from 0 within its shard."""

    row: int
    text: str
    id: str | None
    metadata: dict[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """One row that is no document: why, and at most 200 characters of what was found."""

    row: int
    reason: str
    excerpt: str
    num_rows: int = 1
    """So many rows from this one on are rejected for this reason."""


def read_shard(path: Openable, rules: ReadRules) -> Generator[Document | Rejection, None, int]:
    """Yield every row of a shard, in order, as a document or a rejection; return their number.

    Where the rules name rows that are wanted, others are counted and need not be yielded.
    Equal rejected rows that follow each other are one rejection, once there are many.

    Raises:
        InputError: The file is gone or may not be read (what it contains never raises).
        CheckFailedError: Documents and rejected rows are not the rows that the file has.
    """
    number = 0
    seen: Counter[str] = Counter()
    rows = rows_of(path, rules)
    while True:
        try:
            row = next(rows)
        except StopIteration as end:
            if end.value != number:
                raise CheckFailedError(
                    f"{path}: {end.value} rows, but {number} documents and rejected rows"
                ) from None
            break
        if row.is_passed:
            number += row.num_rows
            continue
        problem = row.problem or text_problem(row.value, rules)
        if problem is None:
            for place in range(number, number + row.num_rows):
                yield _document(place, row, rules)
        else:
            yield from _rejections(number, problem, row, seen)
        number += row.num_rows
    if number == 0:
        yield Rejection(row=0, reason="empty_file", excerpt="")
    return max(1, number)


def _document(number: int, row: Row, rules: ReadRules) -> Document:
    fields = row.fields or {}
    given = dict(rules.given)
    return Document(
        row=number,
        text=row.value,
        id=_as_id(field_of(fields, rules.id)),
        metadata={
            name: value
            for name in rules.metadata
            if (value := _own_or_given(fields, name, given)) is not None and not _is_nan(value)
        },
    )


def _own_or_given(fields: dict[str, object], name: str, given: dict[str, str]) -> Any:
    """Return a row's own field, or what the shard's path gives to it."""
    value = field_of(fields, name)
    return given.get(name) if value is None else value


def _rejections(number: int, reason: str, row: Row, seen: Counter[str]) -> Iterator[Rejection]:
    """Yield equal rows one by one, until there are many of their reason; then as one."""
    excerpt = _excerpt(row.value if row.problem is None else row.excerpt)
    rest = row.num_rows
    while rest and not row.is_one and seen[reason] < MOST_FIRST:
        yield Rejection(row=number, reason=reason, excerpt=excerpt)
        number, rest = number + 1, rest - 1
        seen[reason] += 1
    if rest:
        yield Rejection(row=number, reason=reason, excerpt=excerpt, num_rows=rest)


def metadata_json(metadata: dict[str, object]) -> str:
    """Return metadata as JSON; a lone surrogate in it becomes its escape, as text."""
    text = _as_json(metadata, is_sorted=True)
    return _SURROGATE.sub(lambda found: f"\\\\u{ord(found[0]):04x}", text)


def storable(text: str) -> str:
    """Return text that UTF-8 can hold: a lone surrogate becomes its escape, as text."""
    return _SURROGATE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _as_id(value: object) -> str | None:
    if value is None or _is_nan(value):
        return None
    if not isinstance(value, str):
        value = _as_json(value)
    return storable(value)


def _is_nan(value: object) -> bool:
    """A number that JSON has no word for; tables write NaN where nothing is known."""
    return isinstance(value, float) and not math.isfinite(value)


def text_problem(value: object, rules: ReadRules) -> str | None:
    """Return why a value is no document, a key of :data:`REASONS`, or None."""
    if value is None:
        return "missing_text"
    if not isinstance(value, str):
        return "not_text"
    length = len(value.strip())
    if length < rules.min_characters:
        return "too_short" if length else "empty"
    if len(value) > rules.max_characters:
        return "too_long"
    if not _is_utf8(value):
        return "invalid_utf8"
    is_binary = "\x00" in value or (rules.max_word_characters and _binary_like(value, rules))
    return "binary_like" if is_binary else None


def _is_utf8(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _binary_like(text: str, rules: ReadRules) -> bool:
    """An endless word, or under 6 % white space, in a script that has spaces."""
    words = text.split()
    longest = max(words, key=len)
    if len(longest) > rules.max_word_characters and not _spaceless(longest):
        return True
    if len(text) < 200:
        return False
    num_spaces = len(text) - sum(map(len, words))
    return num_spaces < 0.06 * len(text) and not _spaceless(text[:2000])


def _spaceless(text: str) -> bool:
    """A fifth of the characters belong to scripts that are written without spaces."""
    count = sum(any(low <= c <= high for low, high in _SPACELESS) for c in text if c > "\u0dff")
    return 5 * count >= len(text)


def _excerpt(value: object) -> str:
    text = value if isinstance(value, str) else _as_json(value)
    if len(text) <= _SHORT_CHARACTERS:
        return _short_excerpt(text)
    return _printable(text[:_EXCERPT_CHARACTERS])


@lru_cache(maxsize=1024)
def _short_excerpt(text: str) -> str:
    return _printable(text)


def _printable(text: str) -> str:
    text = text.encode("utf-8", "backslashreplace").decode("utf-8")
    kept = "".join(c if unicodedata.category(c) != "Cc" else " " for c in text)
    return kept[:_EXCERPT_CHARACTERS]


def _as_json(value: object, *, is_sorted: bool = False) -> str:
    """Return a value as JSON; one that is nested too deep as a word that says so."""
    try:
        return json.dumps(value, ensure_ascii=False, sort_keys=is_sorted, default=str)
    except RecursionError:
        return '"nested too deep"'
