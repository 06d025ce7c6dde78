"""The commands of ``samplemix``.

Each command is thin: it opens the project, calls one function, shows the answer. Heavy packages
(Dagster, torch, DuckDB, pyarrow) are imported where they are used, so that ``--help`` and looking
things up stay quick. Errors are one sentence on stderr; ``--debug`` adds the traceback.
"""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from samplemix_dagster import __version__
from samplemix_dagster.cli.commands.config import config_app, init
from samplemix_dagster.cli.commands.contamination import contamination
from samplemix_dagster.cli.commands.dirty import dirty
from samplemix_dagster.cli.commands.evaluate import evaluate
from samplemix_dagster.cli.commands.mixture import mixture_app
from samplemix_dagster.cli.commands.papers import card, rebuild, recipe, summary
from samplemix_dagster.cli.commands.plan import plan, status
from samplemix_dagster.cli.commands.run import run
from samplemix_dagster.cli.commands.takedown import takedown_app
from samplemix_dagster.cli.commands.trace import sees, trace
from samplemix_dagster.cli.options import (
    CONFIG,
    ConfigOption,
    FormatOption,
    JsonOption,
    open_project,
)
from samplemix_dagster.errors import ConfigError, InputError, SampleMixError
from samplemix_dagster.export_formats.table import FORMATS
from samplemix_dagster.show.terminal import print_json, print_lines, say

if TYPE_CHECKING:
    from samplemix_dagster.engine.project import Project

app = typer.Typer(
    name="samplemix",
    help="Decide which documents to pre-train on, and how often.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(mixture_app, name="mixture")
app.add_typer(config_app, name="config")
app.add_typer(takedown_app, name="takedown")

_STOPPED = 130
"""What click gives back after Ctrl-C: 128 + SIGINT."""


def main() -> None:
    """Run a command; turn errors into a sentence and an exit code."""
    debug = "--debug" in sys.argv
    arguments = [word for word in sys.argv[1:] if word != "--debug"]
    try:
        code = app(arguments, standalone_mode=False)
    except SampleMixError as error:
        _leave(str(error), error.exit_code, debug=debug)
    except BrokenPipeError:
        os._exit(0)
    except Exception as error:  # noqa: BLE001  the last resort: a sentence, not a traceback
        click_message = getattr(error, "format_message", None)
        if click_message is not None:
            context = getattr(error, "ctx", None)
            usage = f"{context.get_usage()}\n" if context is not None else ""
            _leave(f"{usage}{click_message()}", 2, debug=debug)
        _leave(
            f"{type(error).__name__}: {error}\nThis is unexpected; --debug shows where.",
            1,
            debug=debug,
        )
    if code == _STOPPED:
        _leave(
            "stopped; what was finished is kept, and `run` goes on from there.", code, debug=debug
        )
    # Outside of its standalone mode click hands the code of an early exit back.
    sys.exit(code if isinstance(code, int) else 0)


def _leave(message: str, code: int, *, debug: bool) -> NoReturn:
    if debug:
        import traceback

        say(traceback.format_exc())
    say(f"samplemix: {message}")
    sys.exit(code)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where an error comes from (with any command).")
    ] = False,
) -> None:
    """Decide which documents to pre-train on, and how often."""
    del debug  # `main` has taken it, wherever it stood
    if version:
        sys.stdout.write(f"samplemix {__version__}\n")
        raise typer.Exit


app.command("init")(init)
app.command("plan")(plan)
app.command("run")(run)
app.command("trace")(trace)
app.command("sees")(sees)


app.command("status")(status)
app.command("evaluate")(evaluate)
app.command("dirty")(dirty)
app.command("contamination")(contamination)
app.command("summary")(summary)
app.command("card")(card)
app.command("recipe")(recipe)
app.command("rebuild")(rebuild)


@app.command()
def ui(
    config: ConfigOption = CONFIG,
    port: Annotated[int, typer.Option(help="Port on this machine.")] = 3000,
) -> None:
    """Open the Dagster UI on this project (this machine only)."""
    from samplemix_dagster.cli.session import serve_ui

    project = open_project(config)
    sys.exit(serve_ui(project, port))


@app.command()
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


@app.command()
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


@app.command()
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


@app.command()
def export(
    name: Annotated[str, typer.Argument(help="Mixture: NAME, NAME@VERSION or a version.")],
    to: Annotated[
        str, typer.Option("--to", help="Empty folder, or s3://bucket/prefix, to write to.")
    ],
    form: Annotated[str, typer.Option("--format", help=f"{', '.join(FORMATS)}.")] = next(
        iter(FORMATS)
    ),
    files: Annotated[int, typer.Option(help="Files of near-equal size.", min=1)] = 4,
    eos: Annotated[
        str | None,
        typer.Option(help="Where a document has the EOS id, in formats of ids: end, start, none."),
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--set", help="Another option of the format: KEY=VALUE, as under `export`."),
    ] = None,
    *,
    config: ConfigOption = CONFIG,
    json: JsonOption = False,
) -> None:
    """Write a mixture's draws as files for trainers."""
    from samplemix_dagster.export_formats.wanted import Wanted
    from samplemix_dagster.show.bars import Bars
    from samplemix_dagster.stages.export.exporting import export_version
    from samplemix_dagster.trace.versions import resolve_version

    if form not in FORMATS:
        raise ConfigError(f"--format is {' or '.join(FORMATS)}, not {form!r}.")
    project = open_project(config)
    mixture, version = resolve_version(project, name)
    with Bars() as bars:
        manifest = export_version(
            project,
            mixture,
            version,
            Wanted.of(form, files, _format_options(form, eos, options or [])),
            folder=to,
            progress=bars.update,
        )
    if json:
        print_json({**manifest, "folder": to})
    else:
        say(
            f"Wrote {manifest['num_draws']:,} draws, {manifest['num_tokens']:,} tokens, in "
            f"{len(manifest['files'])} files to {to}; read back and counted.{_eos_words(manifest)}"
        )


