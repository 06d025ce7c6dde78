"""From configuration to plain objects: what assets are handed, and where Dagster's home is.

Nothing is opened on import. Business code gets a :class:`Project`; it never sees Dagster.
"""

import os
from pathlib import Path

import dagster as dg

from samplemix_dagster.engine.maps import Progress, no_progress
from samplemix_dagster.engine.project import Project

CONFIG_VARIABLE = "SAMPLEMIX_CONFIG"
DEFAULT_CONFIG = "samplemix.yaml"
_projects: dict[str, Project] = {}
_progress: list[Progress] = [no_progress]


def config_path() -> Path:
    """Return the configuration that the environment names, else the one in this folder."""
    return Path(os.environ.get(CONFIG_VARIABLE, DEFAULT_CONFIG)).resolve()


def open_project(path: Path) -> Project:
    """Return the process's project for a configuration, which remembers what it has looked up."""
    key = str(path.resolve())
    if key not in _projects:
        _projects[key] = Project.open(path)
    return _projects[key]


def adopt_project(project: Project) -> None:
    """Make a project that is already open the process's project for its configuration."""
    _projects[str(project.config_path.resolve())] = project


def report_progress_to(progress: Progress) -> None:
    """Send the progress of assets that run in this process to a function."""
    _progress[0] = progress


def current_progress() -> Progress:
    """Return where progress goes."""
    return _progress[0]


class ProjectResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The project that assets work on."""

    config_file: str

    def open(self) -> Project:
        """Return the project."""
        return open_project(Path(self.config_file))
