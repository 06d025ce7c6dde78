"""Ask the lake in SQL: DuckDB in memory, the lake's views, read-only.

A query can read the lake and nothing else, and writes nothing, whatever its words are: the
connection has no file system, no network and no settings to change, and its transaction is
read-only. What the lake holds is handed in as data sets, which Arrow reads. One statement at a
time, within bounds of time and memory.
"""

import contextlib
import fnmatch
import itertools
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from samplemix_dagster.config.around import Query
from samplemix_dagster.errors import ConfigError, LakeError, SampleMixError
from samplemix_dagster.storage.ask.view_tables import check_tables
from samplemix_dagster.storage.ask.views import (
    REJECTED_ENDING,
    VIEWS,
    report_statements,
    view_statements,
)
from samplemix_dagster.storage.lake.keys import is_ours
from samplemix_dagster.storage.lake.lake import Lake
from samplemix_dagster.tables import REJECTIONS

_BATCH_ROWS = 100_000
_LOOK_SECONDS = 0.05
_GIVE_UP_SECONDS = 0.5
"""How long a stopped statement is waited for; one that takes longer ends with the process."""
_NOWHERE = "/dev/null/nowhere"
"""A folder that nobody can make: DuckDB makes some of its own without asking its file system."""
_LOCKED = (
    "set temp_directory = ''",
    f"set home_directory = '{_NOWHERE}'",
    f"set extension_directories = ['{_NOWHERE}']",
    f"set secret_directory = '{_NOWHERE}'",
    "set python_enable_replacements = false",
    "set autoinstall_known_extensions = false",
    "set autoload_known_extensions = false",
    "set allow_community_extensions = false",
    "set allow_persistent_secrets = false",
    "set disabled_filesystems = 'LocalFileSystem'",
    "set enable_external_access = false",
    "set lock_configuration = true",
)
"""In this order: what follows cannot be undone, and nothing is put on disk."""


def connect(lake: Lake, limits: Query | None = None, also: Sequence[str] = ()) -> Any:
    """Return a DuckDB connection that has the lake's views and can open and change nothing.

    Args:
        lake: The lake.
        limits: How much memory it may take; DuckDB's own limit when absent.
        also: Names by which a query calls files of the lake: their keys, also with wildcards.
    """
    import duckdb

    connection = duckdb.connect(":memory:")
    sets = _DataSets(connection)
    try:
        with lake.snapshot():
            statements = [
                *view_statements(lake, sets.reader),
                *report_statements(lake, sets.reader),
            ]
            for name in also:
                files = [str(path) for path in lake.paths(_keys(lake, name))]
                if files:
                    connection.register(name, _data_set(files, is_named=False))
        for statement in statements:
            connection.execute(statement)
    except (duckdb.Error, LakeError):
        check_tables(lake, with_reports=True)
        raise
    if limits is not None:
        connection.execute(f"set memory_limit = '{limits.memory}B'")
    return _locked(connection)


def _locked(connection: Any) -> Any:
    for statement in _LOCKED:
        connection.execute(statement)
    return connection


class _DataSets:
    """Parquet files as named relations of a connection that never opens them itself."""

    def __init__(self, connection: Any) -> None:
        self.connection = connection
        self.num_made = 0

    def reader(self, files: Sequence[str], is_named: bool) -> str:
        """Return the name of a relation with the rows of some files."""
        name = f"files_{self.num_made}"
        self.num_made += 1
        self.connection.register(name, _data_set(files, is_named=is_named))
        return name


def _data_set(files: Sequence[str], *, is_named: bool) -> Any:
    """Return an Arrow data set; a file's name is a column of its own where it is asked for."""
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq
    from pyarrow.fs import LocalFileSystem

    try:
        schema = _whole(_readable(pq.read_schema(files[0]).remove_metadata()), files[0])
    except (pa.ArrowException, OSError) as error:
        raise LakeError(
            f"{files[0]} cannot be read ({error}); `samplemix run --check-lake` makes it again."
        ) from error
    if is_named:
        schema = schema.append(pa.field("filename", pa.string()))
    options = ds.ParquetFragmentScanOptions(page_checksum_verification=True)
    return ds.FileSystemDataset.from_paths(
        list(files),
        schema=schema,
        format=ds.ParquetFileFormat(default_fragment_scan_options=options),
        filesystem=LocalFileSystem(),
        partitions=[pc.field("filename") == file for file in files] if is_named else None,
    )


