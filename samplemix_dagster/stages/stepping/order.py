"""The order of steps, and which of them can go into one run: found from what each needs.

A run of Dagster has one partition or none. So steps are made in phases: those of even phases run by
source, those of odd ones over the whole corpus. A step stands in the first phase of its kind in
which all that it needs is there.
"""

import heapq
from collections.abc import Iterator, Mapping, Sequence
from graphlib import TopologicalSorter
from typing import Protocol, TypeVar


class Ordered(Protocol):
    """What is said of a step here."""

    @property
    def asset(self) -> str:
        """Its name."""

    @property
    def deps(self) -> tuple[str, ...]:
        """The steps whose results it reads: they may be made in the same run, before it."""

    @property
    def waits(self) -> tuple[str, ...]:
        """Steps that are to be complete before its run begins, though it may not read them."""

    @property
    def is_partitioned(self) -> bool:
        """Whether it runs by source."""


_Step = TypeVar("_Step", bound=Ordered)


def in_order(steps: Sequence[_Step]) -> Iterator[_Step]:
    """Yield each step after all that it needs; else they stand as they were given.

    Raises:
        graphlib.CycleError: Steps need one another.
    """
    place = {step.asset: number for number, step in enumerate(steps)}
    sorter = TopologicalSorter({step.asset: (*step.deps, *step.waits) for step in steps})
    sorter.prepare()
    ready: list[int] = []
    while sorter.is_active():
        for asset in sorter.get_ready():
            heapq.heappush(ready, place[asset])
        step = steps[heapq.heappop(ready)]
        yield step
        sorter.done(step.asset)


def phase_of(step: Ordered, known: Mapping[str, int]) -> int:
    """Return the phase of a step, from 0, where the phases of all that it needs are known."""
    first = max(
        (*(known[asset] for asset in step.deps), *(known[asset] + 1 for asset in step.waits), 0)
    )
    is_of_its_kind = first % 2 == (0 if step.is_partitioned else 1)
    return first if is_of_its_kind else first + 1
