"""The executor of worker processes of one thread each.

Workers live as long as the process that started them and keep their models: a run over many
partitions loads each model once a worker.
"""

import atexit
import collections
import concurrent.futures
import itertools
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator

from samplemix_dagster.engine.executors.executor import Lost, Result, Unit
from samplemix_dagster.engine.executors.here import THREAD_VARIABLES, Here, use_one_thread
from samplemix_dagster.errors import SampleMixError

_WORTH_A_POOL = 3
"""Chunks that are worth the seconds in which worker processes start and load a model."""
_pools: dict[int, concurrent.futures.ProcessPoolExecutor] = {}
_pools_lock = threading.Lock()
"""Two runs in one process share its workers; environment variables are the process's too."""


class Processes:
    """Worker processes; little work stays here, since it is not worth starting them."""

    reads_shards = False

    def __init__(self, num_workers: int) -> None:
        self.num_workers = num_workers
        self.lost = Lost()

    def map(self, work: Callable[[Unit], Result], units: Iterable[Unit]) -> Iterator[Result]:
        """Yield ``work(unit)`` for each unit, in order.

        Raises:
            SampleMixError: A worker process died.
        """
        units = iter(units)
        first = list(itertools.islice(units, _WORTH_A_POOL))
        is_little = len(first) < _WORTH_A_POOL and self.num_workers not in _pools
        units = itertools.chain(first, units)
        if is_little:
            yield from Here().map(work, units)
            return
        yield from self._elsewhere(work, units)

    def _elsewhere(self, work: Callable[[Unit], Result], units: Iterable[Unit]) -> Iterator[Result]:
        pool = _pool(self.num_workers)
        pending: collections.deque[concurrent.futures.Future[Result]] = collections.deque()
        try:
            for unit in units:
                pending.append(pool.submit(work, unit))
                if len(pending) > 2 * self.num_workers:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        except concurrent.futures.process.BrokenProcessPool as error:
            _pools.pop(self.num_workers, None)
            raise SampleMixError(
                "a worker process died: it was killed, or memory ran out. Run again, with a "
                "smaller `compute.workers` if it was memory; what was finished is kept."
            ) from error
        finally:
            for future in pending:
                future.cancel()


def _pool(num_workers: int) -> concurrent.futures.ProcessPoolExecutor:
    with _pools_lock:
        if num_workers not in _pools:
            _pools[num_workers] = _start_pool(num_workers)
        return _pools[num_workers]


def _start_pool(num_workers: int) -> concurrent.futures.ProcessPoolExecutor:
    # Spawned, not forked: a fork would inherit half of a threaded library's state.
    context = multiprocessing.get_context("spawn")
    pool = concurrent.futures.ProcessPoolExecutor(
        num_workers, mp_context=context, initializer=_start_worker, initargs=(os.getpid(),)
    )
    saved = {name: os.environ.get(name) for name in THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(THREAD_VARIABLES, "1"))
    try:
        # All start now, while the variables stand: libraries read them when they load.
        list(pool.map(_ready, range(num_workers)))
    finally:
        for name, value in saved.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
    return pool


def _ready(number: int) -> int:
    return number


def _start_worker(parent: int) -> None:
    import signal
    import time

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    use_one_thread()

    def leave_with_parent() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=leave_with_parent, daemon=True).start()


def stop_workers() -> None:
    """End every worker process, also one that is at work: its chunk is not waited for."""
    if _pools:
        for child in multiprocessing.active_children():
            child.terminate()
    while _pools:
        _, pool = _pools.popitem()
        pool.shutdown(wait=True, cancel_futures=True)


atexit.register(stop_workers)
