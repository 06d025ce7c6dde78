"""Rejected rows as the lake has them: a row of a table may stand for many rows of a shard."""

from collections import Counter

import pyarrow as pa

from samplemix_dagster.engine.project import PlacedShard
from samplemix_dagster.engine.recipes import Recipes


def num_rejected(recipes: Recipes, shard: PlacedShard) -> int:
    """Return how many rows of a shard were rejected."""
    return sum(rejected_by_reason(recipes, shard).values())


def rejected_by_reason(recipes: Recipes, shard: PlacedShard) -> Counter[str]:
    """Return how many rows of a shard were rejected for each reason."""
    table = recipes.lake.read_table(recipes.rejections_key(shard))
    found: Counter[str] = Counter()
    for reason, count in zip(table.column("reason").to_pylist(), row_counts(table), strict=True):
        found[reason] += count
    return found


def row_counts(table: pa.Table) -> list[int]:
    """Return how many rows each entry stands for: one, in tables of the first version."""
    if "num_rows" not in table.column_names:
        return [1] * table.num_rows
    return list(table.column("num_rows").to_pylist())
