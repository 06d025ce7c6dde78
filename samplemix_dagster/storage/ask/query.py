"""Ask the lake in SQL: DuckDB in memory, the lake's views, read-only.

A query can read the lake and nothing else, and writes nothing, whatever its words are: the
connection has no file system, no network and no settings to change, and its transaction is
read-only. What the lake holds is handed in as data sets, which Arrow reads. One statement at a
time, within bounds of time and memory.
"""

import fnmatch
import itertools
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from samplemix_dagster.config.around import Query
from samplemix_dagster.errors import ConfigError, LakeError, SampleMixError
from samplemix_dagster.storage.ask.asked import Asked
from samplemix_dagster.storage.ask.data_sets import DataSets, data_set
from samplemix_dagster.storage.ask.relations.view_tables import check_tables
from samplemix_dagster.storage.ask.relations.views import VIEWS, report_statements, view_statements
from samplemix_dagster.storage.ask.statement import files_named, reading_statement
from samplemix_dagster.storage.lake.keys import is_ours
from samplemix_dagster.storage.lake.lake import Lake

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
    sets = DataSets(connection)
    try:
        with lake.snapshot():
            statements = [
                *view_statements(lake, sets.reader),
                *report_statements(lake, sets.reader),
            ]
            for name in also:
                files = [str(path) for path in lake.paths(_keys(lake, name))]
                if files:
                    connection.register(name, data_set(files, is_named=False))
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
        also = [] if text is None else files_named(text, parser)
    if text is None:
        raise ConfigError(
            "query: one `select` at a time, and nothing that writes. There are the views "
            f"{', '.join(VIEWS)} and the report models."
        )
    connection = connect(lake, limits, also)
    try:
        return _with_own_names(Asked(connection, text, limits).answer())
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
