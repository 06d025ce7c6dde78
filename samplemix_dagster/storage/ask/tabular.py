"""Write a table as a file for other tools, by its ending.

A spreadsheet takes a cell that begins with ``=`` for a formula and works it out, whoever wrote it.
So in CSV a text (never a number) that begins with ``= + - @``, their full-width forms, a tab or the
end of a line gets an apostrophe in front, which spreadsheets hide. Parquet and JSON lines hold the
text as it is.
"""

import json
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.compute as pc

from samplemix_dagster.errors import ConfigError
from samplemix_dagster.storage.corpus.home import appears_whole

ENDINGS = (".parquet", ".csv", ".jsonl")
_FORMULA = r"^(\s*[=+\-@\x{FF1D}\x{FF0B}\x{FF0D}\x{FF20}]|[\t\r\n])"


def check_ending(path: Path) -> None:
    """Raise ConfigError when a path has an ending that is not written."""
    if path.suffix not in ENDINGS:
        raise ConfigError(f"--to ends in {', '.join(ENDINGS)}, not {path.name!r}")


def write_tabular(table: pa.Table, path: Path) -> None:
    """Write a table; the file appears whole."""
    check_ending(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with appears_whole(path) as aside:
        if path.suffix == ".parquet":
            write_parquet(table, aside)
        elif path.suffix == ".csv":
            with aside.open("wb") as file:
                write_csv(table, file)
        else:
            with aside.open("w", encoding="utf-8") as file:
                for batch in table.to_batches(max_chunksize=1024):
                    file.writelines(
                        json.dumps(row, ensure_ascii=False, default=str) + "\n"
                        for row in batch.to_pylist()
                    )


def write_parquet(table: pa.Table, target: Path | IO[bytes]) -> None:
    """Write a table as Parquet."""
    import pyarrow.parquet as pq

    pq.write_table(table, target, compression="zstd")


def write_csv(table: pa.Table, target: IO[bytes]) -> None:
    """Write a table as CSV in which no text is a formula; lists and structs are JSON."""
    import pyarrow.csv

    columns = [_flat(column) for column in table.columns]
    names = [_no_formula(pa.array([name]))[0].as_py() for name in table.column_names]
    pyarrow.csv.write_csv(pa.table(columns, names=names), target)


def _flat(column: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = column.type
    if pa.types.is_null(kind):
        return column.cast(pa.string())
    if pa.types.is_dictionary(kind):
        return _flat(column.cast(kind.value_type))
    if pa.types.is_nested(kind):
        values = [
            None if value is None else json.dumps(value, ensure_ascii=False, default=str)
            for value in column.to_pylist()
        ]
        column = pa.chunked_array([pa.array(values, type=pa.string())])
    elif not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        return column
    return _no_formula(column)


def _no_formula(texts: pa.ChunkedArray) -> pa.ChunkedArray:
    """Put an apostrophe before each text that a spreadsheet would work out."""
    return pc.if_else(
        pc.match_substring_regex(texts, _FORMULA),
        pc.binary_join_element_wise("'", texts, ""),
        texts,
    )
