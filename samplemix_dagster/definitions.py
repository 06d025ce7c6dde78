"""Everything Dagster sees of a project: ``build_defs(...)`` for everybody, ``defs`` for the UI.

Tests and the command line call the same function as the UI does, with other arguments.
"""

from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from samplemix_dagster.assets import beta, diversity, export, mixture, quality, reference, shards
from samplemix_dagster.assets.asset import Look, step_asset, with_automation
from samplemix_dagster.assets.inputs import inputs_assets
from samplemix_dagster.engine.flow import Step, build_steps
from samplemix_dagster.engine.project import Project
from samplemix_dagster.jobs import build_jobs
from samplemix_dagster.resources import (
    ProjectResource,
    ProjectS3,
    adopt_project,
    config_path,
    open_project,
)
from samplemix_dagster.schedules import build_schedules
from samplemix_dagster.sensors import build_sensors
from samplemix_dagster.staleness import build_look, observe


def build_defs(
    project: Project | None = None, *, with_report: bool = True, config: Path | None = None
) -> dg.Definitions:
    """Return the definitions of a project.

    Args:
        project: The project; the one that ``config`` names when absent.
        with_report: Whether the dbt models are part of it.
        config: A configuration file; that of the environment or of this folder when absent.
    """
    if project is None:
        project = open_project(config or config_path())
    adopt_project(project)
    steps = build_steps(project)
    looks = _looks(project, steps)
    assets: list[dg.AssetsDefinition] = [
        step_asset(project, step, looks[step.asset]) for step in steps
    ]
    s3 = ProjectS3.of(project.config.s3)
    resources: dict[str, object] = {
        "project": ProjectResource(config_file=str(project.config_path), s3=s3),
        # With no fields of its own: a run's configuration chooses no other way to S3.
        "s3": dg.ResourceDefinition(lambda _: s3, config_schema={}),
    }
    if with_report:
        from samplemix_dagster.assets.report import build_report_assets

        report, more = build_report_assets(project)
        assets += report if isinstance(report, Sequence) else [report]
        resources |= more
    jobs = build_jobs(with_report=with_report)
    return dg.Definitions(
        assets=[*with_automation(assets), *inputs_assets(project, steps, observe)],
        jobs=jobs,
        schedules=build_schedules(project, jobs, with_report=with_report),
        sensors=[*build_sensors(project, jobs), build_look(project)],
        resources=resources,
        executor=dg.in_process_executor,
    )


def _looks(project: Project, steps: list[Step]) -> dict[str, Look]:
    looks = {**shards.LOOKS, **quality.LOOKS, **diversity.LOOKS, **beta.looks(project)}
    for name, settings in project.config.references.items():
        is_trained = settings.bootstrap is not None
        looks[f"reference_model/{name}"] = reference.look(name, is_trained=is_trained)
    for name in project.config.mixtures:
        looks[f"mixture/{name}"] = mixture.look(project, name)
        looks[f"export/{name}"] = export.look(name)
    for step in steps:
        if step.asset.startswith("metric_fit/"):
            looks[step.asset] = diversity.metric_fit_look(step.name)
        elif step.asset.startswith("metric_"):
            name = step.asset.removeprefix("metric_")
            looks[step.asset] = diversity.metric_look(name)
    return looks


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions of the project that the environment names, when they are asked for."""
    return build_defs()
