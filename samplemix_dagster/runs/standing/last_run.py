"""What failed in the last run: noted in the project's home, and read from there."""

import datetime as dt
import json
from collections.abc import Collection

from pydantic import BaseModel

from samplemix_dagster.engine.project import Project
from samplemix_dagster.storage.corpus.home import write_note

_FILE = "last_run.json"


class LastRun(BaseModel):
    """What failed in the last run."""

    failures: list[str] = []
    """A sentence each."""
    assets: list[str] = []
    """The assets that failed; none where a run ended before it came to one."""
    at: str = ""
    """When it ended, as an ISO time."""


def note_failures(project: Project, failures: list[str], assets: Collection[str]) -> None:
    """Remember what failed in the last run; nothing at all says that it went well."""
    now = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
    value = {"failures": failures, "assets": sorted(assets), "at": now}
    write_note(project.home / _FILE, json.dumps(value, indent=1))


def last_run(project: Project) -> LastRun:
    """Return what failed in the last run; nothing where that is not known."""
    try:
        value = json.loads((project.home / _FILE).read_text(encoding="utf-8"))
        return LastRun.model_validate(value)
    except (OSError, ValueError, RecursionError):
        return LastRun()  # what failed is seen again by the next run
