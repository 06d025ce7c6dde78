"""Ask the lake in SQL: DuckDB in memory, the lake's views, read-only.

A query can read the lake and nothing else, and writes nothing: one ``select`` at a time, no access
to other files or to the network, and settings are locked before the query runs.
"""

import re
from typing import Any

from samplemix_dagster.errors import ConfigError
from samplemix_dagster.storage.lake import Lake
from samplemix_dagster.storage.view_tables import check_tables
from samplemix_dagster.storage.views import VIEWS, report_statements, view_statements

_EXPLAIN = re.compile(r"\s*explain\b\s*(analyze\b|\([^)]*\))?", re.IGNORECASE)


def connect(lake: Lake) -> Any:
    """Return a DuckDB connection that has the lake's views and may read nothing else."""
    import duckdb

    connection = duckdb.connect(":memory:")
    with lake.snapshot():
        statements = [*view_statements(lake), *report_statements(lake)]
    try:
        for statement in statements:
            connection.execute(statement)
    except duckdb.Error:
        check_tables(lake, with_reports=True)
        raise
    folder = str(lake.root.resolve()).replace("'", "''")
    connection.execute(f"set allowed_directories = ['{folder}/']")
    connection.execute("set enable_external_access = false")
    connection.execute("set lock_configuration = true")
    return connection


def query(lake: Lake, sql: str) -> Any:
    """Return the Arrow table that a query gives.

    Raises:
        ConfigError: The text is not one reading statement, or DuckDB refuses it.
    """
    import duckdb

    try:
        statements = duckdb.extract_statements(sql)
        only_reads = len(statements) == 1 and _reads(statements[0])
    except duckdb.Error as error:
        raise ConfigError(f"query: {_first_line(error)}") from None
    if not only_reads:
        raise ConfigError(
            "query: one `select` at a time, and nothing that writes. There are the views "
            f"{', '.join(VIEWS)} and the report models."
        )
    with connect(lake) as connection:
        try:
            return connection.sql(statements[0].query).to_arrow_table()
        except duckdb.Error as error:
            in_words = (duckdb.ParserException, duckdb.BinderException, duckdb.CatalogException)
            if not isinstance(error, in_words):
                check_tables(lake, with_reports=True)
            raise ConfigError(f"query: {_message(error)}") from None


def _reads(statement: Any) -> bool:
    """Whether a statement selects, or explains one that does: ``explain analyze`` runs it."""
    import duckdb

    if statement.type.name == "EXPLAIN":
        inner = duckdb.extract_statements(_EXPLAIN.sub("", statement.query, count=1))
        return len(inner) == 1 and inner[0].type.name == "SELECT"
    return bool(statement.type.name == "SELECT")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]


def _message(error: Exception) -> str:
    lines = [line for line in str(error).splitlines() if line.strip()]
    return "\n".join(lines[:6])
