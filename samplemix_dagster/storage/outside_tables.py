"""Tables of documents that other tools wrote: ids, weights, labels, scores."""

import itertools
import json
import re
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from samplemix_dagster.errors import InputError

NAMES = ("doc_id", "id", "source")
"""Columns that name a document: their values are text, whatever they look like."""
DOC_ID = re.compile(r"[0-9a-f]{32}")
_PARQUET = (".parquet", ".pq")
_CELLS = {".csv": ",", ".tsv": "\t"}
_LINES = (".jsonl", ".ndjson", ".jsonlines", ".jl")
_PACKED = (".gz", ".zst", ".bz2", ".xz", ".zip")
_ROWS_AT_ONCE = 65_536


def table_of(file: Path, names: Collection[str] = NAMES) -> pa.Table:
    """Read a table: Parquet, CSV, TSV, JSON lines, a JSON array, or one id a line.

    An array is one of objects, or of ids. Lines, and ids of an array, that all look like a
    document's id, 32 hexadecimal digits, stand in the columns ``doc_id`` and ``id``, since a
    source's own ids may look so too; others in ``id`` alone.

    Args:
        file: The file.
        names: Columns of a CSV file that are text: ``007`` is no 7. An empty one is missing.

    Raises:
        InputError: It cannot be read as such, or has two columns of one name.
    """
    if file.suffix.lower() in _PACKED:
        raise InputError(f"{file} is packed: a table of documents is read as it is, so unpack it.")
    try:
        table = _read(file, names)
    except (pa.ArrowException, OSError, ValueError, OverflowError, RecursionError) as error:
        raise InputError(f"{file} cannot be read as a table of documents: {error}") from error
    twice = [name for name, count in Counter(table.column_names).items() if count > 1]
    if twice:
        raise InputError(f"{file} has the column {twice[0]!r} twice.")
    return table


def _read(file: Path, names: Collection[str]) -> pa.Table:
    from pyarrow import csv, parquet

    ending = file.suffix.lower()
    if ending in _PARQUET:
        # As a file, so that two columns of one name are seen as such.
        return parquet.ParquetFile(file).read()
    if delimiter := _CELLS.get(ending):
        types = {name: pa.string() for name in names}
        table = csv.read_csv(
            file,
            parse_options=csv.ParseOptions(delimiter=delimiter),
            convert_options=csv.ConvertOptions(column_types=types),
        )
        return _without_empty(table, names)
    if ending in _LINES:
        return _of_lines(file)
    written = file.read_text(encoding="utf-8-sig")
    if ending == ".json":
        return _of_array(written) if written.lstrip().startswith("[") else _of_lines(file)
    return _of_names([line.strip() for line in written.splitlines() if line.strip()])


def _of_names(names: list[str]) -> pa.Table:
    is_digest = all(DOC_ID.fullmatch(name) for name in names)
    return pa.table({"doc_id": names, "id": names} if is_digest else {"id": names})


def is_both(table: pa.Table) -> bool:
    """Whether a table does not say if its names are digests of texts or ids of a source's own."""
    return {"doc_id", "id"} <= set(table.column_names) and table["doc_id"].equals(table["id"])


def _of_array(written: str) -> pa.Table:
    """Return the table of a JSON array.

    Raises:
        ValueError: It is none of objects alone, or of ids alone.
    """
    found = json.loads(written)
    if all(isinstance(entry, dict) for entry in found):
        return _of_objects(iter(found))
    if all(isinstance(entry, str | int) and not isinstance(entry, bool) for entry in found):
        return _of_names([str(entry) for entry in found])
    raise ValueError("an array holds objects alone, or ids alone")


def _of_lines(file: Path) -> pa.Table:
    """Return the table of JSON lines.

    Raises:
        ValueError: A line is no object.
    """
    # Arrow's own reader ends the process where a block begins with null, and takes text for dates.
    with file.open(encoding="utf-8-sig", newline="\n") as stream:
        return _of_objects(_objects(stream))


def _objects(lines: Iterator[str]) -> Iterator[dict[str, object]]:
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except ValueError as error:
            raise ValueError(f"line {number} is no JSON ({error})") from None
        if not isinstance(found, dict):
            raise ValueError(f"line {number} is no JSON object")  # noqa: TRY004 (of the file)
        yield found


def _of_objects(rows: Iterator[dict[str, object]]) -> pa.Table:
    """Return a table with every key that any object has; where it lacks one, nothing is known."""
    parts = []
    while batch := list(itertools.islice(rows, _ROWS_AT_ONCE)):
        keys = list(dict.fromkeys(key for row in batch for key in row))
        parts.append(pa.table({key: pa.array([row.get(key) for row in batch]) for key in keys}))
    return pa.concat_tables(parts, promote_options="permissive") if parts else pa.table({})


def _without_empty(table: pa.Table, names: Collection[str]) -> pa.Table:
    for place, name in enumerate(table.column_names):
        if name in names:
            column = table.column(place)
            known = pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
            table = table.set_column(place, name, known)
    return table
