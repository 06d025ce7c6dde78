"""Names of the tags by which runs are known: the few that a person reads, and those for the code.

Tags for the code stand under Dagster's hidden prefix, so that no page shows them. Runs of earlier
releases carry them as ``samplemix/...``; what reads a tag understands both.
"""

import os
import platform
from collections.abc import Mapping

from dagster._core.storage.tags import HIDDEN_TAG_PREFIX, REPOSITORY_LABEL_TAG

ASKED_BY_TAG = "samplemix/asked_by"
"""Who asked for a run: the command line, a schedule, a sensor; without it a person in the UI."""
WHY_TAG = "samplemix/why"
"""Why it was asked for, in words."""
PART_OF_TAG = "samplemix/part_of"
"""The run of a job that this run is a part of."""
WHY_CHARACTERS = 250

_OLD_PREFIX = "samplemix/"
_HIDDEN_PREFIX = f"{HIDDEN_TAG_PREFIX}samplemix_"
PID_TAG, BOOT_TAG = f"{_HIDDEN_PREFIX}pid", f"{_HIDDEN_PREFIX}boot"
"""The process of a run, to tell a dead run from a running one."""
MACHINE_TAG, CONTAINER_TAG = f"{_HIDDEN_PREFIX}machine", f"{_HIDDEN_PREFIX}container"
"""Tags of where a run's process is: elsewhere its id says nothing."""
FILES_TAG, SETTLED = f"{_HIDDEN_PREFIX}files", "settled"
"""Tag of a run that started by itself: it leaves out files that are still being written."""
CAN_PASS_TAG = f"{_HIDDEN_PREFIX}can_pass"
"""Tag of a run that failed for a reason that can pass."""
LASTS_TAG = f"{_HIDDEN_PREFIX}lasts"
"""Tag of a run that failed for a reason that lasts; a run that was killed has no such tag."""
TOLD_TAG = f"{_HIDDEN_PREFIX}told"
"""Tag of a run whose failure the failure hook has been told."""
REPORTS_TO_TAG = f"{_HIDDEN_PREFIX}reports_to"
"""Tag of a run inside something else, which tells of its failures: a run, or the command line."""
FINDING_TAG, ATTEMPT_TAG = f"{_HIDDEN_PREFIX}finding", f"{_HIDDEN_PREFIX}attempt"
"""What the sensor of shards had found, and how often it has asked for a run of that."""

LOCATION, REPOSITORY = "samplemix_dagster.definitions", "__repository__"
"""Where ``samplemix ui`` has the jobs: the name of its code location, and of what is in it."""
REPOSITORY_TAGS: Mapping[str, str] = {REPOSITORY_LABEL_TAG: f"{REPOSITORY}@{LOCATION}"}
"""What Dagster tags runs with that its own UI starts; the page of a job lists no others."""


def old_name(tag: str) -> str:
    """Return the name that a hidden tag had in earlier releases."""
    return f"{_OLD_PREFIX}{tag.removeprefix(_HIDDEN_PREFIX)}"


def tag_of(tags: Mapping[str, str], tag: str) -> str | None:
    """Return the value of a hidden tag, also of a run of an earlier release; None without it."""
    return tags.get(tag, tags.get(old_name(tag)))


def process_tags() -> dict[str, str]:
    """Return the tags by which a run's process is known, to tell a dead run from a running one."""
    return {
        PID_TAG: str(os.getpid()),
        BOOT_TAG: boot_id(),
        MACHINE_TAG: platform.node(),
        CONTAINER_TAG: container_id(),
    }


def container_id() -> str:
    """Return what tells containers of one machine apart: where process ids mean the same."""
    try:
        return os.readlink("/proc/self/ns/pid")  # noqa: PTH115  no file stands there
    except OSError:
        return ""


def boot_id() -> str:
    """Return what changes when the machine restarts; empty where nothing says it."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:  # noqa: PTH123
            return file.read().strip()
    except OSError:
        return ""


def takes_only_settled(tags: Mapping[str, str]) -> bool:
    """Whether a run of these tags leaves out files that are still being written."""
    return tag_of(tags, FILES_TAG) == SETTLED
