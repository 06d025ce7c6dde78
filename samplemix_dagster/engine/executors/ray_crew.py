"""The workers that a run has on a Ray cluster, and the cluster itself where one is started."""

import atexit
import contextlib
import logging
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from samplemix_dagster.engine.executors.here import THREAD_VARIABLES, use_one_thread
from samplemix_dagster.errors import SampleMixError


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """Which cluster, how many workers of it, and what each of them holds."""

    address: str = "auto"
    num_workers: int | None = None
    """As many as the cluster has room for when absent."""
    num_cpus: float = 1.0
    num_gpus: float = 0.0


class _Actor:
    """What a worker process of the cluster is."""

    def __init__(self) -> None:
        use_one_thread()

    def ready(self) -> int:
        """Say that it is there."""
        return os.getpid()

    def run(self, work: Callable[[Any], Any], unit: Any) -> Any:
        """Do a unit."""
        return work(unit)


@dataclass(slots=True, eq=False)
class Worker:
    """A worker as it is known here."""

    actor: Any
    starting: Any
    """The answer that says that it has started; None once it came."""


class Crew:
    """The workers of one kind, and the cluster that they are on."""

    def __init__(self, needs: Needs) -> None:
        self.needs = needs
        self.is_ours = _connect(needs)
        self.workers = [self._start() for _ in range(needs.num_workers or _room(needs))]
        self.lost_in_a_row = 0

    def _start(self) -> Worker:
        import ray

        variables = dict.fromkeys(THREAD_VARIABLES, "1")
        actor = (
            ray.remote(_Actor)
            .options(
                num_cpus=self.needs.num_cpus,
                num_gpus=self.needs.num_gpus,
                max_restarts=0,
                runtime_env={"env_vars": variables},
            )
            .remote()
        )
        return Worker(actor=actor, starting=actor.ready.remote())

    def replace(self, worker: Worker) -> None:
        """Start a worker in the place of one that was lost."""
        self.lost_in_a_row += 1
        self.end(worker)
        self.workers[self.workers.index(worker)] = self._start()

    def end(self, worker: Worker) -> None:
        """End a worker, also one that is at work."""
        import ray

        with contextlib.suppress(Exception):
            ray.kill(worker.actor)

    def leave(self) -> None:
        """End every worker, and the cluster if it was started here."""
        import ray

        if not ray.is_initialized():
            return  # whatever is asked of Ray from here on would start another cluster
        for worker in self.workers:
            self.end(worker)
        if self.is_ours:
            ray.shutdown()


_crews: list[Crew] = []
_crews_lock = threading.Lock()


def crew_for(needs: Needs) -> Crew:
    """Return workers of a kind; those of another kind end, since they hold room of the cluster."""
    import ray

    with _crews_lock:
        if _crews and (_crews[0].needs != needs or not ray.is_initialized()):
            _crews.pop().leave()
        if not _crews:
            _crews.append(Crew(needs))
            atexit.unregister(stop_ray)
            atexit.register(stop_ray)  # after Ray's own, so that it runs before that
        return _crews[0]


def stop_ray() -> None:
    """End every worker on a Ray cluster, and the cluster if it was started here."""
    with _crews_lock:
        while _crews:
            _crews.pop().leave()


def _connect(needs: Needs) -> bool:
    """Reach the cluster, or start one; return whether to leave it at the end.

    Raises:
        SampleMixError: It cannot be reached.
    """
    import ray

    # A cluster that is started here reports to nobody.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    if ray.is_initialized():
        return False
    address = os.environ.get("RAY_ADDRESS", "local") if needs.address == "auto" else needs.address
    more = {}
    if address == "local":
        wanted = (needs.num_workers or 1) * needs.num_cpus
        more = {"num_cpus": max(_num_cores(), int(wanted)), "include_dashboard": False}
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **more)
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise SampleMixError(
            f"the Ray cluster {address} cannot be reached: {error}. If it asks for a token, set "
            "RAY_AUTH_MODE=token and RAY_AUTH_TOKEN_PATH in the environment."
        ) from error
    _hush()
    return True


def _hush() -> None:
    """Keep Ray's own sentences off standard output, which may be JSON; its log files have them."""
    from ray._private import worker

    worker._worker_logs_enabled = False


def _num_cores() -> int:
    with contextlib.suppress(AttributeError):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _room(needs: Needs) -> int:
    """Return how many workers the cluster has room for as it is now; one at least."""
    import ray

    there = ray.cluster_resources()
    wanted = {"CPU": needs.num_cpus, "GPU": needs.num_gpus}
    room = [there.get(name, 0.0) / amount for name, amount in wanted.items() if amount]
    return max(1, int(min(room, default=_num_cores())))
