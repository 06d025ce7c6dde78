"""The rejected rows of a shard: how many, and why."""

from collections import Counter
from typing import TYPE_CHECKING

import pyarrow as pa

from samplemix_dagster.engine.placed_shard import PlacedShard

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes


def num_rejected(recipes: "Recipes", shard: PlacedShard) -> int:
    """Return how many rows of a shard were rejected."""
    return sum(rejected_by_reason(recipes, shard).values())


def rejected_by_reason(recipes: "Recipes", shard: PlacedShard) -> Counter[str]:
    """Return how many rows of a shard were rejected for each reason."""
    table = recipes.lake.read_table(recipes.rejections_key(shard))
    found: Counter[str] = Counter()
    for reason, count in zip(table.column("reason").to_pylist(), row_counts(table), strict=True):
        found[reason] += count
    return found


def row_counts(table: pa.Table) -> list[int]:
    """Return how many rows each entry stands for: one, in tables of the first version."""
    if NUM_ROWS not in table.column_names:
        return [1] * table.num_rows
    return list(table.column(NUM_ROWS).to_pylist())


NUM_ROWS = "num_rows"
