"""What every materialisation tells: headlines in words, tables, and the numbers that plots read.

The UI keeps the order of what it is given, so a person reads headlines first and plumbing last.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg

from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.executors.executor import lost_in_words
from samplemix_dagster.engine.outcome import Outcome
from samplemix_dagster.engine.project import Project
from samplemix_dagster.runs.plan.cost.estimates import scoring_flops
from samplemix_dagster.runs.plan.planned import Task
from samplemix_dagster.show.presentation import flops_in_words, many, took
from samplemix_dagster.stages.stepping.step import Step
from samplemix_dagster.table_contract import Table
from samplemix_dagster.wiring.metadata import Metadata

LOST = "workers_lost"
"""Under which name a run tells that workers were lost, and made up for."""
_SHARDS_SHOWN = 50
_AMAZON_CONSOLE = "https://s3.console.aws.amazon.com/s3/buckets/"


def headlines(outcome: Outcome) -> Metadata:
    """Return what a person looks for first: how much was done, and why."""
    if outcome.partition is None:
        return {"why": outcome.why}
    shards = len(outcome.shards)
    documents = (
        f"{outcome.num_documents:,} in {shards:,} shard{'' if shards == 1 else 's'}; "
        f"{_computed(outcome)}, in {took(outcome.seconds)}"
    )
    lost = lost_in_words(outcome.facts)
    return {"documents": documents, "why": outcome.why, **({LOST: lost} if lost else {})}


def _computed(outcome: Outcome) -> str:
    if outcome.num_computed == outcome.num_documents:
        return "all computed"
    return f"{outcome.num_computed:,} computed" if outcome.num_computed else "none computed"


def plumbing(outcome: Outcome) -> Metadata:
    """Return the tables and plain numbers that stand last; the Plots tab draws the numbers."""
    metadata: Metadata = {}
    if outcome.partition is not None:
        metadata["by_shard"] = shards_table(outcome)
        metadata["dagster/row_count"] = outcome.num_documents
        metadata["documents_computed"] = outcome.num_computed
        if outcome.num_computed and outcome.seconds > 0:
            rate = outcome.num_computed / outcome.seconds
            metadata["documents_per_second"] = round(rate, 1)
    return {**metadata, "took": str(took(outcome.seconds)), "seconds": round(outcome.seconds, 3)}


def as_foreseen(
    project: Project, task: Task, expected: Mapping[str, float | None], outcome: Outcome
) -> Metadata:
    """Return in words what the plan said of this run beside what it came to."""
    said, came = [], []
    if outcome.partition is not None:
        said.append(f"{task.num_documents:,} documents")
        came.append(f"{outcome.num_computed:,} documents")
    if expected["seconds"] is not None:
        said.append(str(took(expected["seconds"])))
        came.append(str(took(outcome.seconds)))
    tokens = outcome.facts.get("tokens_computed")
    spent = scoring_flops(project, tokens) if tokens else None
    if expected["flops"] is not None:
        said.append(str(flops_in_words(expected["flops"])))
    if spent is not None:
        came.append(str(flops_in_words(spent)))
    if not said:
        return {}
    metadata: Metadata = {
        "plan_and_run": f"foreseen: {', '.join(said)}; came to: {', '.join(came)}"
    }
    if tokens:
        metadata["tokens_computed"] = f"{many(tokens)} tokens"
    return metadata


def place_value(project: Project, key: str) -> dg.MetadataValue[Any]:
    """Return where a key of the lake lies: a link where a browser can open it, else to copy."""
    return address_value(project.lake.place(key), has_console=project.config.s3.endpoint is None)


def address_value(place: str, *, has_console: bool) -> dg.MetadataValue[Any]:
    """Return an address: Amazon's console for ``s3://`` of Amazon's own, else text to copy.

    Args:
        place: A path, or an address ``s3://bucket/prefix``.
        has_console: Whether ``s3://`` is Amazon's, not a server of another kind.
    """
    if place.startswith("s3://") and has_console:
        bucket, _, prefix = place.removeprefix("s3://").partition("/")
        return dg.MetadataValue.url(f"{_AMAZON_CONSOLE}{bucket}?prefix={prefix.rstrip('/')}/")
    return dg.MetadataValue.path(place)


def lies_at(project: Project, step: Step, outcome: Outcome) -> Metadata:
    """Return where in the lake the result lies; nothing where it has no place of its own."""
    key = _place_of(project, step, outcome)
    if key is None:
        return {}
    return {"lies_at": place_value(project, key)}


def _place_of(project: Project, step: Step, outcome: Outcome) -> str | None:
    recipes = Recipes(project)
    if step.stages:
        shards = project.shards(str(outcome.partition))
        return recipes.feature_key(step.stages[0], shards[0]).rpartition("/")[0] if shards else None
    if step.fit is None:
        return None
    key = f"{step.fit.versions_folder(step.name)}/{outcome.data_version}"
    return key if project.lake.names(key) else None


def shards_table(outcome: Outcome) -> dg.TableMetadataValue:
    """Return a partition's shards, the first of them, as a table."""
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


def table_value(
    rows: Sequence[Mapping[str, str | int | float | None]],
) -> dg.TableMetadataValue:
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
