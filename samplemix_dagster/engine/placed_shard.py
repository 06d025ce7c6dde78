"""A shard in a project: its partition, and how its rows are read."""

from dataclasses import dataclass

from samplemix_dagster.storage.corpus.manifest import Shard, source_of
from samplemix_dagster.storage.formats.base import ReadRules


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedShard:
    """A shard, the partition it belongs to and the rules by which it is read."""

    partition: str
    shard: Shard
    rules: ReadRules

    @property
    def source(self) -> str:
        """The source's name."""
        return source_of(self.partition)

    @property
    def digest(self) -> str:
        """The shard's name in the lake."""
        return self.shard.digest
