"""Rows of a file, by format: JSON lines, CSV, plain text, Parquet; packed or not.

A row is what stands in the file, or what is wrong with it. Whether it is a document is decided in
``shards.py``.
"""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any, Protocol, cast

import pyarrow as pa

from samplemix_dagster.config import Corpus, Source
from samplemix_dagster.errors import InputError

_COMPRESSED = (".gz", ".zst")
_BLOCK_BYTES = 1 << 20
_ZSTD_BLOCK_BYTES = 1 << 16  # a broken zstd stream loses the block in hand, so it is a small one
_UNCONVERTIBLE = (ValueError, OverflowError, LookupError, pa.ArrowException)


class Openable(Protocol):
    """What readers need of a file: ``pathlib.Path`` has it, and so has an object of S3."""

    @property
    def name(self) -> str:
        """The last part of its path."""

    @property
    def suffix(self) -> str:
        """Its ending, with the dot."""

    def is_dir(self) -> bool:
        """Whether it is a folder."""

    def is_file(self) -> bool:
        """Whether it is there."""

    def open(self, mode: Any) -> IO[Any]:
        """Open it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRules:
    """Everything that decides which rows are documents and what their text is."""

    format: str
    text: str
    id: str
    metadata: tuple[str, ...]
    split: str
    min_characters: int
    max_characters: int
    max_word_characters: int

    @classmethod
    def of(cls, corpus: Corpus, source: Source) -> "ReadRules":
        """Return the rules that a configuration states for one source."""
        metadata = list(source.metadata)
        if corpus.language != "detect" and corpus.language not in metadata:
            metadata.append(corpus.language)
        return cls(
            format=source.format,
            text=source.text,
            id=source.id,
            metadata=tuple(metadata),
            split=source.split,
            min_characters=corpus.min_characters,
            max_characters=corpus.max_characters,
            max_word_characters=corpus.max_word_characters,
        )

    def text_recipe(self) -> dict[str, Any]:
        """What the set of documents and their texts depend on, beside the shard's bytes."""
        return {
            "format": self.format,
            "text": self.text,
            "split": self.split,
            "min_characters": self.min_characters,
            "max_characters": self.max_characters,
            "max_word_characters": self.max_word_characters,
            "version": 1,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row as found: exactly one of a value (with its fields) or a problem."""

    value: Any = None
    fields: dict[str, Any] | None = None
    problem: str | None = None
    excerpt: str = ""


def read_fields(path: Openable, rules: ReadRules) -> Iterator[dict[str, Any]]:
    """Yield the fields of every row that has fields, to find out what they are called."""
    for row in rows_of(path, rules):
        if row.fields:
            yield row.fields


def field_of(fields: dict[str, Any], name: str) -> Any:
    """Return a field by name; dots reach into nested fields. None where it is absent."""
    if name in fields:
        return fields[name]
    value: Any = fields
    for part in name.split("."):
        if not isinstance(value, dict) or part not in value:
            return None
        value = value[part]
    return value


def rows_of(path: Openable, rules: ReadRules) -> Iterator[Row]:
    """Yield every row of a file as it is found: a value with its fields, or a problem.

    Raises:
        InputError: The file is gone or may not be read.
    """
    if path.is_dir():
        yield Row(problem="directory", excerpt=path.name)
        return
    try:
        with path.open("rb") as file:
            head = file.read(8)
            if not head:
                yield Row(problem="empty_file")
                return
            file.seek(0)
            yield from _rows_of_stream(file, head, path, rules)
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error


def _rows_of_stream(
    file: IO[bytes], head: bytes, path: Openable, rules: ReadRules
) -> Iterator[Row]:
    name = path.name.lower()
    stem = next((name.removesuffix(end) for end in _COMPRESSED if name.endswith(end)), name)
    kind = rules.format if rules.format != "auto" else _kind(stem)
    if head.startswith(b"PAR1"):
        yield from _parquet_rows(file, rules)
        return
    if kind == "parquet":
        yield Row(problem="unreadable", excerpt="not a Parquet file")
        return
    stream: IO[bytes] = file
    if head.startswith(b"\x1f\x8b"):
        stream = cast("IO[bytes]", gzip.GzipFile(fileobj=file))
    elif head.startswith(b"\x28\xb5\x2f\xfd"):
        stream = pa.CompressedInputStream(pa.PythonFile(file, mode="r"), "zstd")
    elif name.endswith(_COMPRESSED):
        yield Row(problem="unreadable", excerpt=f"not a {path.suffix[1:]} file")
        return
    blocks = _blocks(stream, _BLOCK_BYTES if stream is file else _ZSTD_BLOCK_BYTES)
    reader = {"jsonl": _json_rows, "csv": _csv_rows, "text": _text_rows}[kind]
    yield from reader(blocks, rules, "\t" if stem.endswith(".tsv") else ",")


def _kind(stem: str) -> str:
    if stem.endswith((".jsonl", ".ndjson", ".json")):
        return "jsonl"
    if stem.endswith(".parquet"):
        return "parquet"
    return "csv" if stem.endswith((".csv", ".tsv")) else "text"


_TRUNCATED = b""
"""Marks in a stream of blocks that the shard ended in the middle."""


def _blocks(stream: IO[bytes], size: int) -> Iterator[bytes]:
    """Yield the decompressed bytes; a last empty block says that the stream broke off.

    ``read1`` hands out what a broken stream still gave, where ``read`` would lose it.
    """
    first = True
    while True:
        try:
            block = stream.read1(size)  # type: ignore[attr-defined]
        except (EOFError, zlib.error, OSError) as error:
            if getattr(error, "errno", None) is not None:
                raise  # the disk, not the stream
            yield _TRUNCATED
            return
        if not block:
            return
        if first:
            block = block.removeprefix(b"\xef\xbb\xbf")
            first = False
        if block:
            yield block


def _lines(blocks: Iterator[bytes], limit: int) -> Iterator[tuple[bytes | None, bytes]]:
    r"""Yield (line, b"") for each line, (None, head) for one above the limit or a broken end.

    A line above the limit yields ``(None, its first bytes)`` and is otherwise skipped; a stream
    that breaks off yields ``(None, b"\0" + the incomplete line's first bytes)``.
    """
    pending, skipping = b"", False
    for block in blocks:
        if block == _TRUNCATED:
            yield None, b"\0" + pending[:1000]
            return
        *complete, rest = block.split(b"\n")
        for piece in complete:
            if not skipping:
                line = pending + piece
                yield (line, b"") if len(line) <= limit else (None, line[:1000])
            pending, skipping = b"", False
        if skipping:
            continue
        pending += rest
        if len(pending) > limit:
            yield None, pending[:1000]
            pending, skipping = b"", True
    if pending:
        yield pending, b""


def _json_rows(blocks: Iterator[bytes], rules: ReadRules, _separator: str) -> Iterator[Row]:
    limit = 8 * rules.max_characters + _BLOCK_BYTES
    for line, head in _lines(blocks, limit):
        if line is None:
            cut = head.startswith(b"\0")
            excerpt = head.removeprefix(b"\0").decode("utf-8", "replace")
            yield Row(problem="truncated" if cut else "too_long", excerpt=excerpt)
        elif line.strip():
            yield _json_row(line, rules)


def _json_row(line: bytes, rules: ReadRules) -> Row:
    try:
        text = line.decode("utf-8")
    except UnicodeDecodeError:
        return Row(problem="invalid_utf8", excerpt=line[:1000].decode("utf-8", "backslashreplace"))
    try:
        fields = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return Row(problem="invalid_json", excerpt=text[:1000])
    if not isinstance(fields, dict):
        return Row(problem="invalid_json", excerpt=text[:1000])
    return Row(value=field_of(fields, rules.text), fields=fields)


def _no_constant(_name: str) -> None:
    """NaN and Infinity, which JSON does not have but Python writes, are read as null."""


def _csv_rows(blocks: Iterator[bytes], rules: ReadRules, separator: str) -> Iterator[Row]:
    csv.field_size_limit(8 * rules.max_characters + _BLOCK_BYTES)
    broken: list[bytes] = []

    def lines() -> Iterator[str]:
        for line, head in _lines(blocks, 8 * rules.max_characters + _BLOCK_BYTES):
            if line is None:
                broken.append(head)
                return
            yield line.decode("utf-8", "surrogateescape") + "\n"

    reader = csv.reader(lines(), delimiter=separator)
    try:
        header = next(reader, None)
        if header is None or rules.text not in header:
            found = ", ".join(header or [])
            yield Row(problem="unreadable", excerpt=f"no column {rules.text!r}; found: {found}")
            return
        for cells in reader:
            if cells:
                fields = dict(zip(header, cells, strict=False))
                yield Row(value=fields.get(rules.text), fields=fields)
    except csv.Error as error:
        yield Row(problem="unreadable", excerpt=str(error))
    if broken:
        cut = broken[0].startswith(b"\0")
        excerpt = broken[0].removeprefix(b"\0").decode("utf-8", "replace")
        yield Row(problem="truncated" if cut else "too_long", excerpt=excerpt)


def _text_rows(blocks: Iterator[bytes], rules: ReadRules, _separator: str) -> Iterator[Row]:
    limit = 8 * rules.max_characters + _BLOCK_BYTES
    if rules.split == "blank_line":
        yield from _paragraph_rows(blocks, limit)
        return
    buffer = io.BytesIO()
    for block in blocks:
        if block == _TRUNCATED:
            excerpt = buffer.getvalue()[:1000].decode("utf-8", "replace")
            yield Row(problem="truncated", excerpt=excerpt)
            return
        buffer.write(block)
        if buffer.tell() > limit:
            excerpt = buffer.getvalue()[:1000].decode("utf-8", "replace")
            yield Row(problem="too_long", excerpt=excerpt)
            return
    yield _decoded(buffer.getvalue())


def _paragraph_rows(blocks: Iterator[bytes], limit: int) -> Iterator[Row]:
    paragraph: list[bytes] = []
    size = 0
    for line, head in _lines(blocks, limit):
        if line is None:
            cut = head.startswith(b"\0")
            excerpt = (b"\n".join(paragraph) + head.removeprefix(b"\0"))[:1000]
            reason = "truncated" if cut else "too_long"
            yield Row(problem=reason, excerpt=excerpt.decode("utf-8", "replace"))
            paragraph, size = [], 0
        elif line.strip():
            size += len(line)
            if size <= limit:
                paragraph.append(line.removesuffix(b"\r"))
        elif paragraph:
            yield _paragraph(paragraph, size > limit)
            paragraph, size = [], 0
    if paragraph:
        yield _paragraph(paragraph, size > limit)


def _paragraph(lines: list[bytes], is_too_long: bool) -> Row:
    text = b"\n".join(lines)
    if is_too_long:
        return Row(problem="too_long", excerpt=text[:1000].decode("utf-8", "replace"))
    return _decoded(text)


def _decoded(raw: bytes) -> Row:
    try:
        return Row(value=raw.decode("utf-8"))
    except UnicodeDecodeError:
        return Row(problem="invalid_utf8", excerpt=raw[:1000].decode("utf-8", "backslashreplace"))


def _parquet_rows(file: IO[bytes], rules: ReadRules) -> Iterator[Row]:
    import pyarrow.parquet as pq

    try:
        # Buffering ahead reads every row group at once, and memory would grow with the shard.
        parquet = pq.ParquetFile(file, pre_buffer=False)
        available = set(parquet.schema_arrow.names)
        wanted = {
            name if name in available else name.split(".")[0]
            for name in (rules.text, rules.id, *rules.metadata)
        }
        columns = sorted(wanted & available)
        if rules.text not in available and rules.text.split(".")[0] not in available:
            found = ", ".join(sorted(available))
            yield Row(problem="unreadable", excerpt=f"no column {rules.text!r}; found: {found}")
            return
        for batch in parquet.iter_batches(batch_size=256, columns=columns):
            yield from _batch_rows(batch, rules)
    except (pa.ArrowException, OSError) as error:
        yield Row(problem="truncated", excerpt=str(error))


def _batch_rows(batch: Any, rules: ReadRules) -> Iterator[Row]:
    try:
        rows = batch.to_pylist()
    except _UNCONVERTIBLE:
        # One bad value spoils the batch's conversion, so each is tried by itself.
        for index in range(batch.num_rows):
            try:
                fields = {name: _value(batch.column(name)[index]) for name in batch.schema.names}
            except UnicodeDecodeError as error:
                yield Row(problem="invalid_utf8", excerpt=repr(bytes(error.object)[:200]))
            else:
                yield Row(value=field_of(fields, rules.text), fields=fields)
        return
    for fields in rows:
        yield Row(value=field_of(fields, rules.text), fields=fields)


def _value(scalar: Any) -> Any:
    """Return a Parquet value; a time that Python cannot hold as Arrow's text, or else None.

    Raises:
        UnicodeDecodeError: A string is not UTF-8.
    """
    if isinstance(scalar, pa.StructScalar) and scalar.is_valid:
        return {name: _value(scalar[name]) for name in scalar}
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        raise
    except _UNCONVERTIBLE:
        try:
            return scalar.cast(pa.string()).as_py()
        except pa.ArrowException:
            return None