def _whole(schema: Any, file: str) -> Any:
    """Return a schema with the columns that came later: they are null where a table lacks them."""
    if not file.endswith(REJECTED_ENDING):
        return schema
    later = [column for column in REJECTIONS.columns if column.came_later]
    for column in later:
        if column.name not in schema.names:
            schema = schema.append(column.field)
    return schema


def _readable(schema: Any) -> Any:
    """Return a schema with floats for numbers of half precision, which DuckDB does not read."""
    import pyarrow as pa

    def wider(kind: Any) -> Any:
        if pa.types.is_float16(kind):
            return pa.float32()
        if pa.types.is_fixed_size_list(kind):
            return pa.list_(wider(kind.value_type), kind.list_size)
        return pa.list_(wider(kind.value_type)) if pa.types.is_list(kind) else kind

    return pa.schema([field.with_type(wider(field.type)) for field in schema])


def query(lake: Lake, sql: str, limits: Query | None = None) -> Any:
    """Return the Arrow table that a query gives.

    Args:
        lake: The lake.
        sql: One statement that reads.
        limits: How long it may take and how much it may hold; as much as it needs when absent.

    Raises:
        ConfigError: The text is not one reading statement, or DuckDB refuses it.
        SampleMixError: It took too long, or too much.
    """
    import duckdb

    # Parsing alone can make DuckDB look for extensions, and make their folder.
    with _locked(duckdb.connect(":memory:")) as parser:
        try:
            text = reading_statement(sql, parser)
        except duckdb.Error as error:
            raise ConfigError(f"query: {_sentence(error)}") from None
        also = [] if text is None else _files_named(text, parser)
    if text is None:
        raise ConfigError(
            "query: one `select` at a time, and nothing that writes. There are the views "
            f"{', '.join(VIEWS)} and the report models."
        )
    connection = connect(lake, limits, also)
    try:
        return _with_own_names(_Asked(connection, text, limits).answer())
    except (duckdb.OutOfMemoryException, MemoryError):
        raise SampleMixError(_too_much(limits)) from None
    except duckdb.PermissionException as error:
        raise ConfigError(
            f"query: Cannot access files, network or settings ({_sentence(error)}): there are the "
            "lake's views, and tables of the lake by key ('features/words/*/*.parquet')."
        ) from None
    except duckdb.Error as error:
        in_words = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException)
        if not isinstance(error, in_words):
            check_tables(lake, with_reports=True)
        raise ConfigError(f"query: {_sentence(error)}") from None


def _with_own_names(table: Any) -> Any:
    """Return a table whose columns have names of their own: JSON would keep the last alone."""
    names: list[str] = []
    for name in table.column_names:
        others = (f"{name}_{number}" for number in itertools.count(1))
        names.append(name if name not in names else next(n for n in others if n not in names))
    return table.rename_columns(names)


def reading_statement(sql: str, parser: Any) -> str | None:
    """Return the one statement of a text if it selects, or explains one that does; else None.

    What is explained is parsed by itself, and put behind words of our own: what runs is then what
    was parsed, however the text is written.

    Raises:
        duckdb.Error: The text cannot be parsed.
    """
    import duckdb

    statements = parser.extract_statements(sql)
    if len(statements) != 1:
        return None
    kind, text = statements[0].type.name, str(statements[0].query)
    if kind == "SELECT":
        return text
    found = _explained(text) if kind == "EXPLAIN" else None
    if found is None:
        return None
    try:
        inner = parser.extract_statements(found[1])
    except duckdb.Error:
        return None
    if len(inner) != 1 or inner[0].type.name != "SELECT":
        return None
    return f"{found[0]} {inner[0].query}"


