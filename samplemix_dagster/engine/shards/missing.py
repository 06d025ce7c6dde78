"""Which shards of a partition a stage has no table of."""

from typing import TYPE_CHECKING

from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.stages import Stage

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes


def missing_shards(recipes: "Recipes", stage: Stage, partition: str) -> list[PlacedShard]:
    """Return the partition's shards that have no table at their address."""
    shards = recipes.project.shards(partition)
    if not shards:
        return []
    there = recipes.lake.names(recipes.feature_folder(stage, shards[0].source))
    return [
        shard
        for shard in shards
        if any(f"{shard.digest}{end}" not in there for end in stage.endings)
    ]
