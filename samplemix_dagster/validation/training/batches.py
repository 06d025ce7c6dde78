"""Any number of things, some at a time."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

Thing = TypeVar("Thing")


def batches(things: Iterable[Thing], most: int) -> Iterator[list[Thing]]:
    """Yield them in their order, at most so many at once."""
    every = iter(things)
    while batch := list(islice(every, most)):
        yield batch
