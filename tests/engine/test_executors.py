"""Every executor gives the same results in the same order; Ray makes up for workers that die."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from samplemix_dagster.config.around import Compute
from samplemix_dagster.engine.executors.executor import Executor
from samplemix_dagster.engine.executors.here import Here
from samplemix_dagster.engine.executors.processes import Processes, stop_workers
from samplemix_dagster.errors import SampleMixError

needs_ray = pytest.mark.skipif(
    find_spec("ray") is None, reason="Ray is not installed: pip install 'samplemix-dagster[ray]'"
)


def square(number: int) -> int:
    return number * number


def fail_at_3(number: int) -> int:
    if number == 3:
        raise SampleMixError("three")
    return number


def slow_at_0(number: int) -> int:
    time.sleep(0.5 if number == 0 else 0.0)
    return number


def threads_of(number: int) -> tuple[str | None, str | None]:
    return os.environ.get("OMP_NUM_THREADS"), os.environ.get("MKL_NUM_THREADS")


def die_once(place: tuple[Path, int]) -> int:
    folder, number = place
    if number == 5:
        try:
            (folder / "died").mkdir()
        except FileExistsError:
            return number
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def always_die(number: int) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return number


def on_ray() -> Executor:
    from samplemix_dagster.engine.executors.ray import RayExecutor

    return RayExecutor.of(Compute(executor="ray", address="local", workers=2), "cpu")


EXECUTORS = [
    pytest.param(Here, id="here"),
    pytest.param(lambda: Processes(2), id="processes"),
    pytest.param(on_ray, id="ray", marks=needs_ray),
]


@pytest.fixture(scope="module", autouse=True)
def _workers_end_with_the_module() -> Iterator[None]:
    yield
    stop_workers()
    if find_spec("ray") is not None:
        from samplemix_dagster.engine.executors.ray_crew import stop_ray

        stop_ray()


@pytest.mark.parametrize("executor", EXECUTORS)
def test_results_come_in_the_order_of_the_units(executor: Callable[[], Executor]) -> None:
    assert list(executor().map(square, range(50))) == [number**2 for number in range(50)]
    assert list(executor().map(slow_at_0, range(20))) == list(range(20))
    assert list(executor().map(square, [])) == []


@pytest.mark.parametrize("executor", EXECUTORS)
def test_an_error_is_raised_here_after_what_came_before(executor: Callable[[], Executor]) -> None:
    found: list[int] = []
    with pytest.raises(SampleMixError, match=r"^three$"):
        found.extend(executor().map(fail_at_3, range(10)))
    assert found == [0, 1, 2]
    assert list(executor().map(square, range(3))) == [0, 1, 4]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_units_are_read_only_as_far_as_needed(executor: Callable[[], Executor]) -> None:
    read = []

    def units() -> Iterator[int]:
        for number in range(100):
            read.append(number)
            yield number

    results = executor().map(square, units())
    for _ in range(10):
        next(results)
    assert len(read) <= 10 + 2 * 4 + 1
    results.close()  # type: ignore[attr-defined]


@needs_ray
def test_a_worker_on_ray_has_one_thread() -> None:
    assert set(on_ray().map(threads_of, range(4))) == {("1", "1")}


@needs_ray
def test_what_a_killed_worker_was_at_is_done_again_and_counted(tmp_path: Path) -> None:
    executor = on_ray()
    units = [(tmp_path, number) for number in range(30)]
    assert list(executor.map(die_once, units)) == list(range(30))
    assert (executor.lost.workers, executor.lost.repeated) == (1, 1)
    assert executor.lost.facts == {"workers_lost": 1, "shards_repeated": 1}


@needs_ray
def test_a_unit_that_kills_every_worker_ends_the_map() -> None:
    with pytest.raises(SampleMixError, match="3 workers of the Ray cluster were lost"):
        list(on_ray().map(always_die, range(3)))
    assert list(on_ray().map(square, range(5))) == [0, 1, 4, 9, 16]


@needs_ray
def test_nothing_to_do_starts_no_cluster() -> None:
    from samplemix_dagster.engine.executors.ray import RayExecutor

    compute = Compute(executor="ray", address="ray://nowhere.invalid:1", workers=2)
    assert list(RayExecutor.of(compute, "cpu").map(square, [])) == []
