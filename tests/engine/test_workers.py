"""Maps over chunks: the same results in the same order, here or in worker processes."""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator

import pytest

from samplemix_dagster.engine.executors.choice import on_this_machine
from samplemix_dagster.engine.executors.executor import Result
from samplemix_dagster.engine.executors.processes import stop_workers
from samplemix_dagster.errors import SampleMixError


def map_chunks(
    work: Callable[[int], Result], chunks: Iterable[int], num_workers: int
) -> Iterator[Result]:
    return on_this_machine(num_workers).map(work, chunks)


def square(number: int) -> int:
    return number * number


def slow_first(number: int) -> int:
    time.sleep(0.2 if number == 0 else 0.0)
    return number


def process_of(number: int) -> int:
    return os.getpid()


def threads_of(number: int) -> str | None:
    return os.environ.get("OMP_NUM_THREADS")


def fail_at_3(number: int) -> int:
    if number == 3:
        raise ValueError("three")
    return number


def die_at_3(number: int) -> int:
    if number == 3:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


@pytest.fixture(scope="module", autouse=True)
def _workers_end_with_the_module() -> Iterator[None]:
    yield
    stop_workers()


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_chunks(workers: int) -> None:
    assert list(map_chunks(square, range(50), workers)) == [number**2 for number in range(50)]
    assert list(map_chunks(slow_first, range(5), workers)) == list(range(5))


@pytest.mark.parametrize("workers", [1, 2])
def test_nothing_in_gives_nothing_out(workers: int) -> None:
    assert list(map_chunks(square, [], workers)) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_chunks_are_read_only_as_far_as_needed(workers: int) -> None:
    read = []

    def chunks() -> Iterator[int]:
        for number in range(100):
            read.append(number)
            yield number

    results = map_chunks(square, chunks(), workers)
    for _ in range(10):
        next(results)
    assert len(read) <= 10 + 2 * workers + 1
    results.close()  # type: ignore[attr-defined]


def test_one_worker_runs_here_and_two_run_elsewhere_and_stay() -> None:
    assert set(map_chunks(process_of, range(3), 1)) == {os.getpid()}
    first = set(map_chunks(process_of, range(20), 2))
    assert os.getpid() not in first
    assert set(map_chunks(process_of, range(20), 2)) | first == first


def test_a_worker_has_one_thread_and_this_process_keeps_its_variables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stop_workers()
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert set(map_chunks(threads_of, range(4), 2)) == {"1"}
    assert os.environ["OMP_NUM_THREADS"] == "7"


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_in_a_worker_is_raised_here_after_what_came_before(workers: int) -> None:
    found: list[int] = []
    with pytest.raises(ValueError, match="three"):
        found.extend(map_chunks(fail_at_3, range(10), workers))
    assert found == [0, 1, 2]
    assert list(map_chunks(square, range(3), workers)) == [0, 1, 4]


def test_after_a_worker_was_killed_the_next_map_has_new_ones() -> None:
    with pytest.raises(SampleMixError, match=r"a worker process died.*compute.workers"):
        list(map_chunks(die_at_3, range(10), 2))
    assert list(map_chunks(square, range(5), 2)) == [0, 1, 4, 9, 16]


def test_workers_do_not_load_what_their_work_does_not_need() -> None:
    assert set(map_chunks(loaded, range(2), 2)) == {False}


def loaded(number: int) -> bool:
    return "torch" in sys.modules


def test_little_work_is_not_worth_starting_processes() -> None:
    stop_workers()
    assert set(map_chunks(process_of, range(2), 2)) == {os.getpid()}
    assert os.getpid() not in set(map_chunks(process_of, range(20), 2))
