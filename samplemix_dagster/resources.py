"""From configuration to plain objects: what assets are handed, and where Dagster's home is.

Nothing is opened on import. Business code gets a :class:`Project`; it never sees Dagster.
"""

import os
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_aws.s3 import S3Resource

from samplemix_dagster.config_around import S3
from samplemix_dagster.engine.maps import Progress, no_progress
from samplemix_dagster.engine.project import Project
from samplemix_dagster.storage.s3 import make_client

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


class ProjectS3(S3Resource):
    """S3 as the section ``s3`` states it, with the addressing that dagster-aws has no word for.

    The fields for keys stay empty: credentials come from the environment, a profile or a role.
    """

    addressing: str = "auto"

    @classmethod
    def of(cls, settings: S3) -> "ProjectS3":
        """Return the resource for a section."""
        return cls(
            endpoint_url=settings.endpoint,
            region_name=settings.region,
            profile_name=settings.profile,
            addressing=settings.addressing,
            max_attempts=settings.max_attempts,
        )

    def get_client(self) -> Any:
        """Return a boto3 client, made as everywhere else."""
        return make_client(
            S3.model_validate(
                {
                    "endpoint": self.endpoint_url,
                    "region": self.region_name,
                    "profile": self.profile_name,
                    "addressing": self.addressing,
                    "max_attempts": self.max_attempts,
                }
            )
        )


class ProjectResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The project that assets work on."""

    config_file: str
    s3: ProjectS3

    def open(self) -> Project:
        """Return the project, which reaches S3 through the resource."""
        project = open_project(Path(self.config_file))
        project.reach_s3_with(lambda _: self.s3.get_client())
        return project
