"""inputs: what each stage stands on, as assets that are looked at and never made.

Dagster compares data versions of direct dependencies only, and ``samplemix.yaml`` and the files of
a source are no assets of its own. So each stage has one observed asset, with a partition for each
asset of the stage (and each of its sources): a new version there says that the plan calls it stale.
Who looks, and when, is in ``staleness.py``.
"""

import warnings
from collections.abc import Callable, Iterable

import dagster as dg

from samplemix_dagster.engine.project import Project
from samplemix_dagster.stages.stepping.step import Step
from samplemix_dagster.wiring.names import Names
from samplemix_dagster.wiring.running.resources import ProjectResource

Look = Callable[[dg.OpExecutionContext, ProjectResource, Names], None]


def inputs_key(group: str, names: Names) -> dg.AssetKey:
    """Return the key of what a stage stands on."""
    return names.key(f"inputs/{group}")


def inputs_partition(asset: str, partition: str = "") -> str:
    """Return the partition that tells of an asset, or of one of its sources."""
    return f"{asset} [{partition}]" if partition else asset


def inputs_dep(project: Project, step: Step, names: Names) -> dg.AssetDep:
    """Return the dependency of an asset on what it stands on: on its own partition there alone."""
    mapping: dg.PartitionMapping
    if step.is_partitioned:
        mapping = dg.StaticPartitionMapping(
            {inputs_partition(step.asset, name): name for name in project.partitions}
        )
    else:
        mapping = dg.SpecificPartitionsPartitionMapping([inputs_partition(step.asset)])
    return dg.AssetDep(inputs_key(step.group, names), partition_mapping=mapping)


def inputs_assets(
    project: Project, steps: Iterable[Step], look: Look, names: Names
) -> list[dg.SourceAsset]:
    """Return the observed asset of each stage.

    Args:
        project: The project.
        steps: Every step.
        look: Called when a person asks for an observation: it notes what it sees.
        names: What the project's definitions are called.
    """
    # Dagster calls its own function beta whenever it is used.
    warnings.filterwarnings("ignore", "Function `observable_source_asset`", dg.BetaWarning)
    keys: dict[str, list[str]] = {}
    for step in steps:
        cut = project.partitions if step.is_partitioned else [""]
        keys.setdefault(step.group, []).extend(inputs_partition(step.asset, name) for name in cut)
    return [_inputs(group, found, look, names) for group, found in keys.items()]


def _inputs(group: str, partitions: list[str], look: Look, names: Names) -> dg.SourceAsset:
    def inputs(
        context: dg.OpExecutionContext, project: ProjectResource
    ) -> dg.DataVersionsByPartition:
        look(context, project, names)
        return dg.DataVersionsByPartition({})

    return dg.observable_source_asset(
        key=inputs_key(group, names),
        partitions_def=dg.StaticPartitionsDefinition(partitions),
        group_name=names.group(group),
        description=(
            f"What the assets of the stage {group!r} stand on, as far as it is no asset: the "
            "sections of samplemix.yaml that they read, files of the sources, models, what is "
            "in the lake. One partition for each asset; a new version says that it is to be made "
            "again, and why. Looked at by itself while the UI runs, and when you press Observe."
        ),
        tags={"stage": group},
    )(names.hand_project(inputs))
