"""Options that every command has, and how a command opens its project."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

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
CONFIG = Path("samplemix.yaml")


def open_project(config: Path) -> "Project":
    """Return the project of a configuration file."""
    from samplemix_dagster.engine.project import Project

    return Project.open(config)
