"""The executor that is a Ray cluster: one actor a worker, which keeps the models that it loaded.

A task carries a shard's address; the worker reads the shard itself, so no text is ever in Ray's
object store. Results come back and are written by whoever asked. A unit whose worker was lost is
given to another: its result is the same bytes, so doing it twice does no harm.
"""

import collections
import contextlib
import heapq
import itertools
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic

from samplemix_dagster.config.around import Compute
from samplemix_dagster.engine.executors.executor import Lost, Result, Unit
from samplemix_dagster.engine.executors.ray_crew import Crew, Needs, Worker, crew_for
from samplemix_dagster.errors import ConfigError, SampleMixError

_IN_FLIGHT = 2
"""Units that a worker holds: one at work, one that waits, so that no worker waits for us."""
_WINDOW = 4
"""Units a worker that may be ahead of the first one without a result."""
_MOST_LOSSES = 3
"""Workers that may be lost at one unit, or one after the other while they start."""
_MOST_SECONDS_WITHOUT_WORKER = 600.0
"""A cluster that grows needs minutes for a machine; one without room would wait for ever."""


class RayExecutor:
    """Workers of a Ray cluster; they stay until the process ends or asks for other ones."""

    reads_shards = True

    def __init__(self, needs: Needs) -> None:
        self.needs = needs
        self.lost = Lost()

    @classmethod
    def of(cls, compute: Compute, device: str) -> "RayExecutor":
        """Return the executor that a configuration asks for, for work on a device.

        Raises:
            ConfigError: Ray is not installed.
        """
        _check_installed()
        is_on_gpu = device.startswith("cuda")
        return cls(
            Needs(
                address=compute.address,
                num_workers=None if compute.workers == "auto" else max(1, compute.workers),
                num_cpus=compute.num_cpus,
                num_gpus=compute.num_gpus if is_on_gpu else 0.0,
            )
        )

    def map(self, work: Callable[[Unit], Result], units: Iterable[Unit]) -> Iterator[Result]:
        """Yield ``work(unit)`` for each unit, in order.

        Raises:
            SampleMixError: No worker can be had, or one unit lost several.
        """
        units = iter(units)
        first = next(units, None)
        if first is None:
            return  # nothing to do, so no cluster is started
        units = itertools.chain((first,), units)
        yield from _Map(crew_for(self.needs), work, units, self.lost).results()


def _check_installed() -> None:
    from importlib.util import find_spec

    if find_spec("ray") is None:
        raise ConfigError(
            "compute.executor is `ray`, and Ray is not installed here: "
            "pip install 'samplemix-dagster[ray]'."
        )


@dataclass(slots=True, order=True)
class _Job(Generic[Unit]):
    """A unit, its place in the order, and how many workers were lost at it."""

    position: int
    unit: Unit = field(compare=False)
    losses: int = field(default=0, compare=False)


