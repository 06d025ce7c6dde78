"""How a step of the flow becomes a Dagster asset: one form for all of them.

What is particular to a stage (its words, its plots) is in the stage's own module and handed in
here. Nothing here knows a number.
"""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from samplemix_dagster import checks
from samplemix_dagster.engine.flow import Call, Step
from samplemix_dagster.engine.maps import Outcome
from samplemix_dagster.engine.plan import Planner
from samplemix_dagster.engine.project import Project
from samplemix_dagster.partitions import source_partitions
from samplemix_dagster.resources import ProjectResource, current_progress
from samplemix_dagster.tables import Table

OWNER = "team:data"
_SHARDS_SHOWN = 50

Present = Callable[[Project, Outcome], dict[str, Any]]
"""Metadata that a stage adds to a materialisation: numbers, tables, plots."""


def nothing_more(project: Project, outcome: Outcome) -> dict[str, Any]:
    """Add nothing."""
    del project, outcome
    return {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a person sees of an asset."""

    description: str
    kinds: tuple[str, ...] = ("python",)
    present: Present = nothing_more
    tables: Sequence[Table] = field(default=())


def asset_key(asset: str) -> dg.AssetKey:
    """Return the key of an asset's name: ``mixture/default`` has two parts."""
    return dg.AssetKey(asset.split("/"))


def when_changed() -> dg.AutomationCondition:
    """Run when the *data version* of an upstream changed, not when it was made again."""
    condition = dg.AutomationCondition
    changed = (
        condition.newly_missing()
        | condition.any_deps_match(condition.data_version_changed())
        | condition.code_version_changed()
    )
    return (
        changed.since_last_handled()
        & ~condition.any_deps_missing()
        & ~condition.any_deps_in_progress()
        & ~condition.in_progress()
    )


def step_asset(project: Project, step: Step, look: Look) -> dg.AssetsDefinition:
    """Return the asset of a step."""
    key = asset_key(step.asset)
    metadata: dict[str, Any] = {}
    if look.tables:
        metadata["dagster/column_schema"] = column_schema(look.tables[0])

    @dg.asset(
        key=key,
        description=look.description,
        group_name=step.group,
        kinds=set(look.kinds),
        owners=[OWNER],
        tags={"stage": step.group},
        deps=[asset_key(name) for name in step.deps],
        partitions_def=source_partitions(project) if step.is_partitioned else None,
        code_version=step.code_version,
        check_specs=checks.specs(step, key),
        metadata=metadata,
        automation_condition=when_changed(),
        output_required=True,
    )
    def run(context: dg.AssetExecutionContext, project: ProjectResource) -> dg.MaterializeResult:
        opened = project.open()
        partition = context.partition_key if context.has_partition_key else ""
        why = Planner(opened).reason(step, partition)
        context.log.info("why: %s", why)
        call = Call(
            project=opened,
            partition=partition,
            why=why,
            run_id=context.run.run_id,
            progress=_both(context, current_progress()),
        )
        outcome = step.run(call)
        found = checks.results(step, key, opened, outcome)
        return dg.MaterializeResult(
            asset_key=key,
            data_version=dg.DataVersion(outcome.data_version),
            metadata={**_common(outcome), **look.present(opened, outcome)},
            check_results=found,
        )

    return run


def _both(context: dg.AssetExecutionContext, listener: Callable[..., None]) -> Callable[..., None]:
    """Report to the listener, and to Dagster's log every half minute."""
    last = [time.monotonic()]

    def progress(asset: str, partition: str, done: int, total: int) -> None:
        listener(asset, partition, done, total)
        if time.monotonic() - last[0] >= 30:
            last[0] = time.monotonic()
            context.log.info(f"{done:,} of {total:,}" if total else f"{done:,} documents")

    return progress


def _common(outcome: Outcome) -> dict[str, Any]:
    """What every materialisation says: why it ran, how much, how long."""
    metadata: dict[str, Any] = {
        "why": outcome.why,
        "seconds": round(outcome.seconds, 3),
    }
    if outcome.partition is not None:
        computed = outcome.num_computed
        metadata |= {
            "dagster/row_count": outcome.num_documents,
            "documents_computed": computed,
            "shards": len(outcome.shards),
        }
        if computed and outcome.seconds > 0:
            metadata["documents_per_second"] = round(computed / outcome.seconds, 1)
        metadata["by_shard"] = _shards_table(outcome)
    return metadata


def _shards_table(outcome: Outcome) -> dg.TableMetadataValue:
    columns = [
        dg.TableColumn("path", "string"),
        dg.TableColumn("documents", "int"),
        dg.TableColumn("computed", "int"),
        dg.TableColumn("rejected", "int"),
        dg.TableColumn("digest", "string"),
    ]
    records = [
        dg.TableRecord(
            {
                "path": shard.path,
                "documents": shard.num_documents,
                "computed": shard.num_computed,
                "rejected": shard.num_rejected,
                "digest": shard.shard,
            }
        )
        for shard in outcome.shards[:_SHARDS_SHOWN]
    ]
    return dg.MetadataValue.table(records, schema=dg.TableSchema(columns=columns))


def table_value(rows: Sequence[dict[str, Any]]) -> dg.TableMetadataValue:
    """Return rows of equal keys as a table that the UI shows in place."""
    kinds = {bool: "bool", int: "int", float: "float"}
    first = rows[0] if rows else {"nothing": ""}
    columns = [
        dg.TableColumn(name, kinds.get(type(value), "string")) for name, value in first.items()
    ]
    return dg.MetadataValue.table(
        [dg.TableRecord(row) for row in rows], schema=dg.TableSchema(columns=columns)
    )


def column_schema(table: Table) -> dg.TableSchema:
    """Return a table's contract as Dagster shows it."""
    return dg.TableSchema(
        columns=[
            dg.TableColumn(
                name=column.name,
                type=str(column.type),
                description=column.meaning,
                constraints=dg.TableColumnConstraints(nullable=column.nullable),
            )
            for column in table.columns
        ]
    )


def process_tags() -> dict[str, str]:
    """Return the tags by which a run's process is known, to tell a dead run from a running one."""
    return {"samplemix/pid": str(os.getpid()), "samplemix/boot": boot_id()}


def boot_id() -> str:
    """Return what changes when the machine restarts; empty where nothing says it."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:  # noqa: PTH123
            return file.read().strip()
    except OSError:
        return ""
