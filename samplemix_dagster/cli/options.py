"""Options that every command has, and how a command opens its project."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from samplemix_dagster.errors import InputError
from samplemix_dagster.show.terminal import say

if TYPE_CHECKING:
    from samplemix_dagster.engine.project import Project

ConfigOption = Annotated[
    Path, typer.Option("--config", "-c", help="The project's samplemix.yaml.", show_default=True)
]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON value on stdout, nothing else.")]
FormatOption = Annotated[
    str,
    typer.Option("--format", help="table, csv, json or parquet, on stdout.", show_default=True),
]
HtmlOption = Annotated[
    Path | None, typer.Option("--html", help="Write a page that needs nothing else.")
]
CONFIG = Path("samplemix.yaml")


def open_project(config: Path) -> "Project":
    """Return the project of a configuration file."""
    from samplemix_dagster.engine.project import Project

    return Project.open(config)


def write_page(path: Path, text: str) -> None:
    """Write a page, and say where.

    Raises:
        InputError: It cannot be written there.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path} could not be written: {error.strerror}") from error
    say(f"Wrote {path}.")
