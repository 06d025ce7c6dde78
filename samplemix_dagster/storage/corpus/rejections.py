"""The rejected rows of a shard, as they are kept: all of them counted, some thousands shown.

A file of 100 kB can have fifty million rows that are no documents. Of each reason the first are
kept one by one, of the others a sample by the hash of their numbers; one more row stands for the
rest.
"""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

import pyarrow as pa

from samplemix_dagster import tables

MOST_FIRST = 1000
"""Rows of one reason in a shard that are kept one by one."""
MOST_SAMPLED = 100
"""Rows of one reason that are kept of those behind."""
_MIX = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


class Rejected(Protocol):
    """A rejected row, or equal ones that follow each other."""

    @property
    def row(self) -> int:
        """Where it stands, from 0."""

    @property
    def reason(self) -> str:
        """Why it is no document."""

    @property
    def excerpt(self) -> str:
        """How it begins."""

    @property
    def num_rows(self) -> int:
        """How many rows it stands for."""


@dataclass(slots=True)
class _Reason:
    """What is kept of one reason."""

    first: list[Rejected] = field(default_factory=list)
    sample: list[tuple[int, int, str]] = field(default_factory=list)
    """(minus the hash, row, excerpt), the largest hash on top."""
    num_behind: int = 0
    last: Rejected | None = None


class Rejections:
    """Takes every rejected row of a shard; holds a bounded number of them."""

    def __init__(self) -> None:
        self._reasons: dict[str, _Reason] = {}
        self.num_rows = 0
        """How many rows were rejected."""

    def add(self, found: Rejected) -> None:
        """Take a rejected row, or equal ones that follow each other."""
        self.num_rows += found.num_rows
        reason = self._reasons.setdefault(found.reason, _Reason())
        if len(reason.first) < MOST_FIRST:
            reason.first.append(found)
            return
        reason.num_behind += found.num_rows
        former, reason.last = reason.last, found
        if former is None:
            return
        # The last stands for the rest, so it is not in the sample.
        entry = (-((former.row * _MIX) & _MASK), former.row, former.excerpt)
        if len(reason.sample) < MOST_SAMPLED:
            heapq.heappush(reason.sample, entry)
        elif entry > reason.sample[0]:
            heapq.heapreplace(reason.sample, entry)

    def table(self) -> pa.Table:
        """Return them as a table, in the order of rows; the numbers of rows add up."""
        kept: list[tuple[int, str, str, int]] = []
        for name, reason in self._reasons.items():
            kept += [(one.row, name, one.excerpt, one.num_rows) for one in reason.first]
            kept += [(row, name, excerpt, 1) for _, row, excerpt in reason.sample]
            rest = reason.num_behind - len(reason.sample)
            if reason.last is not None:
                words = f"{reason.last.excerpt[:100]} (and {rest - 1:,} more rows)"
                excerpt = words if rest > 1 else reason.last.excerpt
                kept.append((reason.last.row, name, excerpt, rest))
        kept.sort()
        columns: tuple[Iterable[Any], ...] = tuple(zip(*kept, strict=True)) or ((), (), (), ())
        names = ("row", "reason", "excerpt", "num_rows")
        return tables.REJECTIONS.make(**dict(zip(names, map(list, columns), strict=True)))
