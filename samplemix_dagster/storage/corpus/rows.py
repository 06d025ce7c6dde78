"""Rows of a file: which reader a file has, and the equation that no reader can leave.

A row is what stands in the file, or what is wrong with it. Whether it is a document is decided in
``shards.py``. What a file is, its first bytes say, then its name, then nothing: a file of a name
that is not known is never read as prose, unless the configuration says how it is to be read.
"""

from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import IO, cast

from samplemix_dagster.errors import CheckFailedError, InputError
from samplemix_dagster.storage.formats.base import (
    Openable,
    Reader,
    ReadRules,
    Row,
    Rows,
    field_of,
    one,
)
from samplemix_dagster.storage.formats.columns import read_arrow, read_parquet
from samplemix_dagster.storage.formats.names import Compression, Format, named, refusal
from samplemix_dagster.storage.formats.plain import read_text
from samplemix_dagster.storage.formats.records.csv_cells import read_csv, read_tsv
from samplemix_dagster.storage.formats.records.json_lines import HEAD_BYTES, read_json, shape_of
from samplemix_dagster.storage.formats.streaming.streams import (
    as_utf8,
    encoding_of,
    needs_new_zstd,
    packed_as,
    stream_of,
)
from samplemix_dagster.storage.formats.warc import is_warc, read_warc
from samplemix_dagster.storage.formats.webdataset import is_tar, read_tar

__all__ = [
    "Openable",
    "ReadRules",
    "Row",
    "field_of",
    "read_fields",
    "readers_by_look",
    "readers_by_name",
    "rows_of",
    "with_versions",
]

_MARKS: dict[bytes, Format] = {b"PAR1": "parquet", b"ARROW1": "arrow"}
_STREAMED: dict[str, Reader] = {
    "jsonl": read_json,
    "csv": read_csv,
    "tsv": read_tsv,
    "text": read_text,
    "webdataset": read_tar,
    "warc": read_warc,
}
_COLUMNS: dict[str, Reader] = {"parquet": read_parquet, "arrow": read_arrow}
_VERSIONS: dict[str, int] = {
    "csv": 2,
    "tsv": 2,
    "arrow": 1,
    "webdataset": 1,
    "warc": 1,
    "names": 2,
    "json": 2,
    "bz2": 1,
    "xz": 1,
    "zstd": 2,
    "encoding": 1,
}
"""Readers beyond those of the first version. Raise one when it reads otherwise than before: that
moves the addresses of the sources that have such files, and of no others."""
_MENDED = frozenset({"csv", "tsv", "arrow", "webdataset", "warc"})
_FIRST_ENDINGS = (".jsonl", ".ndjson", ".json", ".parquet", ".csv", ".tsv")
_PEEKED_BYTES = 18
_TAR_BYTES = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kind:
    """What a file is, as far as name, first bytes and configuration say."""

    format: Format | None
    compression: Compression | None = None
    problem: str = ""
    """Why it is not read."""


def read_fields(path: Openable, rules: ReadRules) -> Iterator[dict[str, object]]:
    """Yield the fields of every row that has fields, to find out what they are called."""
    for row in rows_of(path, rules):
        if row.fields:
            yield row.fields


def rows_of(path: Openable, rules: ReadRules) -> Generator[Row, None, int]:
    """Yield every row of a file as it is found; return how many there were.

    Raises:
        InputError: The file is gone or may not be read.
        CheckFailedError: A reader gave another number of records than the file has.
    """
    num_rows = num_records = 0
    reader = _rows(path, rules)
    while True:
        try:
            row = next(reader)
        except StopIteration as end:
            if end.value != num_records:
                raise CheckFailedError(
                    f"{path}: {end.value} records were counted, and the rows that were read are "
                    f"{num_records} of them. This is a fault of the reader; please report it."
                ) from None
            return num_rows
        except OSError as error:
            raise InputError(f"cannot read {path}: {error.strerror or error}") from error
        num_rows += row.num_rows
        num_records += row.num_rows * row.num_records
        yield row


def _rows(path: Openable, rules: ReadRules) -> Rows:
    if path.is_dir():
        return (yield from one("directory", path.name))
    with path.open("rb") as file:
        head = file.read(_PEEKED_BYTES)
        if not head:
            return (yield from one("empty_file", ""))
        file.seek(0)
        kind = _kind_of(path.name, head, rules)
        if kind.format is None or kind.problem:
            return (yield from one("unreadable", kind.problem))
        if kind.format in _COLUMNS:
            return (yield from _COLUMNS[kind.format](file, rules))
        return (yield from _streamed(file, kind, rules))


