"""How the corpus is cut for Dagster: one partition a source (or a part of one), not one a shard.

Dagster loses staleness on edges of 100 or more partitions and pays for each partition event, so
shards inside a partition are skipped or scored by content, by us. See docs/decisions.
"""

import dagster as dg

from samplemix_dagster.engine.project import Project


def source_partitions(project: Project) -> dg.StaticPartitionsDefinition:
    """Return the partitions of a project's per-source assets."""
    return dg.StaticPartitionsDefinition(project.partitions)
