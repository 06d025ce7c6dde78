"""How many documents a refit moved to another cluster or topic."""

import pyarrow as pa

from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.stages import Stage
from samplemix_dagster.storage.corpus.manifest import source_of
from samplemix_dagster.storage.lake import keys


class Moves:
    """Counts documents whose group has another id than by the recipe before: a refit moved them."""

    def __init__(self, recipes: Recipes, stage: Stage, partition: str) -> None:
        self.lake = recipes.lake
        self.column = stage.group_column
        source = source_of(partition)
        state = self.lake.read_json(keys.done_note(stage.name, source), {}) if self.column else {}
        self.folder = str(state.get("folder", ""))
        self.num_before, self.num_moved = 0, 0

    def count(self, shard: PlacedShard, table: pa.Table) -> None:
        """Compare a shard's new table with the one before, where there is one."""
        key = f"{self.folder}/{shard.digest}.parquet"
        if self.folder and self.lake.exists(key):
            former = self.lake.read_table(key, ["doc_id", self.column])
            before = dict(zip(*(column.to_pylist() for column in former.columns), strict=True))
            for identity, group in zip(
                table.column("doc_id").to_pylist(),
                table.column(self.column).to_pylist(),
                strict=True,
            ):
                if identity in before:
                    self.num_before += 1
                    self.num_moved += before[identity] != group

    @property
    def facts(self) -> dict[str, object]:
        """What was found; nothing where there was nothing to compare with."""
        if not self.num_before:
            return {}
        return {
            f"documents_changed_{self.column}": self.num_moved,
            "documents_compared": self.num_before,
        }
