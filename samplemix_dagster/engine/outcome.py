"""What a stage did, for whoever tells it: to one shard, to a partition, to the corpus."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class ShardOutcome:
    """What a stage did to one shard."""

    shard: str
    path: str
    num_documents: int
    num_computed: int
    num_rejected: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a stage did to a partition, or a fit to the corpus."""

    asset: str
    partition: str | None
    why: str
    data_version: str
    seconds: float
    shards: tuple[ShardOutcome, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    """Numbers and short texts for people, by name."""

    @property
    def num_documents(self) -> int:
        """Documents of the partition."""
        return sum(shard.num_documents for shard in self.shards)

    @property
    def num_computed(self) -> int:
        """Documents that had to be computed."""
        return sum(shard.num_computed for shard in self.shards)


Progress = Callable[[str, str, int, int], None]
"""Called with (asset, partition, documents done, documents in all or 0)."""


def no_progress(asset: str, partition: str, done: int, total: int) -> None:
    """Report nothing."""
    del asset, partition, done, total
