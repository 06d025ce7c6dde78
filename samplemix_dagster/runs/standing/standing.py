"""Where a mixture stands after a night: what is published, whether it is current, what failed."""

import datetime as dt
from collections.abc import Collection

from samplemix_dagster.engine.project import Project
from samplemix_dagster.runs.standing.last_run import last_run
from samplemix_dagster.stages.mixture.published.publishing import current_or_none
from samplemix_dagster.storage.lake import keys


def published(project: Project, name: str) -> str:
    """Return which version of a mixture is published, and of when; empty when none is."""
    version = current_or_none(project, name)
    if version is None:
        return ""
    manifest = project.lake.read_json(keys.manifest(name, version)) or {}
    made_at = str(manifest.get("made_at", ""))
    return f"version {version[:12]}{f' of {_moment(made_at)}' if made_at else ''}"


def what_is_current(project: Project) -> str:
    """Return what a night says that finds nothing to do."""
    found = [f"{name} {published(project, name)}" for name in project.config.mixtures]
    return f"Everything is current: {', '.join(found)}."


def standing(
    project: Project, name: str, why: str | None, stale: Collection[str], unknown: str = ""
) -> str:
    """Return how a mixture stands in a sentence; empty when it is current and nothing failed.

    Args:
        project: The project.
        name: The mixture.
        why: Why it is stale; None when it is current.
        stale: All assets that are stale: a failure whose assets are current again is history.
        unknown: Why nobody can tell whether it is stale; empty where one can.
    """
    failed = last_failure(project, stale, unknown)
    if why is None and not failed and not unknown:
        return ""
    there = published(project, name)
    if unknown:
        state = f"stays; nobody can tell whether it is current: {unknown.rstrip('.')}"
    else:
        state = "is still current" if why is None else f"is stale: {why}"
    first = (
        f"The published {there} {state}" if there else f"No version is published: {why or unknown}"
    )
    return "; ".join(words for words in (first, failed) if words)


def last_failure(project: Project, stale: Collection[str], said: str = "") -> str:
    """Return when the last run failed and at what; empty when it went well or is mended.

    Args:
        project: The project.
        stale: The assets that are stale now.
        said: What the reader has been told already.
    """
    last = last_run(project)
    is_mended = last.assets and not {*last.assets} & {*stale}
    if not last.failures or is_mended:
        return ""
    when = f" of {_moment(last.at)}" if last.at else ""
    if all(failure.rstrip(".") in said for failure in last.failures):
        return f"the last run{when} failed for that"
    more = f" (and {len(last.failures) - 1} more)" if len(last.failures) > 1 else ""
    return f"the last run{when} failed: {last.failures[0]}{more}"


def _moment(text: str) -> str:
    """Return an ISO time as a person reads it, in UTC."""
    return f"{dt.datetime.fromisoformat(text).astimezone(dt.UTC):%Y-%m-%d %H:%M} UTC"
