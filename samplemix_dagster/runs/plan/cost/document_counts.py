"""How many documents a step would compute: from tables where there are some, else from text."""

from samplemix_dagster.core.hashing import doc_id
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.shards.carrying import carried_keys
from samplemix_dagster.engine.shards.shard_rows import read_documents
from samplemix_dagster.engine.stages import NotFittedError, Stage

_MOST_COUNTED = 1 << 18
_counted: dict[str, int] = {}
"""Documents of shards by the address of their table: what is read, and how, is in it."""


class DocumentCounts:
    """The documents of a project's shards, each shard read once at most."""

    def __init__(self, recipes: Recipes) -> None:
        """Take the addresses of a project as it is."""
        self._recipes = recipes
        self._ids: dict[tuple[str, str], list[str]] = {}

    def to_compute(self, stage: Stage, shard: PlacedShard) -> int:
        """Count the documents of a shard that the stage has to compute."""
        try:
            carried = carried_keys(self._recipes, stage, shard)
        except NotFittedError:
            carried = []
        if not carried:
            return self.of_shard(shard)
        known: set[str] = set()
        for key in carried:
            known.update(
                self._recipes.project.lake.read_table(key, ["doc_id"]).column("doc_id").to_pylist()
            )
        return sum(identity not in known for identity in self.ids(shard))

    def of_shard(self, shard: PlacedShard) -> int:
        """Count the documents of a shard: once in a process, since a new one's text is read."""
        key = self._recipes.feature_key(DOCUMENTS, shard)
        if key not in _counted:
            if len(_counted) >= _MOST_COUNTED:
                _counted.clear()
            if self._recipes.project.lake.exists(key):
                _counted[key] = self._recipes.project.lake.num_rows(key)
            else:
                _counted[key] = sum(1 for _ in read_documents(self._recipes, shard))
        return _counted[key]

    def ids(self, shard: PlacedShard) -> list[str]:
        """Return the ids of a shard's documents, in its order."""
        mark = (shard.source, shard.digest)
        if mark not in self._ids:
            key = self._recipes.feature_key(DOCUMENTS, shard)
            if self._recipes.project.lake.exists(key):
                column = self._recipes.project.lake.read_table(key, ["doc_id"]).column("doc_id")
                self._ids[mark] = column.to_pylist()
            else:
                self._ids[mark] = [
                    doc_id(document.text) for document in read_documents(self._recipes, shard)
                ]
        return self._ids[mark]