def _format_options(form: str, eos: str | None, words: list[str]) -> Mapping[str, str]:
    """Return what was said of a format's options.

    Raises:
        ConfigError: A word is no KEY=VALUE, or the format has no such option.
    """
    said = {key: value for key, _, value in (word.partition("=") for word in words)}
    known = FORMATS[form].options
    for key in said:
        if key not in known:
            has = f"has {', '.join(known)}" if known else "has no options"
            raise ConfigError(f"--set {key}: format {form} {has}.")
    return said if eos is None else {**said, "eos": eos}


def _eos_words(manifest: Mapping[str, Any]) -> str:
    """Say what EOS adds to an export of ids; nothing of one of texts."""
    if "eos_id" not in manifest:
        return ""
    if manifest["eos_id"] is None:
        return " The tokenizer names no EOS, so nothing stands between documents."
    added, inside = manifest["num_added_tokens"], manifest["num_documents_holding_eos"]
    words = f" EOS ({manifest['eos_id']}) adds {added:,} ids." if added else " EOS is not written."
    if inside:
        words += f" {inside:,} documents hold its id in their text: go by the ends, not by EOS."
    return words


@app.command("gc")
def collect(
    keep: Annotated[
        int | None,
        typer.Option(help="Newest versions of each mixture to keep beside the current one.", min=0),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would go.")] = False,
    config: ConfigOption = CONFIG,
    json: JsonOption = False,
) -> None:
    """Remove from the lake what no kept mixture version and no current result needs."""
    from samplemix_dagster.runs.upkeep.garbage import collect_garbage, find_garbage
    from samplemix_dagster.show.presentation import size
    from samplemix_dagster.show.printed_table import print_table

    project = open_project(config)
    found = (find_garbage if dry_run else collect_garbage)(project, keep)
    if json:
        print_json({**found.to_json(), "dry_run": dry_run})
        return
    print_table(
        ["kind", "files", "size"],
        [(kind, n["files"], size(n["bytes"])) for kind, n in sorted(found.by_kind.items())],
    )
    for version in found.removed_versions:
        say(f"{'would go' if dry_run else 'gone'}: {version}")
    verb = "would be removed" if dry_run else "removed"
    say(
        f"{len(found.keys):,} files ({size(found.num_bytes)}) {verb}; "
        f"{len(found.kept_versions)} mixture versions kept with all they need."
    )
    if found.copies:
        num_bytes = sum(copy.size for copy in found.copies)
        say(
            f"{len(found.copies):,} copies ({size(num_bytes)}) on this machine {verb}: the lake "
            f"{'would no longer have' if dry_run else 'no longer has'} what they are copies of."
        )


@app.command()
def demo(
    directory: Annotated[Path, typer.Argument(help="Folder of the demo project.")] = Path("demo"),
    documents: Annotated[int, typer.Option(help="Documents to gather.", min=200)] = 2000,
    json: JsonOption = False,
) -> None:
    """Make a project from text that is on every machine, and run the whole pipeline on it."""
    from samplemix_dagster.cli.start.demo import make_demo

    config = make_demo(directory, documents)
    run(
        config=config,
        select=None,
        mixture=None,
        refit=None,
        check_lake=False,
        verbose=False,
        json=json,
    )
    project = open_project(config)
    _show_demo(project)
    say(f"\nThe UI on this very instance:\n\n    samplemix ui --config {config}\n")


def _show_demo(project: "Project") -> None:
    from samplemix_dagster.show.presentation import share
    from samplemix_dagster.show.printed_table import print_table
    from samplemix_dagster.stages.mixture.version_files import export_key
    from samplemix_dagster.trace.versions import current_manifest

    name = next(iter(project.config.mixtures))
    manifest = current_manifest(project, name)
    if manifest is None:
        return
    from samplemix_dagster.storage.ask.query import query as ask

    means = {
        row["source"]: row
        for row in ask(
            project.lake,
            "select source, count(*) as documents, avg(quality) as quality, "
            "avg(diversity) as diversity from scores group by source",
        ).to_pylist()
    }
    say("")
    print_table(
        ["source", "documents", "quality", "diversity", "share before", "share after"],
        [
            (
                source,
                means[source]["documents"],
                round(means[source]["quality"], 3),
                round(means[source]["diversity"], 3),
                share(entry["share_before"]),
                share(entry["share_after"]),
            )
            for source, entry in manifest["report"]["sources"].items()
            if source in means
        ],
        title=f"What the mixture {name!r} changes",
    )
    for export in project.config.exports_of(name):
        key = export_key(project, name, manifest["version"], export)
        say(f"\nThe export: {project.lake.place(key)}")


if __name__ == "__main__":
    main()
