"""Commands that ask the lake: in SQL, for every score, for one document."""

from pathlib import Path
from typing import Annotated

import typer

from samplemix_dagster.cli.options import (
    CONFIG,
    ConfigOption,
    FormatOption,
    JsonOption,
    open_project,
)
from samplemix_dagster.errors import InputError
from samplemix_dagster.show.terminal import print_json, print_lines, say


def query(
    sql: Annotated[str, typer.Argument(help="One select over the lake's views.")],
    config: ConfigOption = CONFIG,
    json: JsonOption = False,
    limit: Annotated[int, typer.Option(help="Rows of a table; other forms have all.")] = 100,
    form: FormatOption = "table",
) -> None:
    """Ask the lake in SQL (DuckDB, read-only)."""
    from samplemix_dagster.show.printed_table import chosen_format, print_table, write_table
    from samplemix_dagster.storage.ask.query import query as ask

    form = chosen_format(form, json=json)
    project = open_project(config)
    table = ask(project.lake, sql, project.config.query)
    if form == "json":
        print_json(table.to_pylist())
        return
    if form != "table":
        write_table(form, table)
        return
    columns = [column.to_pylist() for column in table.slice(0, limit).columns]
    print_table(table.column_names, list(zip(*columns, strict=True)))
    if table.num_rows > limit:
        say(f"{table.num_rows - limit:,} more rows; --limit shows more.")


def scores(
    to: Annotated[Path, typer.Option("--to", help="File to write: .parquet, .csv or .jsonl.")],
    config: ConfigOption = CONFIG,
) -> None:
    """Write one row per document with every score."""
    from samplemix_dagster.storage.ask.tabular import check_ending, write_tabular

    check_ending(to)
    from samplemix_dagster.storage.ask.query import query as ask

    table = ask(open_project(config).lake, "select * from scores order by source, shard, row")
    if table.num_rows == 0:
        raise InputError("there are no scores yet; `samplemix run` makes them.")
    write_tabular(table, to)
    say(f"Wrote {table.num_rows:,} documents to {to}.")


def explain(
    document: Annotated[
        str,
        typer.Argument(
            help="A document's id (32 hex digits, or its start), or PATH#ROW or DIGEST#ROW."
        ),
    ],
    config: ConfigOption = CONFIG,
    mixture: Annotated[
        str | None, typer.Option(help="A mixture's name, or name@version; all current when absent.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show one document or row: text, scores and their recipes, weight, copies and why."""
    from samplemix_dagster.show.explained import explanation_lines
    from samplemix_dagster.trace.explain import explain_document, explain_row

    look = explain_row if "#" in document else explain_document
    found = look(open_project(config), document, mixture)
    if json:
        print_json(found)
    else:
        print_lines(explanation_lines(found))
