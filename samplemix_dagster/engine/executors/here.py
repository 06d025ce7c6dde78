"""The executor that is this process."""

import sys
from collections.abc import Callable, Iterable, Iterator

from samplemix_dagster.engine.executors.executor import Lost, Result, Unit
from samplemix_dagster.engine.memory import keep_blocks

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)


class Here:
    """One unit after the other, in this process."""

    reads_shards = False

    def __init__(self) -> None:
        self.lost = Lost()

    def map(self, work: Callable[[Unit], Result], units: Iterable[Unit]) -> Iterator[Result]:
        """Yield ``work(unit)`` for each unit, in order."""
        use_one_thread()
        yield from map(work, units)


def use_one_thread() -> None:
    """Let this process's libraries compute with one thread: the same sums in the same order."""
    keep_blocks()
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
