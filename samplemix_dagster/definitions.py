"""Everything Dagster sees of a project: ``build_defs(...)`` for everybody, ``defs`` for the UI.

Tests and the command line call the same function as the UI does, with other arguments; so does a
team that has the project beside its own definitions, with a prefix before every name.
"""

from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from samplemix_dagster.engine.project import Project
from samplemix_dagster.errors import ConfigError
from samplemix_dagster.stages.mixture.published.version_files import export_asset
from samplemix_dagster.stages.outside.external import EXTERNALS
from samplemix_dagster.stages.outside.labels import label_stages
from samplemix_dagster.stages.quality.calibration import COMPARED
from samplemix_dagster.stages.quality.clean import CLEAN, CLEAN_FIT
from samplemix_dagster.stages.quality.resembles import RESEMBLES_FIT, resembling
from samplemix_dagster.stages.signals import OwnStage, own_signals
from samplemix_dagster.stages.stepping.steps import build_steps
from samplemix_dagster.wiring.assets import export, mixture
from samplemix_dagster.wiring.assets.asset import Look, plain_look, step_asset
from samplemix_dagster.wiring.assets.inputs import inputs_assets
from samplemix_dagster.wiring.assets.scored import (
    beta,
    diversity,
    quality,
    reference,
    shards,
    signals,
)
from samplemix_dagster.wiring.automation.conditions import with_automation
from samplemix_dagster.wiring.automation.schedules import build_schedules
from samplemix_dagster.wiring.automation.sensors import build_sensors
from samplemix_dagster.wiring.automation.staleness import build_look, observe
from samplemix_dagster.wiring.evaluation import evaluation_assets
from samplemix_dagster.wiring.jobs.jobs import build_jobs
from samplemix_dagster.wiring.jobs.side_by_side import build_side_by_side
from samplemix_dagster.wiring.names import Names, names_of
from samplemix_dagster.wiring.running.resources import (
    ProjectResource,
    ProjectS3,
    adopt_project,
    config_path,
    open_project,
)

DEVICE_POOL = "samplemix_device"


def build_defs(
    project: Project | None = None,
    *,
    config: Path | str | None = None,
    key_prefix: str | Sequence[str] | None = None,
    group_prefix: str | None = None,
    with_report: bool = True,
    executor: dg.ExecutorDefinition | None = None,
    pool: str | None = DEVICE_POOL,
) -> dg.Definitions:
    """Return the definitions of a project, to be served alone or merged with others.

    Args:
        project: The project; the one that ``config`` names when absent.
        config: A configuration file; that of the environment or of this folder when absent.
        key_prefix: Parts before every asset key, as a list or joined by ``/``; jobs, schedules,
            sensors and resources have them too, joined by ``_``. No prefix when absent.
        group_prefix: What is before each group; the key's prefix when absent.
        with_report: Whether the dbt models are part of it.
        executor: How runs that the project's own jobs do not start are executed; that of the
            definitions around it when absent. Where one is given, and it is not that of one
            process, the project's own jobs work several partitions side by side in it.
        pool: The concurrency pool of what runs a model: scoring, embedding, training a reference.
            It has no prefix, since projects share the device. Its limit is the instance's; without
            one nothing waits. None puts them into no pool.

    Raises:
        ConfigError: The configuration has an error, a prefix cannot stand before a name, or the
            executor or the pool is none.
    """
    names = names_of(key_prefix, group_prefix)
    if executor is not None and not isinstance(executor, dg.ExecutorDefinition):
        raise ConfigError(f"executor: an ExecutorDefinition of Dagster, not {executor!r}.")
    if pool == "":
        raise ConfigError("pool: a name, or None for no pool; an empty one is neither.")
    if project is None:
        project = open_project(Path(config) if config else config_path())
    adopt_project(project)
    assets = with_automation(_assets(project, names, with_report=with_report, pool=pool))
    assets += evaluation_assets(project, names, pool)  # which nothing but a person starts
    keys = [key for asset in assets for key in asset.keys]
    jobs = build_jobs(with_report=with_report, names=names)
    if executor is not None and executor is not dg.in_process_executor:
        jobs.append(build_side_by_side(project.partitions, executor, names))
    return dg.Definitions(
        assets=[*assets, *inputs_assets(project, build_steps(project), observe, names)],
        jobs=jobs,
        schedules=build_schedules(project, jobs, with_report=with_report, names=names),
        sensors=[*build_sensors(project, jobs, keys, names), build_look(project, names)],
        resources=_resources(project, names),
        executor=executor,
    )


def _assets(
    project: Project, names: Names, *, with_report: bool, pool: str | None
) -> list[dg.AssetsDefinition]:
    steps = build_steps(project)
    looks = _looks(project, names)
    assets = [
        step_asset(project, step, looks.get(step.asset) or plain_look(step), names, pool)
        for step in steps
    ]
    if with_report:
        from samplemix_dagster.wiring.assets.report import build_report_assets

        assets.append(build_report_assets(project, names))
    return assets


def _resources(project: Project, names: Names) -> dict[str, object]:
    s3 = ProjectS3.of(project.config.s3)
    return {
        names.of("project"): ProjectResource(config_file=str(project.config_path), s3=s3),
        # With no fields of its own: a run's configuration chooses no other way to S3.
        names.of("s3"): dg.ResourceDefinition(lambda _: s3, config_schema={}),
    }


def _looks(project: Project, names: Names) -> dict[str, Look]:
    looks = {**shards.LOOKS, **diversity.looks(project), **beta.looks(project)}
    for name, settings in project.config.references.items():
        looks[f"reference_model/{name}"] = reference.look(name, settings.made_from[0])
    for name in project.config.mixtures:
        looks[f"mixture/{name}"] = mixture.look(project, name, names)
        for one in project.config.exports_of(name):
            looks[export_asset(name, one)] = export.look(name, one)
    for own in own_signals(project.config):
        stage = OwnStage(own)
        looks[stage.asset] = signals.look(stage)
        looks[stage.fit.asset_of(own.name)] = signals.fit_look(own)
    looks[CLEAN.asset] = signals.look(CLEAN)
    looks[CLEAN_FIT.asset] = signals.clean_fit_look()
    for compared in COMPARED.stages(project.config):
        looks[compared.asset] = signals.look(compared)
    for name, resembles in resembling(project.config).items():
        looks[resembles.asset] = signals.look(resembles)
        looks[RESEMBLES_FIT.asset_of(name)] = signals.resembles_look(name)
    for external in EXTERNALS.stages(project.config):
        looks[external.asset] = signals.external_look(external)
    for label in label_stages(project.config):
        looks[label.asset] = signals.label_look(label)
    return {**looks, **quality.looks(project)}


@dg.definitions
def defs() -> dg.Definitions:
    """Return the definitions of the project that the environment names, when they are asked for."""
    return build_defs(executor=dg.in_process_executor)
