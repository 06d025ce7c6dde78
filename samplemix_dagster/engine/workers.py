"""How a map over chunks is run: in this process, or in worker processes of one thread each.

Results come back in the order of the chunks, and a chunk's result does not depend on who computes
it, so one worker, two and four give the same bytes. Workers live as long as the process that
started them and keep their models: a run over many partitions loads each model once a worker.
"""

import atexit
import collections
import concurrent.futures
import itertools
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from samplemix_dagster.engine.memory import give_memory_back
from samplemix_dagster.errors import SampleMixError

_Chunk = TypeVar("_Chunk")
_Result = TypeVar("_Result")

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMBA_NUM_THREADS",
)
_WORTH_A_POOL = 3
"""Chunks that are worth the seconds in which worker processes start and load a model."""
_pools: dict[int, concurrent.futures.ProcessPoolExecutor] = {}
_pools_lock = threading.Lock()
"""Two runs in one process share its workers; environment variables are the process's too."""


def map_chunks(
    work: Callable[[_Chunk], _Result],
    chunks: Iterable[_Chunk],
    num_workers: int,
) -> Iterator[_Result]:
    """Yield ``work(chunk)`` for each chunk, in order.

    Args:
        work: A function that a worker process can import.
        chunks: Read only as far as needed to keep the workers busy, so memory stays flat.
        num_workers: 1 runs here; more run in that many processes, unless there is too little
            work to be worth starting them.

    Raises:
        SampleMixError: A worker process died.
    """
    chunks = iter(chunks)
    first = list(itertools.islice(chunks, _WORTH_A_POOL))
    is_little = len(first) < _WORTH_A_POOL and num_workers not in _pools
    chunks = itertools.chain(first, chunks)
    if num_workers == 1 or is_little:
        _use_one_thread()
        yield from map(work, chunks)
        return
    pool = _pool(num_workers)
    pending: collections.deque[concurrent.futures.Future[_Result]] = collections.deque()
    try:
        for chunk in chunks:
            pending.append(pool.submit(work, chunk))
            if len(pending) > 2 * num_workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except concurrent.futures.process.BrokenProcessPool as error:
        _pools.pop(num_workers, None)
        raise SampleMixError(
            "a worker process died: it was killed, or memory ran out. Run again, with a smaller "
            "`compute.workers` if it was memory; what was finished is kept."
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
    saved = {name: os.environ.get(name) for name in _THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, "1"))
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
    _use_one_thread()

    def leave_with_parent() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(1)

    threading.Thread(target=leave_with_parent, daemon=True).start()


def _use_one_thread() -> None:
    import sys

    give_memory_back()
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)


def stop_workers() -> None:
    """End every worker process, also one that is at work: its chunk is not waited for."""
    if _pools:
        for child in multiprocessing.active_children():
            child.terminate()
    while _pools:
        _, pool = _pools.popitem()
        pool.shutdown(wait=True, cancel_futures=True)


atexit.register(stop_workers)
