"""The commands of ``samplemix``.

Each command is thin: it opens the project, calls one function, shows the answer. Heavy packages
(Dagster, torch, DuckDB, pyarrow) are imported where they are used, so that ``--help`` and looking
things up stay quick. Errors are one sentence on stderr; ``--debug`` adds the traceback.
"""

import os
import signal
import sys
from typing import Annotated, NoReturn

import typer

from samplemix_dagster import __version__
from samplemix_dagster.cli.commands.ask import explain, query, scores
from samplemix_dagster.cli.commands.config import config_app, init
from samplemix_dagster.cli.commands.contamination import contamination
from samplemix_dagster.cli.commands.corpora.demo import demo
from samplemix_dagster.cli.commands.corpora.dirty import dirty
from samplemix_dagster.cli.commands.evaluate import evaluate
from samplemix_dagster.cli.commands.plan import plan, status
from samplemix_dagster.cli.commands.run import run
from samplemix_dagster.cli.commands.versions.export import export
from samplemix_dagster.cli.commands.versions.mixture import mixture_app
from samplemix_dagster.cli.commands.versions.papers import card, rebuild, recipe, summary
from samplemix_dagster.cli.commands.versions.takedown import takedown_app
from samplemix_dagster.cli.commands.versions.trace import launch, sees, trace
from samplemix_dagster.cli.options import CONFIG, ConfigOption, JsonOption, open_project
from samplemix_dagster.errors import SampleMixError
from samplemix_dagster.show.terminal import print_json, say

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
"""What click gives back after Ctrl-C: 128 + SIGINT. A termination is answered so, too."""


def main() -> None:
    """Run a command; turn errors into a sentence and an exit code."""
    # Whoever is ended (by a container's stop, say) takes away what it keeps aside, as after Ctrl-C.
    if signal.getsignal(signal.SIGTERM) is signal.SIG_DFL:
        signal.signal(signal.SIGTERM, signal.default_int_handler)
    debug = "--debug" in sys.argv
    arguments = [word for word in sys.argv[1:] if word != "--debug"]
    try:
        code = app(arguments, standalone_mode=False)
    except SampleMixError as error:
        _leave(str(error), error.exit_code, debug=debug)
    except BrokenPipeError:
        os._exit(0)
    except OSError as error:
        words = f"{type(error).__name__}: {error}"  # of a connection, say, which has no file
        if error.filename:
            words = f"{error.filename} could not be read or written: {error.strerror or words}"
        _leave(f"{words}. --debug shows where.", 1, debug=debug)
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
            "stopped; what was finished is kept, and the same command goes on from there.",
            code,
            debug=debug,
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
app.command("launch")(launch)
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


app.command("query")(query)
app.command("scores")(scores)
app.command("explain")(explain)
app.command("export")(export)


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


app.command("demo")(demo)


if __name__ == "__main__":
    main()
