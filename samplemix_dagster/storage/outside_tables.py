"""Tables of documents that other tools wrote: ids, weights, labels, scores."""

from pathlib import Path

import pyarrow as pa

from samplemix_dagster.errors import InputError


def table_of(file: Path) -> pa.Table:
    """Read a table: Parquet, CSV, JSON lines, or one id a line.

    Raises:
        InputError: It cannot be read as such.
    """
    from pyarrow import csv, json, parquet

    ending = file.suffix.lower()
    try:
        if ending == ".parquet":
            return parquet.read_table(file)
        if ending == ".csv":
            return csv.read_csv(file)
        if ending in {".jsonl", ".ndjson"}:
            return json.read_json(file)
        lines = file.read_text(encoding="utf-8").split()
        is_digest = all(len(line) == 32 for line in lines)
        return pa.table({"doc_id" if is_digest else "id": lines})
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read as a table of documents: {error}") from error
