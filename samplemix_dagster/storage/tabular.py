"""Write a table as a file for other tools, by its ending."""

import json
from pathlib import Path

import pyarrow as pa

from samplemix_dagster.errors import ConfigError

ENDINGS = (".parquet", ".csv", ".jsonl")


def check_ending(path: Path) -> None:
    """Raise ConfigError when a path has an ending that is not written."""
    if path.suffix not in ENDINGS:
        raise ConfigError(f"--to ends in {', '.join(ENDINGS)}, not {path.name!r}")


def write_tabular(table: pa.Table, path: Path) -> None:
    """Write a table; the file appears whole."""
    check_ending(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.part")
    if path.suffix == ".parquet":
        import pyarrow.parquet as pq

        pq.write_table(table, aside, compression="zstd")
    elif path.suffix == ".csv":
        import pyarrow.csv

        pyarrow.csv.write_csv(table, aside)
    else:
        with aside.open("w", encoding="utf-8") as file:
            for batch in table.to_batches(max_chunksize=1024):
                file.writelines(
                    json.dumps(row, ensure_ascii=False, default=str) + "\n"
                    for row in batch.to_pylist()
                )
    aside.replace(path)
