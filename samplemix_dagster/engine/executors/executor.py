"""What every executor promises: results in the order of the units, whoever computed them.

A unit's result depends on the unit alone, so who computes it, and how often, changes no byte.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

Unit = TypeVar("Unit")
Result = TypeVar("Result")


@dataclass(slots=True)
class Lost:
    """What was lost on the way and made up for: nothing of it is in a result."""

    workers: int = 0
    """Workers that died, or whose machine went."""
    repeated: int = 0
    """Units that were at work on one of them, and were done again elsewhere."""

    @property
    def facts(self) -> dict[str, int]:
        """What an outcome tells of it; nothing where nothing was lost."""
        if not self.workers:
            return {}
        return {"workers_lost": self.workers, "shards_repeated": self.repeated}


def lost_in_words(facts: Mapping[str, Any]) -> str:
    """Return an outcome's losses as a sentence; nothing where nothing was lost."""
    workers, repeated = facts.get("workers_lost", 0), facts.get("shards_repeated", 0)
    if not workers:
        return ""
    were = "1 worker was" if workers == 1 else f"{workers:,} workers were"
    shards = "1 shard was" if repeated == 1 else f"{repeated:,} shards were"
    return f"{were} lost; {shards} done again elsewhere, and nothing is missing"


class Executor(Protocol):
    """Maps a function over units of work."""

    reads_shards: bool
    """Whether a unit names a shard, which the worker opens itself; else it carries texts."""
    lost: Lost
    """What this executor has lost so far."""

    def map(self, work: Callable[[Unit], Result], units: Iterable[Unit]) -> Iterator[Result]:
        """Yield ``work(unit)`` for each unit, in order.

        Args:
            work: A function that a worker can import; it loads what it needs, once a worker.
            units: Read only as far as needed to keep the workers busy, so memory stays flat.

        Raises:
            SampleMixError: Workers died, and the executor cannot make up for it.
        """
        ...
