"""Tables of documents that other tools wrote: ids, weights, labels, scores."""

import json as json_text
import re
from collections.abc import Collection
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from samplemix_dagster.errors import InputError

NAMES = ("doc_id", "id", "source")
"""Columns that name a document: their values are text, whatever they look like."""
DOC_ID = re.compile(r"[0-9a-f]{32}")


def table_of(file: Path, names: Collection[str] = NAMES) -> pa.Table:
    """Read a table: Parquet, CSV, TSV, JSON lines, a JSON array, or one id a line.

    An array is one of objects, or of ids. Lines, and ids of an array, that all look like a
    document's id, 32 hexadecimal digits, stand in the columns ``doc_id`` and ``id``, since a
    source's own ids may look so too; others in ``id`` alone.

    Args:
        file: The file.
        names: Columns of a CSV file that are text: ``007`` is no 7. An empty one is missing.

    Raises:
        InputError: It cannot be read as such.
    """
    from pyarrow import csv, json, parquet

    ending = file.suffix.lower()
    try:
        if ending == ".parquet":
            return parquet.read_table(file)
        if ending in {".csv", ".tsv"}:
            types = {name: pa.string() for name in names}
            table = csv.read_csv(
                file,
                parse_options=csv.ParseOptions(delimiter="\t" if ending == ".tsv" else ","),
                convert_options=csv.ConvertOptions(column_types=types),
            )
            return _without_empty(table, names)
        if ending in {".jsonl", ".ndjson"}:
            return json.read_json(file)
        written = file.read_text(encoding="utf-8-sig")
        if ending == ".json":
            if not written.lstrip().startswith("["):
                return json.read_json(file)
            return _of_array(written)
        return _of_names([line.strip() for line in written.splitlines() if line.strip()])
    except (pa.ArrowException, OSError, ValueError, RecursionError) as error:
        raise InputError(f"{file} cannot be read as a table of documents: {error}") from error


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
    found = json_text.loads(written)
    if all(isinstance(entry, dict) for entry in found):
        return pa.Table.from_pylist(found)
    if all(isinstance(entry, str | int) and not isinstance(entry, bool) for entry in found):
        return _of_names([str(entry) for entry in found])
    raise ValueError("an array holds objects alone, or ids alone")


def _without_empty(table: pa.Table, names: Collection[str]) -> pa.Table:
    for place, name in enumerate(table.column_names):
        if name in names:
            column = table.column(name)
            known = pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
            table = table.set_column(place, name, known)
    return table
