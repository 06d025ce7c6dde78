"""Write draws as files for trainers, in a given order, with memory for one file at a time.

Draws arrive in the order of the shards, since each shard is read once. They are set aside in one
spill file for each output file, and each output file is then sorted and written whole. What is
drawn, and in which order, is decided elsewhere.
"""

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from samplemix_dagster.export_formats.format import FilePlan, Format, ReadDraw, Unit
from samplemix_dagster.storage.lake.whole_files import digest_file

_COMMON = (
    pa.field("doc_id", pa.string(), nullable=False),
    pa.field("source", pa.string(), nullable=False),
    pa.field("copy", pa.int32(), nullable=False),
    pa.field("num_tokens", pa.int64(), nullable=False),
    pa.field("id", pa.string()),
)
SCHEMA = pa.schema([*_COMMON, pa.field("text", pa.string(), nullable=False)])
"""Columns of a draw that is exported as text; ``copy`` counts from 0."""
TOKENS_SCHEMA = pa.schema(
    [
        *_COMMON,
        pa.field("num_ids", pa.int64(), nullable=False),
        pa.field("digest", pa.string(), nullable=False),
        pa.field("tokens", pa.large_list(pa.uint32()), nullable=False),
    ]
)
"""Columns of a draw that is exported as ids, with what EOS adds; ``digest`` is of those ids."""
PLACES_SCHEMA = pa.schema(
    [
        *_COMMON,
        pa.field("file", pa.string(), nullable=False),
        pa.field("offset", pa.int64(), nullable=False),
        pa.field("num_ids", pa.int64(), nullable=False),
        pa.field("digest", pa.string(), nullable=False),
    ]
)
"""Where each draw lies, in the order of the export."""
_SCHEMAS: dict[Unit, pa.Schema] = {"text": SCHEMA, "tokens": TOKENS_SCHEMA}
_HEAVY = ("text", "tokens")
_ID_BYTES = 4
_SPILL_BYTES = 32_000_000
_ROW_BYTES = 500
_ROWS_AT_ONCE = 256
_PLACES_ROWS = 1 << 16
_GROUP_ROWS = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedFile:
    """One file that was written."""

    name: str
    num_draws: int
    num_tokens: int
    num_bytes: int
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OtherFile:
    """A file beside those of the draws."""

    name: str
    num_bytes: int
    digest: str


class Spill:
    """Draws set aside by output file."""

    def __init__(self, folder: Path, unit: Unit = "text") -> None:
        self.folder = folder
        self._schema = _SCHEMAS[unit]
        self._spilled = _as_spilled(self._schema)
        self._rows: dict[int, list[Mapping[str, Any]]] = {}
        self._num_bytes = 0
        """Of the texts and tokens in memory."""
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, file: int, row: Mapping[str, Any]) -> None:
        """Set one draw aside; ``position`` is its place in the whole order.

        Its ``tokens``, if it has some, are an array of uint32.
        """
        if "tokens" in row:
            row = {**row, "tokens": row["tokens"].tobytes()}
        self._rows.setdefault(file, []).append(row)
        self._num_bytes += sum(len(row[name]) for name in _HEAVY if name in row) + _ROW_BYTES
        if self._num_bytes >= _SPILL_BYTES:
            self._flush()

    def _flush(self) -> None:
        """Append what is in memory to the spill files, each open no longer than that."""
        for file, rows in self._rows.items():
            batch = pa.RecordBatch.from_pylist(rows, schema=self._spilled)
            with (
                self._path(file).open("ab") as sink,
                pa.ipc.new_stream(sink, self._spilled) as writer,
            ):
                writer.write_batch(batch)
        self._rows, self._num_bytes = {}, 0

    def _path(self, file: int) -> Path:
        return self.folder / f"{file:05d}.arrows"

    def close(self) -> None:
        """Write out everything that is still in memory."""
        self._flush()

    def sorted_table(self, file: int) -> pa.Table:
        """Return one output file's draws in their order."""
        table = self._sorted(file, self._schema.names)
        if "tokens" not in self._schema.names:
            return table
        chunks = [_as_lists(chunk) for chunk in table.column("tokens").chunks]
        number, tokens = self._schema.get_field_index("tokens"), self._schema.field("tokens")
        return table.set_column(number, tokens, pa.chunked_array(chunks, tokens.type))

    def rows(self, file: int) -> Iterator[Mapping[str, Any]]:
        """Yield one output file's draws in their order, without text and tokens."""
        names = [name for name in self._schema.names if name not in _HEAVY]
        for batch in self._sorted(file, names).to_batches(max_chunksize=_ROWS_AT_ONCE):
            yield from batch.to_pylist()

    def _sorted(self, file: int, names: list[str]) -> pa.Table:
        path = self._path(file)
        if not path.exists():
            return self._spilled.empty_table().select(names)
        with pa.memory_map(str(path)) as mapped:
            # One stream for each time that something was appended.
            tables = []
            while mapped.tell() < mapped.size():
                tables.append(pa.ipc.open_stream(mapped).read_all().select([*names, "position"]))
            table = pa.concat_tables(tables)
            return table.sort_by("position").drop_columns(["position"])


