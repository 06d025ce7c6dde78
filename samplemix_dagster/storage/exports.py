"""Write draws as files for trainers, in a given order, with memory for one file at a time.

Draws arrive in the order of the shards, since each shard is read once. They are set aside in one
spill file for each output file, and each output file is then sorted and written whole. What is
drawn, and in which order, is decided elsewhere.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from samplemix_dagster.storage.whole_files import digest_file

SCHEMA = pa.schema(
    [
        pa.field("doc_id", pa.string(), nullable=False),
        pa.field("source", pa.string(), nullable=False),
        pa.field("copy", pa.int32(), nullable=False),
        pa.field("num_tokens", pa.int64(), nullable=False),
        pa.field("id", pa.string()),
        pa.field("text", pa.string(), nullable=False),
    ]
)
"""Columns of an exported draw; ``copy`` counts from 0."""
_SPILLED = SCHEMA.append(pa.field("position", pa.int64(), nullable=False))
_SPILL_ROWS = 256
FORMATS = ("jsonl.zst", "parquet")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedFile:
    """One file that was written."""

    name: str
    num_draws: int
    num_tokens: int
    num_bytes: int
    digest: str


class Spill:
    """Draws set aside by output file."""

    def __init__(self, folder: Path, num_files: int) -> None:
        self.folder = folder
        self._rows: list[list[dict[str, Any]]] = [[] for _ in range(num_files)]
        self._writers: dict[int, pa.RecordBatchFileWriter] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, file: int, row: dict[str, Any]) -> None:
        """Set one draw aside; ``position`` is its place in the whole order."""
        rows = self._rows[file]
        rows.append(row)
        if len(rows) >= _SPILL_ROWS:
            self._flush(file)

    def _flush(self, file: int) -> None:
        if not self._rows[file]:
            return
        if file not in self._writers:
            self._writers[file] = pa.ipc.new_file(self._path(file), _SPILLED)
        self._writers[file].write(pa.RecordBatch.from_pylist(self._rows[file], schema=_SPILLED))
        self._rows[file] = []

    def _path(self, file: int) -> str:
        return str(self.folder / f"{file:05d}.arrow")

    def close(self) -> None:
        """Write out everything that is still in memory."""
        for file in range(len(self._rows)):
            self._flush(file)
        for writer in self._writers.values():
            writer.close()

    def sorted_table(self, file: int) -> pa.Table:
        """Return one output file's draws in their order."""
        if file not in self._writers:
            return SCHEMA.empty_table()
        with pa.memory_map(self._path(file)) as mapped:
            table = pa.ipc.open_file(mapped).read_all().sort_by("position")
        return table.drop_columns(["position"])


def file_name(number: int, form: str) -> str:
    """Return what an output file is called."""
    return f"part-{number:05d}.{form}"


def write_files(spill: Spill, folder: Path, num_files: int, form: str) -> list[ExportedFile]:
    """Write every output file; return what was written, with digests."""
    written = []
    for file in range(num_files):
        table = spill.sorted_table(file)
        path = folder / file_name(file, form)
        if form == "parquet":
            pq.write_table(table, path, compression="zstd")
        else:
            _write_jsonl(table, path)
        tokens = table.column("num_tokens").to_pylist()
        written.append(
            ExportedFile(
                name=path.name,
                num_draws=table.num_rows,
                num_tokens=sum(tokens),
                num_bytes=path.stat().st_size,
                digest=digest_file(path),
            )
        )
    return written


def _write_jsonl(table: pa.Table, path: Path) -> None:
    with pa.CompressedOutputStream(str(path), "zstd") as stream:
        for batch in table.to_batches(max_chunksize=_SPILL_ROWS):
            lines = [json.dumps(row, ensure_ascii=False) for row in batch.to_pylist()]
            stream.write(("\n".join(lines) + "\n").encode())


def read_back(folder: Path, names: Iterable[str]) -> Iterator[dict[str, Any]]:
    """Yield every draw of exported files, in order."""
    for name in names:
        path = folder / name
        if name.endswith(".parquet"):
            with pq.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=_SPILL_ROWS):
                    yield from batch.to_pylist()
        else:
            yield from _read_jsonl(path)


def _read_jsonl(path: Path) -> Iterator[dict[str, Any]]:
    with pa.CompressedInputStream(str(path), "zstd") as stream:
        pending = b""
        while block := stream.read1(1 << 20):
            *lines, pending = (pending + block).split(b"\n")
            for line in lines:
                yield json.loads(line)
