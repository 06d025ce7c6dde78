"""Tables of documents that other tools wrote: ids, weights, labels, scores."""

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
    """Read a table: Parquet, CSV, JSON lines, or one id a line.

    Lines that all look like a document's id, 32 hexadecimal digits, stand in the columns ``doc_id``
    and ``id``, since a source's own ids may look so too; others in ``id`` alone.

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
        if ending == ".csv":
            types = {name: pa.string() for name in names}
            table = csv.read_csv(file, convert_options=csv.ConvertOptions(column_types=types))
            return _without_empty(table, names)
        if ending in {".jsonl", ".ndjson"}:
            return json.read_json(file)
        written = file.read_text(encoding="utf-8-sig").splitlines()
        lines = [line.strip() for line in written if line.strip()]
        is_digest = all(DOC_ID.fullmatch(line) for line in lines)
        return pa.table({"doc_id": lines, "id": lines} if is_digest else {"id": lines})
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read as a table of documents: {error}") from error


def _without_empty(table: pa.Table, names: Collection[str]) -> pa.Table:
    for place, name in enumerate(table.column_names):
        if name in names:
            column = table.column(name)
            known = pc.if_else(pc.equal(column, ""), pa.scalar(None, pa.string()), column)
            table = table.set_column(place, name, known)
    return table
