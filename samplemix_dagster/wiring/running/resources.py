"""From configuration to plain objects: what assets are handed, and where Dagster's home is.

Nothing is opened on import. Business code gets a :class:`Project`; it never sees Dagster.
"""

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import dagster as dg
from dagster_aws.s3 import S3Resource

from samplemix_dagster.config.around import S3
from samplemix_dagster.engine.outcome import Progress, no_progress
from samplemix_dagster.engine.project import Project
from samplemix_dagster.errors import ConfigError
from samplemix_dagster.storage.s3.bucket import make_client
from samplemix_dagster.wiring.run_tags import REPORTS_TO_TAG, tag_of

CONFIG_VARIABLE = "SAMPLEMIX_CONFIG"
DEFAULT_CONFIG = "samplemix.yaml"
_projects: dict[str, Project] = {}
_defined: set[str] = set()
"""Configurations whose definitions were built in this process: a run takes no other."""
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
    """Make an open project the process's own: runs of this process take it, and no other file."""
    key = str(project.config_path.resolve())
    _projects[key] = project
    _defined.add(key)


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

    def stated(self) -> dict[str, object]:
        """Return every field, those for keys too: they are empty, and are to stay so."""
        return {name: getattr(self, name) for name in type(self).model_fields}

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

    @contextlib.contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Iterator["ProjectResource"]:
        """Hold the claim on the project while a run is at work; a look of a sensor holds none."""
        with contextlib.ExitStack() as stack:
            if context.run is not None:
                self._refuse_another(context.run.run_config)
                is_inside = tag_of(
                    context.run.tags, REPORTS_TO_TAG
                )  # what it is inside has said it
                say = context.log.info if context.log and not is_inside else None
                stack.enter_context(self.open().at_work(say))
            yield self

    def _refuse_another(self, run_config: Mapping[str, Any]) -> None:
        """Refuse a run's configuration that names another project, or another way to S3.

        Either would let whoever starts a run choose which commands are executed, or who is sent
        this machine's credentials.

        Raises:
            ConfigError: It does.
        """
        # Under a prefix the resource has another key, so whatever is stated is looked at.
        if not run_config.get("resources") or not _defined:
            return
        path = Path(self.config_file).resolve()
        if str(path) not in _defined:
            raise ConfigError(
                f"resources.project.config.config_file: {self.config_file} is not the project that "
                f"runs here ({', '.join(sorted(_defined))}); leave it out of the run's "
                "configuration, or start `samplemix ui` on that file."
            )
        own = open_project(path).config.s3
        if self.s3.stated() != ProjectS3.of(own).stated():
            raise ConfigError(
                "resources.project.config.s3: a run's configuration chooses no other way to S3; "
                f"the section `s3` of {path.name} does."
            )

    def open(self) -> Project:
        """Return the project, which reaches S3 through the resource."""
        return self._reached(open_project(Path(self.config_file)))

    def open_anew(self) -> Project:
        """Return the project as its file is now, which may not be what this process began with.

        Raises:
            ConfigError: The file breaks a rule.
        """
        return self._reached(Project.open(Path(self.config_file)))

    def _reached(self, project: Project) -> Project:
        project.reach_s3_with(lambda _: self.s3.get_client())
        return project