def _as_spilled(schema: pa.Schema) -> pa.Schema:
    """Return a schema with the place in the order, and ids as bytes: sorting lists costs much."""
    fields = [
        pa.field("tokens", pa.large_binary(), nullable=False) if one.name == "tokens" else one
        for one in schema
    ]
    return pa.schema([*fields, pa.field("position", pa.int64(), nullable=False)])


def _as_lists(chunk: pa.LargeBinaryArray) -> pa.LargeListArray:
    """Return the bytes of ids as lists of ids, without a copy of them."""
    _, offsets, content = chunk.buffers()
    bounds = np.frombuffer(offsets, np.int64)[chunk.offset :][: len(chunk) + 1] // _ID_BYTES
    size = 0 if content is None else content.size // _ID_BYTES
    ids = pa.Array.from_buffers(pa.uint32(), size, [None, content])
    return pa.LargeListArray.from_arrays(pa.array(bounds), ids)


def write_files(spill: Spill, folder: Path, form: Format, plan: FilePlan) -> list[ExportedFile]:
    """Write every output file; return what was written of the draws, with digests."""
    writer, counts = form.open(folder, plan), []
    for number in range(plan.num_files):
        table = spill.sorted_table(number)
        writer.add(number, table)
        counts.append((table.num_rows, sum(table.column("num_tokens").to_pylist())))
    writer.close()
    written = []
    for number, (num_draws, num_tokens) in enumerate(counts):
        path = folder / form.file_names(number)[0]
        written.append(
            ExportedFile(
                name=path.name,
                num_draws=num_draws,
                num_tokens=num_tokens,
                num_bytes=path.stat().st_size,
                digest=digest_file(path),
            )
        )
    return written


def other_files(folder: Path, written: list[ExportedFile]) -> list[OtherFile]:
    """Return every file of an export that is not one of its draws', with digests, by name."""
    of_draws = {file.name for file in written}
    return [
        OtherFile(name=path.name, num_bytes=path.stat().st_size, digest=digest_file(path))
        for path in sorted(folder.iterdir())
        if path.name not in of_draws
    ]


class Places:
    """Writes down where each draw lies."""

    def __init__(self, writer: pq.ParquetWriter) -> None:
        self._writer = writer
        self._rows: list[Mapping[str, Any]] = []

    def add(self, row: Mapping[str, Any], found: ReadDraw) -> None:
        """Note one draw."""
        place = {"file": found.file, "offset": found.offset, "num_ids": found.num_tokens}
        self._rows.append({**row, **place, "digest": found.digest})
        if len(self._rows) >= _PLACES_ROWS:
            self.flush()

    def flush(self) -> None:
        """Write out what is still in memory."""
        self._writer.write_table(pa.Table.from_pylist(self._rows, schema=PLACES_SCHEMA))
        self._rows = []


@contextlib.contextmanager
def writing_places(path: Path) -> Iterator[Places]:
    """Yield what writes down where draws lie; the file is whole on leaving."""
    with pq.ParquetWriter(path, PLACES_SCHEMA, compression="zstd") as writer:
        places = Places(writer)
        yield places
        places.flush()


class PlaceTables:
    """Writes places in groups of so many rows, however they come."""

    def __init__(self, writer: pq.ParquetWriter) -> None:
        self._writer = writer
        self._waiting = PLACES_SCHEMA.empty_table()

    def add(self, table: pa.Table) -> None:
        """Take rows, with the columns of a place in any order."""
        table = table.select(PLACES_SCHEMA.names).cast(PLACES_SCHEMA)
        self._waiting = pa.concat_tables([self._waiting, table])
        while self._waiting.num_rows >= _GROUP_ROWS:
            self._write(_GROUP_ROWS)

    def close(self) -> None:
        """Write what is left."""
        if self._waiting.num_rows:
            self._write(self._waiting.num_rows)

    def _write(self, count: int) -> None:
        self._writer.write_table(self._waiting.slice(0, count).combine_chunks(), count)
        self._waiting = self._waiting.slice(count)


@contextlib.contextmanager
def writing_place_tables(path: Path) -> Iterator[PlaceTables]:
    """Yield what writes down where draws lie, many at a time; the file is whole on leaving."""
    with pq.ParquetWriter(path, PLACES_SCHEMA, compression="zstd") as writer:
        places = PlaceTables(writer)
        yield places
        places.close()
