"""The commands of ``samplemix``.

Each command is thin: it opens the project, calls one function, shows the answer. Heavy packages
(Dagster, torch, DuckDB, pyarrow) are imported where they are used, so that ``--help`` and looking
things up stay quick. Errors are one sentence on stderr; ``--debug`` adds the traceback.
"""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from samplemix_dagster import __version__
from samplemix_dagster.errors import ConfigError, InputError, SampleMixError

if TYPE_CHECKING:
    from samplemix_dagster.engine.project import Project

app = typer.Typer(
    name="samplemix",
    help="Decide which documents to pre-train on, and how often.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
mixture_app = typer.Typer(
    help="Mixture versions: list, show.", no_args_is_help=True, rich_markup_mode=None
)
app.add_typer(mixture_app, name="mixture")

ConfigOption = Annotated[
    Path, typer.Option("--config", "-c", help="The project's samplemix.yaml.", show_default=True)
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON value on stdout, nothing else.")]
CONFIG = Path("samplemix.yaml")
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


def _leave(message: str, code: int, *, debug: bool) -> None:
    if debug:
        import traceback

        traceback.print_exc()
    sys.stderr.write(f"samplemix: {message}\n")
    sys.exit(code)


def _open(config: Path) -> "Project":
    from samplemix_dagster.engine.project import Project

    return Project.open(config)


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Show the version and exit.")] = False,
) -> None:
    """Decide which documents to pre-train on, and how often."""
    if version:
        sys.stdout.write(f"samplemix {__version__}\n")
        raise typer.Exit


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(help="Folder of text to look into.")] = Path(),
    config: ConfigOption = CONFIG,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Write a commented samplemix.yaml for a folder of text."""
    from samplemix_dagster.init import describe_folder, write_config
    from samplemix_dagster.presentation import print_table, say

    if config.exists() and not force:
        raise ConfigError(f"{config} exists; --force replaces it, --config names another.")
    found = describe_folder(directory, config.resolve().parent)
    write_config(found, config)
    print_table(
        ["source", "files", "format", "text field", "id field", "MB"],
        [(s.name, s.num_files, s.format, s.text, s.id or "-", s.num_bytes / 1e6) for s in found],
    )
    say(f"Wrote {config}. Read it, then `samplemix plan` and `samplemix run`.")


@app.command()
def plan(config: ConfigOption = CONFIG, json: JsonOption = False) -> None:
    """Say what would run and why; run nothing."""
    from samplemix_dagster.engine.estimates import estimated
    from samplemix_dagster.engine.plan import Planner
    from samplemix_dagster.presentation import duration, print_json, print_table, say

    project = _open(config)
    found = Planner(project).plan()
    stages = estimated(project, found)
    if json:
        print_json({"stages": stages, "problems": found.problems})
    elif found.is_empty:
        say("Everything is current.")
    else:
        print_table(
            ["stage", "asset", "shards", "documents", "about", "why"],
            [
                (
                    entry["stage"],
                    entry["asset"],
                    entry["num_shards"],
                    entry["num_documents"],
                    duration(entry["seconds"]),
                    entry["why"],
                )
                for entry in stages
            ],
        )
    for problem in found.problems.values():
        say(f"problem: {problem}")
    if found.problems:
        raise typer.Exit(1)


@app.command()
def run(
    config: ConfigOption = CONFIG,
    select: Annotated[
        list[str] | None,
        typer.Option(help="Stages to bring up to date, with what they need (repeatable)."),
    ] = None,
    mixture: Annotated[
        list[str] | None, typer.Option(help="Mixtures to make (repeatable); all when absent.")
    ] = None,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show Dagster's own log.")] = False,
    json: JsonOption = False,
) -> None:
    """Run what is stale, in the project's Dagster instance."""
    from samplemix_dagster.presentation import say

    project = _open(config)
    _check_selection(project, select, mixture)
    if _is_current(project, select, mixture):
        _show_run({"stages": [], "succeeded": True, "failures": [], "run_ids": []}, json=json)
        say("Everything is current: nothing to do.")
        return
    from samplemix_dagster.session import run_in_instance

    report = run_in_instance(project, select, mixture, verbose=verbose)
    _show_run(
        {
            "stages": report.done,
            "succeeded": report.succeeded,
            "failures": report.failures,
            "run_ids": report.run_ids,
        },
        json=json,
    )
    if not report.succeeded:
        for failure in report.failures:
            sys.stderr.write(f"samplemix: {failure}\n")
        raise typer.Exit(1)
    if not json:
        _show_mixtures(project)
        say(f"Open the Dagster UI on this project with `samplemix ui --config {config}`.")