def _explained(text: str) -> tuple[str, str] | None:
    """Return (``explain`` with its options, what is explained), by DuckDB's own words."""
    import duckdb

    content = text.encode()  # the places of words are counted in bytes
    found = [*duckdb.tokenize(text), (len(content), None)]
    words = [
        (at, content[at:end].decode(errors="replace").strip().lower())
        for (at, kind), (end, _) in itertools.pairwise(found)
        if kind != duckdb.token_type.comment
    ]
    if not words or words[0][1] != "explain":
        return None
    head, rest = "explain", words[1:]
    if rest and rest[0][1] == "analyze":
        head, rest = "explain analyze", rest[1:]
    elif rest and rest[0][1].startswith("("):
        inside = list(itertools.takewhile(lambda word: not word[1].startswith(")"), rest[1:]))
        options = [word for _, word in inside]
        if all(word.isalpha() or word == "," for word in options):
            head, rest = f"explain ({' '.join(options)})", rest[len(inside) + 2 :]
    return (head, content[rest[0][0] :].decode(errors="replace")) if rest else None


class _Asked:
    """A statement at work in a thread of its own, so that it can be stopped from this one."""

    def __init__(self, connection: Any, sql: str, limits: Query | None) -> None:
        self.connection = connection
        self.sql = sql
        self.limits = limits
        self.found: Any = None
        self.error: BaseException | None = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def answer(self) -> Any:
        """Return the table, or raise what went wrong.

        Raises:
            SampleMixError: It took too long.
        """
        until = time.monotonic() + (self.limits.timeout if self.limits else float("inf"))
        self.thread.start()
        try:
            while self.thread.is_alive():
                self.thread.join(_LOOK_SECONDS)
                if time.monotonic() > until and self.thread.is_alive():
                    self._stop()
                    raise SampleMixError(
                        f"query: stopped after {self.limits.timeout if self.limits else 0} s; ask "
                        "for less, or raise `query.timeout`."
                    )
        except KeyboardInterrupt:
            self._stop()
            raise
        if self.error is not None:
            raise self.error
        return self.found

    def _stop(self) -> None:
        """Interrupt the statement until its thread has ended, or for as long as is bearable."""
        import duckdb

        until = time.monotonic() + _GIVE_UP_SECONDS
        while self.thread.is_alive() and time.monotonic() < until:
            with contextlib.suppress(duckdb.Error):  # it has just ended
                self.connection.interrupt()
            self.thread.join(_LOOK_SECONDS)

    def _bounded(self, reader: Any) -> Iterator[Any]:
        """Yield the answer's batches, as long as all of them together may be held."""
        num_bytes = 0
        for batch in reader:
            num_bytes += batch.nbytes
            if self.limits is not None and num_bytes > self.limits.memory:
                raise MemoryError
            yield batch

    def _run(self) -> None:
        import pyarrow as pa

        try:
            self.connection.execute("begin transaction read only")
            reader = self.connection.sql(self.sql).to_arrow_reader(_BATCH_ROWS)
            self.found = pa.Table.from_batches(list(self._bounded(reader)), reader.schema)
        except BaseException as error:  # noqa: BLE001  the other thread raises it
            self.error = error
        finally:
            self.connection.close()


def _files_named(text: str, parser: Any) -> list[str]:
    """Return the names in a statement that may be of files; DuckDB's parser finds them."""
    import duckdb

    try:
        names = parser.get_table_names(text)
    except duckdb.Error:
        return []
    return sorted(name for name in names if name.endswith(".parquet"))


def _keys(lake: Lake, words: str) -> list[str]:
    """Return the keys of tables in the lake that a key with wildcards, or a path, stands for."""
    root = lake.root.resolve()
    path = Path(words)
    if path.is_absolute():
        if not path.is_relative_to(root):
            return []
        words = path.relative_to(root).as_posix()
    found = [""]
    for part in PurePosixPath(words).parts:
        found = [
            f"{folder}/{name}".lstrip("/")
            for folder in found
            for name in sorted(fnmatch.filter(lake.names(folder), part))
        ]
    return [key for key in found if is_ours(key)]


def _too_much(limits: Query | None) -> str:
    if limits is None:
        return "query: it needs more memory than there is."
    return (
        f"query: it needs more than {limits.memory / 1e9:,.1f} GB of memory; ask for less, or "
        "raise `query.memory`."
    )


def _sentence(error: Exception) -> str:
    """Return what DuckDB says in one line, without the query's own text and the mark below it."""
    lines = []
    for line in str(error).splitlines():
        if line.startswith("LINE "):
            break
        if line.strip():
            lines.append(line.strip())
    # Its advice is to install an extension, which is not to be had here.
    return " ".join(lines).partition(" Please try installing")[0]
