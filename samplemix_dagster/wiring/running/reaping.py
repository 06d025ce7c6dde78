"""Report runs as failed whose process is gone: Dagster would show them as running for ever."""

import contextlib
import os
import platform
import threading
from collections.abc import Iterator, Mapping

import dagster as dg

from samplemix_dagster.wiring.run_tags import (
    BOOT_TAG,
    CAN_PASS_TAG,
    CONTAINER_TAG,
    MACHINE_TAG,
    PID_TAG,
    boot_id,
    container_id,
    tag_of,
)

_UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
]
_REAP_SECONDS = 20.0
_AGAIN_TAG = "dagster/parent_run_id"


def reap_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Report runs as failed whose process is gone; return their ids.

    Of a run on another machine or in another container nothing is known, so it is left alone.
    """
    reaped = []
    for run in instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED)):
        if not _has_died(run):
            continue
        report_gone(instance, run)
        reaped.append(run.run_id)
    return reaped


def report_gone(instance: dg.DagsterInstance, run: dg.DagsterRun) -> None:
    """Report a run as failed whose process is gone, and give back what it holds."""
    instance.add_run_tags(run.run_id, {CAN_PASS_TAG: "true"})
    instance.report_run_failed(run, "The process of this run is gone.")
    _give_back(instance, run.run_id)


@contextlib.contextmanager
def reaping_meanwhile(instance: dg.DagsterInstance) -> Iterator[None]:
    """Reap now and then while something runs: it may wait for what a dead run still holds."""
    ended = threading.Event()

    def reap() -> None:
        while not ended.wait(_REAP_SECONDS):
            reap_dead_runs(instance)

    thread = threading.Thread(target=reap, name="samplemix-reaping", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _give_back(instance: dg.DagsterInstance, run_id: str) -> None:
    """Free the places in pools that a dead run holds; Dagster leaves them taken."""
    storage = instance.event_log_storage
    if storage.supports_global_concurrency_limits:
        storage.free_concurrency_slots_for_run(run_id)


def _has_died(run: dg.DagsterRun) -> bool:
    pid = tag_of(run.tags, PID_TAG)
    if pid is None or not _is_here(run.tags):
        return False
    if _AGAIN_TAG in run.tags and run.status != dg.DagsterRunStatus.STARTED:
        return False  # Dagster copied the tags of the run that it starts again
    return not _is_alive(int(pid), tag_of(run.tags, BOOT_TAG) or "")


def _is_here(tags: Mapping[str, str]) -> bool:
    """Whether a run's process is, or was before a restart, on this machine, in this container."""
    if (tag_of(tags, BOOT_TAG) or "") == boot_id():
        return (tag_of(tags, CONTAINER_TAG) or container_id()) == container_id()
    return (tag_of(tags, MACHINE_TAG) or platform.node()) == platform.node()


def _is_alive(pid: int, boot: str) -> bool:
    if boot != boot_id():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