def _is_current(project: "Project", select: list[str] | None, mixture: list[str] | None) -> bool:
    """Whether there is nothing to do: found without Dagster."""
    from samplemix_dagster.engine.flow import select_steps
    from samplemix_dagster.engine.plan import Planner
    from samplemix_dagster.storage.dbt_project import report_reason

    planner = Planner(project)
    steps = select_steps(planner.steps, select, mixture)
    is_report_wanted = select is None or "report" in select
    if not planner.plan([step.asset for step in steps]).is_empty:
        return False
    return not is_report_wanted or not report_reason(project.lake)


def _check_selection(
    project: "Project", groups: list[str] | None, mixtures: list[str] | None
) -> None:
    from samplemix_dagster.engine.flow import GROUPS

    for group in groups or []:
        if group not in GROUPS:
            raise ConfigError(f"--select: no stage {group!r}; there are {', '.join(GROUPS)}.")
    for name in mixtures or []:
        if name not in project.config.mixtures:
            there = ", ".join(project.config.mixtures)
            raise ConfigError(f"--mixture: no mixture {name!r}; there are {there}.")


def _show_run(value: dict[str, Any], *, json: bool) -> None:
    from samplemix_dagster.presentation import duration, print_json, print_table

    if json:
        print_json(value)
    elif value["stages"]:
        print_table(
            ["stage", "asset", "shards", "documents", "took", "why"],
            [
                (
                    entry["stage"],
                    entry["asset"],
                    entry["num_shards"],
                    entry["num_documents"],
                    duration(entry["seconds"]),
                    entry["why"],
                )
                for entry in value["stages"]
            ],
        )


def _show_mixtures(project: "Project") -> None:
    from samplemix_dagster.engine.versions import current_manifest
    from samplemix_dagster.presentation import mixture_lines, print_lines

    for name in project.config.mixtures:
        manifest = current_manifest(project, name)
        if manifest is not None:
            print_lines(["", *mixture_lines(manifest)])


@app.command()
def status(config: ConfigOption = CONFIG, json: JsonOption = False) -> None:
    """Say for each asset whether it is current, stale and why, or failed."""
    from samplemix_dagster.engine.status import project_status
    from samplemix_dagster.presentation import print_json, print_table, say

    found = project_status(_open(config))
    if json:
        print_json(found)
        return
    print_table(
        ["stage", "asset", "state", "drift", "why"],
        [
            (entry["stage"], entry["asset"], entry["state"], entry["drift"], entry["why"])
            for entry in found["assets"]
        ],
    )
    for failure in found["failures"]:
        say(f"failed: {failure}")
    for problem in found["problems"].values():
        say(f"problem: {problem}")


@app.command()
def ui(
    config: ConfigOption = CONFIG,
    port: Annotated[int, typer.Option(help="Port on this machine.")] = 3000,
) -> None:
    """Open the Dagster UI on this project (this machine only)."""
    from samplemix_dagster.session import serve_ui

    project = _open(config)
    sys.exit(serve_ui(project, port))


@app.command()
def query(
    sql: Annotated[str, typer.Argument(help="One select over the lake's views.")],
    config: ConfigOption = CONFIG,
    json: JsonOption = False,
    limit: Annotated[int, typer.Option(help="Rows shown without --json.")] = 100,
) -> None:
    """Ask the lake in SQL (DuckDB, read-only)."""
    from samplemix_dagster.presentation import print_json, print_table, say
    from samplemix_dagster.storage.query import query as ask

    table = ask(_open(config).lake, sql)
    if json:
        print_json(table.to_pylist())
        return
    rows = [list(row.values()) for row in table.slice(0, limit).to_pylist()]
    print_table(table.column_names, rows)
    if table.num_rows > limit:
        say(f"{table.num_rows - limit:,} more rows; --limit shows more.")


@app.command()
def scores(
    to: Annotated[Path, typer.Option("--to", help="File to write: .parquet, .csv or .jsonl.")],
    config: ConfigOption = CONFIG,
) -> None:
    """Write one row per document with every score."""
    from samplemix_dagster.presentation import say
    from samplemix_dagster.storage.tabular import check_ending, write_tabular

    check_ending(to)
    from samplemix_dagster.storage.query import query as ask

    table = ask(_open(config).lake, "select * from scores order by source, shard, row")
    if table.num_rows == 0:
        raise InputError("there are no scores yet; `samplemix run` makes them.")
    write_tabular(table, to)
    say(f"Wrote {table.num_rows:,} documents to {to}.")


