"""Report runs as failed whose process is gone: Dagster would show them as running for ever."""

import os
import platform
from collections.abc import Mapping

import dagster as dg

from samplemix_dagster.run_tags import (
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
_AGAIN_TAG = "dagster/parent_run_id"


def reap_dead_runs(instance: dg.DagsterInstance) -> list[str]:
    """Report runs as failed whose process is gone; return their ids.

    Of a run on another machine or in another container nothing is known, so it is left alone.
    """
    reaped = []
    for run in instance.get_runs(dg.RunsFilter(statuses=_UNFINISHED)):
        if not _has_died(run):
            continue
        instance.add_run_tags(run.run_id, {CAN_PASS_TAG: "true"})
        instance.report_run_failed(run, "The process of this run is gone.")
        reaped.append(run.run_id)
    return reaped


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
