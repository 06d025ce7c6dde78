"""Which files came, changed or went since the last recorded scan, and which still move.

A look lists names, sizes and times and compares them with the partition's manifest; no file that
is unchanged is read. A file that differs is *settled* when two looks some time apart saw it the
same, or when its marker is there; until then it is left as it was recorded. What was seen of files
that differ is kept in the project's home, so that the sensor, the schedule and the runs that they
ask for agree on what may be taken. The scan itself, which reads and names shards, is in
``storage/corpus/manifest.py``.
"""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from samplemix_dagster.config.around import Sensor
from samplemix_dagster.config.corpus import Source
from samplemix_dagster.engine.watching.comparing import compare, same_content
from samplemix_dagster.engine.watching.findings import Finding, Sighting, Sightings
from samplemix_dagster.engine.watching.settling import is_marker, two_looks, with_marker
from samplemix_dagster.engine.watching.telling import files_word
from samplemix_dagster.errors import InputError
from samplemix_dagster.storage.corpus.home import write_note
from samplemix_dagster.storage.corpus.manifest import (
    Manifest,
    list_files,
    part_of,
    read_manifest,
    recorded_files,
    source_of,
)
from samplemix_dagster.storage.corpus.places.files import Files

if TYPE_CHECKING:
    from samplemix_dagster.engine.project import Project


clock = time.time
"""Unix time in seconds, as looks see it."""
_WAITS = 3
_LONGEST_WAIT = 600


# -- a project's looks ----------------------------------------------------------------------------


def look_at(
    project: "Project", partition: str, *, now: float | None = None, known: Manifest | None = None
) -> Finding:
    """Look at one partition, and remember what was seen of files that differ.

    Raises:
        InputError: The source cannot be listed.
    """
    moment = clock() if now is None else now
    settings: Sensor = project.config.sensor
    source = project.source(partition)
    if known is None:
        known = read_manifest(project.lake, partition)
    files = list_files(source, project.files)
    if not files:
        patterns = ", ".join(source.paths)
        raise InputError(
            f"source {source_of(partition)!r}: nothing matches {patterns}; its shards stay as they "
            "were recorded."
        )
    if source.parts > 1:
        files = {path: file for path, file in files.items() if part_of(path, partition, source)}
    markers: tuple[str, ...] = ()
    rule = two_looks(settings.interval, moment)
    if settings.settled == "marker":
        markers = tuple(path for path in files if is_marker(path, settings.marker))
        for path in markers:
            del files[path]
        rule = with_marker(project.files, settings.marker)
    before = _read_sightings(project, partition)
    found = compare(
        partition,
        files,
        recorded_files(known),
        before,
        now=moment,
        is_settled=rule,
        is_same=same_content(project.root),
    )
    if found.sightings != before:
        _write_sightings(project, partition, found.sightings)
    return replace(found, markers=markers)


def look_at_all(project: "Project", *, now: float | None = None) -> list[Finding]:
    """Look at every partition; one that cannot be listed says so in its finding."""
    found = []
    for partition in project.partitions:
        try:
            found.append(look_at(project, partition, now=now))
        except InputError as error:
            found.append(Finding(partition=partition, problem=str(error)))
    return found


def wait_until_settled(
    project: "Project", sleep: Callable[[float], None] = time.sleep
) -> list[Finding]:
    """Look until no file moves, a few intervals at most; return the last look.

    Files that still arrive then are left out. With markers there is nothing to wait for.

    Raises:
        InputError: A file of the corpus is still being rewritten or removed.
    """
    settings = project.config.sensor
    findings = look_at_all(project)
    waits = max(1, min(_WAITS, _LONGEST_WAIT // settings.interval))
    for _ in range(waits if settings.settled == "two_looks" else 0):
        if not any(found.arriving or found.moving for found in findings):
            break
        sleep(settings.interval)
        findings = look_at_all(project)
    moving = sorted(path for found in findings for path in found.moving)
    if moving:
        shown = ", ".join(moving[:5]) + (", ..." if len(moving) > 5 else "")
        raise InputError(
            f"{files_word(len(moving))} of the corpus kept changing for {waits} looks: {shown}. "
            "Nothing was run, and current versions stay. Let the writer finish, or write elsewhere "
            "and rename."
        )
    return findings


def markers_among(source: Source, files: Files, settings: Sensor) -> frozenset[str]:
    """Return the markers among a source's files; none where files are not taken by marker."""
    if settings.settled != "marker":
        return frozenset()
    return frozenset(path for path in list_files(source, files) if is_marker(path, settings.marker))


def _sightings_file(project: "Project", partition: str) -> Path:
    return project.home / "looks" / f"{partition.replace(':', '-part-')}.json"


def _read_sightings(project: "Project", partition: str) -> dict[str, Sighting]:
    try:
        value = json.loads(_sightings_file(project, partition).read_text(encoding="utf-8"))
        return {
            path: Sighting(file=(int(size), str(stamp)), since=float(since), is_same=bool(same))
            for path, (size, stamp, since, same) in value.items()
        }
    except (OSError, ValueError, AttributeError, TypeError):
        return {}  # nothing was seen: each file waits for one more look


def _write_sightings(project: "Project", partition: str, sightings: Sightings) -> None:
    value = {
        path: [*sighting.file, sighting.since, sighting.is_same]
        for path, sighting in sightings.items()
    }
    write_note(_sightings_file(project, partition), json.dumps(value))