def _kind_of(name: str, head: bytes, rules: ReadRules) -> _Kind:
    """Return what a file is; first bytes have the last word."""
    shown = next((form for mark, form in _MARKS.items() if head.startswith(mark)), None)
    if shown is not None:
        return _Kind(format=shown)
    stated = named(name)
    format_ = _format_of(name, rules)
    packed = packed_as(head)
    if format_ is None:
        return _Kind(format=None, problem=refusal(name))
    if packed is None and stated.compression is not None:
        ending = name.rpartition(".")[2].lower()
        return _Kind(format=format_, problem=f"not a {ending} file")
    if format_ == "parquet":
        return _Kind(format=format_, problem="not a Parquet file")
    if format_ == "arrow" and packed is not None:
        return _Kind(format=format_, problem="an Arrow file that is packed as a whole: unpack it")
    return _Kind(format=format_, compression=packed)


def _format_of(name: str, rules: ReadRules) -> Format | None:
    """Return the format that the configuration states, or else the name."""
    stated = named(name).format
    if rules.format == "auto":
        return stated
    if rules.format == "csv" and stated == "tsv":
        return "tsv"
    return cast("Format", rules.format)


def _streamed(file: IO[bytes], kind: _Kind, rules: ReadRules) -> Rows:
    stream = stream_of(file, kind.compression)
    if kind.compression is not None:
        head = stream.head(_PEEKED_BYTES)
        what = "Parquet" if head.startswith(b"PAR1") else packed_as(head)
        if what is not None:
            problem = f"{what} inside {kind.compression}: unpack it once"
            return (yield from one("unreadable", problem))
    if kind.format == "warc" and not is_warc(stream.head(_PEEKED_BYTES)):
        return (yield from one("unreadable", "not a WARC file"))
    if kind.format == "webdataset" and not is_tar(stream.head(_TAR_BYTES)):
        return (yield from one("unreadable", "not a tar archive"))
    if kind.format not in {"webdataset", "warc"}:
        stream = as_utf8(stream)
    return (yield from _STREAMED[str(kind.format)](stream, rules))


def readers_by_name(name: str, rules: ReadRules) -> set[str] | None:
    """Return which readers beyond those of the first version a file has by its name.

    None: its first bytes say it.
    """
    format_ = _format_of(name, rules)
    found = {str(format_)} & _MENDED
    if rules.format == "auto" and format_ != _first_format_of(name):
        found.add("names")
    return found if found or format_ == "parquet" else None


def readers_by_look(path: Openable, rules: ReadRules) -> set[str]:
    """Return which readers beyond those of the first version a file has by its first bytes.

    Raises:
        OSError: The file is gone or may not be read.
        InputError: An object of S3 is gone, or another one.
    """
    if path.is_dir():
        return set()
    with path.open("rb") as file:
        head = file.read(_PEEKED_BYTES)
        file.seek(0)
        kind = _kind_of(path.name, head, rules)
        if not head or kind.format == "parquet":
            return set()
        return {"arrow"} if kind.format == "arrow" else _readers_of_stream(file, head, kind)


def _first_format_of(name: str) -> str:
    """Return how the first version read a file of a name: as prose, where it knew none better."""
    low = name.lower()
    stem = next((low.removesuffix(end) for end in (".gz", ".zst") if low.endswith(end)), low)
    found = named(stem).format if stem.endswith(_FIRST_ENDINGS) else None
    return found or "text"


def _readers_of_stream(file: IO[bytes], head: bytes, kind: _Kind) -> set[str]:
    found = {str(kind.compression)} & {"bz2", "xz"}
    if kind.compression == "zstd" and needs_new_zstd(head):
        found.add("zstd")
    if kind.problem:
        return found
    stream = stream_of(file, kind.compression)
    if encoding_of(stream.head(4)) != "utf-8":
        found.add("encoding")
    if kind.format == "jsonl" and shape_of(as_utf8(stream).head(HEAD_BYTES)) != "lines":
        found.add("json")
    return found


def with_versions(readers: set[str]) -> dict[str, int]:
    """Return readers with their versions, for a recipe."""
    return {name: _VERSIONS[name] for name in sorted(readers)}
