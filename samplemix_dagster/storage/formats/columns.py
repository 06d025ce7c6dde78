"""Parquet and Arrow: tables, a few rows at a time.

The number of rows is what the file's own footer or batches say. Rows that cannot be reached are one
rejection that stands for all of them.
"""

from collections.abc import Iterator, Sequence
from typing import IO, Any

import pyarrow as pa

from samplemix_dagster.storage.formats.base import ReadRules, Row, Rows, field_of, paired, text_of

_UNCONVERTIBLE = (ValueError, OverflowError, LookupError, pa.ArrowException)
_BROKEN = (pa.ArrowException, OSError, ValueError, LookupError, OverflowError, MemoryError)
"""What a broken file raises: a length in it that is wrong asks for more memory than there is."""
_BATCH_ROWS = 256
_BATCH_BYTES = 1 << 26
_BUFFER_BYTES = 1 << 20


def read_parquet(file: IO[bytes], rules: ReadRules) -> Rows:
    """Give the rows of a Parquet file.

    Raises:
        OSError: The disk or the network failed.
    """
    import pyarrow.parquet as pq

    num_rows = total = 0
    try:
        # Buffering ahead reads every row group at once, and memory would grow with the shard.
        parquet = pq.ParquetFile(file, pre_buffer=False)
        total = int(parquet.metadata.num_rows)
        names: list[str] = parquet.schema_arrow.names
        columns, problem = _chosen(names, rules)
        if problem:
            yield Row(problem="unreadable", excerpt=problem)
            return 1
        size = _batch_rows(parquet.metadata)
        for batch in parquet.iter_batches(batch_size=size, columns=columns):
            num_rows += batch.num_rows
            yield from rows_of_batch(batch, rules)
    except _BROKEN as error:
        _raise_if_of_the_disk(error)
        lost = max(1, total - num_rows)
        yield _lost_rows("truncated", error, lost)
        return num_rows + lost
    return total


def _batch_rows(metadata: Any) -> int:
    """Return how many rows are read at once: fewer where they are long."""
    longest = 1.0
    for number in range(metadata.num_row_groups):
        # Its columns are not asked: of a broken file they can end the process.
        group = metadata.row_group(number)
        longest = max(longest, group.total_byte_size / max(1, group.num_rows))
    return int(min(_BATCH_ROWS, max(1, _BATCH_BYTES // longest)))


def _chosen(available: Sequence[str], rules: ReadRules) -> tuple[list[str], str]:
    """Return (the columns that are needed, why the table cannot be read)."""
    if rules.every_field:
        return sorted(set(available)), ""
    wanted = {
        name if name in available else name.split(".")[0]
        for name in (rules.text, rules.id, *rules.metadata)
    }
    text = rules.text if rules.text in available else rules.text.split(".")[0]
    if text not in available:
        found = ", ".join(sorted(set(available)))
        return [], f"no column {rules.text!r}; found: {found}"
    if (count := list(available).count(text)) > 1 and not rules.as_before:
        return [], f"{count} columns are called {text!r}"
    return sorted(wanted & set(available)), ""


def read_arrow(file: IO[bytes], rules: ReadRules) -> Rows:
    """Give the rows of an Arrow file or an Arrow stream (data sets that were saved to disk).

    Raises:
        OSError: The disk or the network failed.
    """
    num_rows = total = 0
    problem = "unreadable"
    try:
        for batch in _arrow_batches(file):
            problem = "truncated"
            if batch is None:
                continue
            columns, why_not = _chosen(batch.schema.names, rules)
            if why_not:
                yield Row(problem="unreadable", excerpt=why_not)
                return 1
            total += batch.num_rows
            indices = [i for i, name in enumerate(batch.schema.names) if name in set(columns)]
            chosen = batch.select(indices)
            for start in range(0, batch.num_rows, _BATCH_ROWS):
                piece = chosen.slice(start, _BATCH_ROWS)
                _require_sound(piece)
                num_rows += piece.num_rows
                yield from rows_of_batch(piece, rules)
    except _BROKEN as error:
        _raise_if_of_the_disk(error)
        lost = max(1, total - num_rows)
        yield _lost_rows(problem, error, lost)
        return num_rows + lost
    return total


def _lost_rows(problem: str, error: BaseException, count: int) -> Row:
    """Return the rejection that stands for rows that cannot be reached."""
    words = str(error) or "it asks for more memory than there is"
    return Row(problem=problem, excerpt=words, num_rows=count, is_one=True)


def _arrow_batches(file: IO[bytes]) -> Iterator[Any]:
    """Yield None once the file is known to be Arrow, and then its batches."""
    from pyarrow import ipc

    is_file = file.read(6) == b"ARROW1"
    file.seek(0)
    if not is_file:
        with ipc.open_stream(file) as reader:
            yield None
            yield from reader
        return
    yield None
    with ipc.open_file(file) as reader:
        for number in range(reader.num_record_batches):
            yield reader.get_batch(number)


def _require_sound(batch: Any) -> None:
    """Refuse a batch whose offsets lead outside it; Arrow would follow them.

    Raises:
        ArrowException: They do. Bytes that are not UTF-8 are no such thing: their rows say so.
    """
    for column in batch.columns:
        is_text = pa.types.is_string(column.type) or pa.types.is_large_string(column.type)
        if is_text:
            kind = pa.binary() if pa.types.is_string(column.type) else pa.large_binary()
            column.validate()
            column.view(kind).validate(full=True)
            continue
        try:
            column.validate(full=True)
        except pa.ArrowInvalid as error:
            if "UTF8" not in str(error):
                raise


def _raise_if_of_the_disk(error: Exception) -> None:
    if isinstance(error, OSError) and getattr(error, "errno", None) is not None:
        raise error


def rows_of_batch(batch: Any, rules: ReadRules) -> Iterator[Row]:
    """Yield the rows of a batch: one that stands for all of them where no text is there."""
    names = batch.schema.names
    is_text = not rules.every_field and rules.text in names
    if is_text and batch.column(names.index(rules.text)).null_count == batch.num_rows:
        if batch.num_rows:
            yield Row(fields={}, num_rows=batch.num_rows)
        return
    is_doubled = len(set(names)) < len(names) and not rules.as_before
    try:
        columns = [column.to_pylist() for column in batch.columns]
    except _UNCONVERTIBLE:
        yield from _rows_one_by_one(batch, rules)
        return
    for values in zip(*columns, strict=True):
        yield _row(list(zip(names, values, strict=True)), rules, is_doubled=is_doubled)


def _row(pairs: list[tuple[str, Any]], rules: ReadRules, *, is_doubled: bool) -> Row:
    if is_doubled:
        return text_of(paired(pairs), rules)
    fields = dict(pairs)
    return Row(value=field_of(fields, rules.text), fields=fields)


def _rows_one_by_one(batch: Any, rules: ReadRules) -> Iterator[Row]:
    """One bad value spoils a column's conversion, so each is tried by itself."""
    names = batch.schema.names
    is_doubled = len(set(names)) < len(names) and not rules.as_before
    for index in range(batch.num_rows):
        try:
            values = [_value(column[index]) for column in batch.columns]
        except UnicodeDecodeError as error:
            yield Row(problem="invalid_utf8", excerpt=repr(bytes(error.object)[:200]))
        else:
            yield _row(list(zip(names, values, strict=True)), rules, is_doubled=is_doubled)


def _value(scalar: Any) -> Any:
    """Return a value of a table; a time that Python cannot hold as Arrow's text, or else None.

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