class _Map(Generic[Unit, Result]):
    """One map: who is at which unit, and what has come back."""

    def __init__(
        self, crew: Crew, work: Callable[[Unit], Result], units: Iterator[Unit], lost: Lost
    ) -> None:
        self.crew = crew
        self.work = work
        self.fresh = (_Job(position, unit) for position, unit in enumerate(units))
        self.again: list[_Job[Unit]] = []
        """Units whose worker was lost; the first in order is given first."""
        self.lost = lost
        self.at_work: dict[Any, tuple[Worker, _Job[Unit]]] = {}
        self.held: collections.defaultdict[Worker, list[_Job[Unit]]] = collections.defaultdict(list)
        """What each worker was given, in the order in which it does it."""
        self.last: dict[Worker, _Job[Unit] | None] = {}
        """What each lost worker was at."""
        self.done: dict[int, Callable[[], Result]] = {}
        """What has come back before its turn: a function that returns it, or raises it."""
        self.position = 0
        """The first unit that was not handed on."""
        self.given = 0

    def results(self) -> Iterator[Result]:
        """Yield the results in order."""
        try:
            self._give()
            while self.at_work or self.again or self._is_to_come():
                self._take(self._next_answer())
                self._give()
                while self.position in self.done:
                    found = self.done.pop(self.position)()
                    self.position += 1
                    yield found
                self._give()
        finally:
            self._cancel()

    def _is_to_come(self) -> bool:
        """Whether units are left, though nobody was there to take one."""
        job = self._next_job()
        if job is not None:
            heapq.heappush(self.again, job)
        return job is not None

    def _next_job(self) -> _Job[Unit] | None:
        if self.again:
            return heapq.heappop(self.again)
        if self.given - self.position >= _WINDOW * len(self.crew.workers):
            return None
        job = next(self.fresh, None)
        self.given += job is not None
        return job

    def _give(self) -> None:
        """Give units to the workers that hold fewest, as long as one has room."""
        while True:
            there = [worker for worker in self.crew.workers if worker.starting is None]
            worker = min(there, key=lambda one: len(self.held[one]), default=None)
            if worker is None or len(self.held[worker]) >= _IN_FLIGHT:
                return
            job = self._next_job()
            if job is None:
                return
            self.held[worker].append(job)
            self.at_work[worker.actor.run.remote(self.work, job.unit)] = worker, job

    def _next_answer(self) -> Any:
        """Wait for a worker to say something.

        Raises:
            SampleMixError: None is there, and none comes.
        """
        import ray

        began = time.monotonic()
        while True:
            starting = [one.starting for one in self.crew.workers if one.starting is not None]
            answers, _ = ray.wait([*self.at_work, *starting], num_returns=1, timeout=10.0)
            if answers:
                return answers[0]
            if not self.at_work and time.monotonic() - began > _MOST_SECONDS_WITHOUT_WORKER:
                raise SampleMixError(
                    "the Ray cluster had no room for a worker for "
                    f"{_MOST_SECONDS_WITHOUT_WORKER:.0f} s: each needs "
                    f"{self.crew.needs.num_cpus:g} CPUs and {self.crew.needs.num_gpus:g} GPUs "
                    "(`compute.num_cpus`, `compute.num_gpus`)."
                )

    def _take(self, answer: Any) -> None:
        import ray

        if answer not in self.at_work:
            self._take_start(answer)
            return
        worker, job = self.at_work.pop(answer)
        try:
            found = ray.get(answer)
        except ray.exceptions.RayTaskError as error:
            self.done[job.position] = _raising(_cause(error))
        except _lost_errors() as error:
            self._lose(worker, error)
            self._give_again(job, error, was_at_it=self.last[worker] is job)
        else:
            self.crew.lost_in_a_row = 0
            self.done[job.position] = lambda: found
        self.held[worker].remove(job)

    def _take_start(self, answer: Any) -> None:
        import ray

        worker = next(one for one in self.crew.workers if one.starting == answer)
        try:
            ray.get(answer)
        except _lost_errors() as error:
            self._lose(worker, error)
        else:
            worker.starting = None

    def _lose(self, worker: Worker, error: Exception) -> None:
        """Put another worker in the place of a lost one, once."""
        if worker in self.last:
            return
        self.lost.workers += 1
        self.last[worker] = next(iter(self.held[worker]), None)
        self.crew.replace(worker)
        if self.crew.lost_in_a_row > _MOST_LOSSES * len(self.crew.workers):
            raise SampleMixError(
                f"workers of the Ray cluster die as soon as they are started: {_line(error)}"
            ) from error

    def _give_again(self, job: _Job[Unit], error: Exception, *, was_at_it: bool) -> None:
        if was_at_it:
            job.losses += 1
            self.lost.repeated += 1
        if job.losses >= _MOST_LOSSES:
            raise SampleMixError(
                f"{_MOST_LOSSES} workers of the Ray cluster were lost at the same shard: "
                f"{_line(error)} If it was memory, give each worker more "
                "(`compute.num_cpus`), or cut the shard; what was finished is kept."
            ) from error
        heapq.heappush(self.again, job)

    def _cancel(self) -> None:
        """Take back what was given and is not wanted any more."""
        import ray

        for answer in self.at_work:
            with contextlib.suppress(Exception):
                ray.cancel(answer)
        self.at_work.clear()


def _lost_errors() -> tuple[type[Exception], ...]:
    """What Ray raises when a worker, its machine or a result that lay there is gone."""
    from ray import exceptions

    return (
        exceptions.RayActorError,
        exceptions.ObjectLostError,
        exceptions.NodeDiedError,
        exceptions.OutOfMemoryError,
        exceptions.WorkerCrashedError,
    )


def _cause(error: Any) -> BaseException:
    """Return what the work itself raised."""
    cause = error.cause
    return cause if isinstance(cause, BaseException) else error


def _raising(error: BaseException) -> Callable[[], Any]:
    def fail() -> Any:
        raise error

    return fail


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
