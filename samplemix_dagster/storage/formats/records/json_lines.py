"""JSON: an object a line; or, where the file begins so, an array of objects, or objects over lines.

What a file is, its first 64 kB say. A line that is no object is one rejected row, and the next line
is read as if nothing had been.
"""

import json
import re
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from samplemix_dagster.storage.formats.base import (
    EXCERPT_BYTES,
    ReadRules,
    Row,
    Rows,
    field_of,
    paired,
    shown,
    text_of,
)
from samplemix_dagster.storage.formats.records.json_values import Values, first_value
from samplemix_dagster.storage.formats.streaming.lines import Lines, broken_row
from samplemix_dagster.storage.formats.streaming.streams import Stream

HEAD_BYTES = 1 << 16
Shape = Literal["lines", "cr_lines", "values"]

_SHORT_BYTES = 32
_MOST_KNOWN = 256
_MARK = b"\xef\xbb\xbf"
_ARRAY = re.compile(rb"\s*\[\s*\{")
_OBJECT_OF_A_LIST = re.compile(rb'\s*\{\s*"(?:[^"\\]|\\.)*"\s*:\s*\[\s*\{')


def shape_of(head: bytes) -> Shape:
    """Return how a file of JSON is cut, by its first bytes.

    ``values`` are an array of objects, and objects of which already the first goes over lines.
    """
    if _ARRAY.match(head):
        return "values"
    start = head.lstrip()
    if b"\n" not in start:
        return "cr_lines" if b"\r" in start.rstrip() else "lines"
    line = start[: start.index(b"\n")]
    if not start.startswith(b"{") or _is_json(line):
        return "lines"
    value = first_value(start)
    if value is None:
        return "values" if _OBJECT_OF_A_LIST.match(start) else "lines"
    return "values" if b"\n" in value and _is_json(value) else "lines"


def _is_json(raw: bytes) -> bool:
    try:
        json.loads(raw)
    except (ValueError, RecursionError):
        return False
    return True


def read_json(stream: Stream, rules: ReadRules) -> Rows:
    """Give the rows of a file of JSON, in whichever shape it is."""
    shape = shape_of(stream.head(HEAD_BYTES))
    if shape == "values":
        return (yield from Values(stream, rules.limit_bytes, json_row_of(rules)).rows())
    return (yield from _json_lines(stream, rules, b"\n" if shape == "lines" else b"\r"))


def _json_lines(stream: Stream, rules: ReadRules, end: bytes) -> Rows:
    lines = Lines(stream, rules.limit_bytes, end)
    row_of = json_row_of(rules)
    known: dict[bytes, Row] = {}
    number = num_blank = 0
    for line in lines:
        content = line.content
        if line.problem:
            number += line.num_lines
            yield broken_row(line)
            continue
        if content.startswith(_MARK) and not rules.as_before:
            content = content.removeprefix(_MARK)  # files that were joined: each had its mark
        if not content or content.isspace():
            num_blank += line.num_lines
            continue
        first, number = number, number + line.num_lines
        if rules.wanted is not None and not any(n in rules.wanted for n in range(first, number)):
            yield Row(num_rows=line.num_lines, is_passed=True)
        elif len(content) <= _SHORT_BYTES:
            row = known.get(content) or _noted(known, content, row_of(content, 1))
            yield row if line.num_lines == 1 else row._replace(num_rows=line.num_lines)
        else:
            yield row_of(content, line.num_lines)
    return lines.num_lines - num_blank


def _noted(known: dict[bytes, Row], content: bytes, row: Row) -> Row:
    """Keep the row of a short line: packed files can repeat a few of them by the million."""
    if len(known) >= _MOST_KNOWN:
        known.clear()
    known[content] = row
    return row


RowOf = Callable[[bytes, int], Row]


def json_row_of(rules: ReadRules) -> RowOf:
    """Return what makes the row of an object's bytes, and of how many times it stands there."""
    hook = None if rules.as_before else paired
    return partial(_json_row, rules=rules, hook=hook)


def _json_row(raw: bytes, num_rows: int, *, rules: ReadRules, hook: Any) -> Row:
    try:
        text = raw.decode("utf-8")
    except UnicodeDecodeError:
        excerpt = raw[:EXCERPT_BYTES].decode("utf-8", "backslashreplace")
        return Row(problem="invalid_utf8", excerpt=excerpt, num_rows=num_rows)
    try:
        fields = json.loads(text, parse_constant=_no_constant, object_pairs_hook=hook)
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict):
        return Row(problem="invalid_json", excerpt=shown(raw), num_rows=num_rows)
    found = Row(value=field_of(fields, rules.text), fields=fields)
    if hook is not None:
        found = text_of(fields, rules)
    if found.problem is None and found.value is None and (words := _list_words(fields, rules)):
        found = Row(problem="missing_text", excerpt=words)
    return found if num_rows == 1 else found._replace(num_rows=num_rows)


def _list_words(fields: dict[str, Any], rules: ReadRules) -> str:
    """Say what to do with an object that holds the rows as a list under one of its names."""
    for name, value in fields.items():
        is_list = isinstance(value, list) and value and isinstance(value[0], dict)
        if is_list and field_of(value[0], rules.text) is not None:
            return (
                f"{len(value)} objects stand in a list under {name!r}: write one object a "
                f"line, for example with jq -c '.{name}[]'"
            )
    return ""


def _no_constant(_name: str) -> None:
    """NaN and Infinity, which JSON does not have but Python writes, are read as null."""