@app.command()
def explain(
    doc_id: Annotated[str, typer.Argument(help="A document's id (32 hex digits, or its start).")],
    config: ConfigOption = CONFIG,
    mixture: Annotated[
        str | None, typer.Option(help="A mixture's name, or name@version; all current when absent.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Show one document: text, scores and their recipes, weight, copies and why."""
    from samplemix_dagster.engine.explain import explain_document, explanation_lines
    from samplemix_dagster.presentation import print_json, print_lines

    found = explain_document(_open(config), doc_id, mixture)
    if json:
        print_json(found)
    else:
        print_lines(explanation_lines(found))


@app.command()
def export(
    name: Annotated[str, typer.Argument(help="Mixture: NAME, NAME@VERSION or a version.")],
    to: Annotated[Path, typer.Option("--to", help="Empty folder to write to.")],
    form: Annotated[str, typer.Option("--format", help="jsonl.zst or parquet.")] = "jsonl.zst",
    files: Annotated[int, typer.Option(help="Files of near-equal size.", min=1)] = 4,
    config: ConfigOption = CONFIG,
    json: JsonOption = False,
) -> None:
    """Write a mixture's draws as files for trainers."""
    from samplemix_dagster.engine.exporting import export_version
    from samplemix_dagster.engine.versions import resolve_version
    from samplemix_dagster.presentation import Bars, print_json, say
    from samplemix_dagster.storage.exports import FORMATS

    if form not in FORMATS:
        raise ConfigError(f"--format is {' or '.join(FORMATS)}, not {form!r}.")
    project = _open(config)
    mixture, version = resolve_version(project, name)
    with Bars() as bars:
        manifest = export_version(
            project,
            mixture,
            version,
            form=form,
            num_files=files,
            folder=to.resolve(),
            progress=bars.update,
        )
    if json:
        print_json({**manifest, "folder": str(to)})
    else:
        say(
            f"Wrote {manifest['num_draws']:,} draws, {manifest['num_tokens']:,} tokens, in "
            f"{len(manifest['files'])} files to {to}; read back and counted."
        )


@mixture_app.command("list")
def mixture_list(config: ConfigOption = CONFIG, json: JsonOption = False) -> None:
    """List every mixture version; the current one of each is marked."""
    from samplemix_dagster.engine.versions import list_versions
    from samplemix_dagster.presentation import print_json, print_table, say

    found = list_versions(_open(config))
    if json:
        print_json(found)
        return
    print_table(
        ["", "name", "version", "made", "tokens", "budget"],
        [
            (
                "*" if entry["is_current"] else "",
                entry["name"],
                entry["version"],
                entry["made_at"],
                entry["realised_tokens"],
                entry["budget_tokens"],
            )
            for entry in found
        ],
    )
    if not found:
        say("No mixture has been made; `samplemix run` makes them.")


@mixture_app.command("show")
def mixture_show(
    name: Annotated[str, typer.Argument(help="NAME, NAME@VERSION or a version.")],
    config: ConfigOption = CONFIG,
    json: JsonOption = False,
) -> None:
    """Show what a mixture version is."""
    from samplemix_dagster.engine.versions import load_manifest, resolve_version, summary
    from samplemix_dagster.presentation import (
        mixture_lines,
        print_json,
        print_lines,
        print_table,
        share,
    )

    project = _open(config)
    mixture, version = resolve_version(project, name)
    manifest = load_manifest(project, mixture, version)
    if json:
        print_json(summary(manifest))
        return
    print_lines([*mixture_lines(manifest), ""])
    report = manifest["report"]
    print_table(
        ["source", "before", "after", "tokens"],
        [
            (source, share(entry["share_before"]), share(entry["share_after"]), entry["tokens"])
            for source, entry in report["sources"].items()
        ],
    )
    print_lines([""])
    print_table(["copies", "documents"], [(int(k), count) for k, count in report["copies"].items()])


@app.command()
def demo(
    directory: Annotated[Path, typer.Argument(help="Folder of the demo project.")] = Path("demo"),
    documents: Annotated[int, typer.Option(help="Documents to gather.", min=200)] = 2000,
    json: JsonOption = False,
) -> None:
    """Make a project from text that is on every machine, and run the whole pipeline on it."""
    from samplemix_dagster.demo import make_demo
    from samplemix_dagster.presentation import say

    config = make_demo(directory, documents)
    run(config=config, select=None, mixture=None, verbose=False, json=json)
    project = _open(config)
    _show_demo(project)
    say(f"\nThe UI on this very instance:\n\n    samplemix ui --config {config}\n")


def _show_demo(project: "Project") -> None:
    from samplemix_dagster.engine.exporting import export_key
    from samplemix_dagster.engine.versions import current_manifest
    from samplemix_dagster.presentation import print_table, say, share

    name = next(iter(project.config.mixtures))
    manifest = current_manifest(project, name)
    if manifest is None:
        return
    from samplemix_dagster.storage.query import query as ask

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
    say(f"\nThe export: {project.lake.path(export_key(project, name, manifest['version']))}")


if __name__ == "__main__":
    main()
