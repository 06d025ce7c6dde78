"""Which files came, changed or went since the last recorded scan, and which still move.

A look lists names, sizes and times and compares them with the partition's manifest; no file that
is unchanged is read. A file that differs is *settled* when two looks some time apart saw it the
same, or when its marker is there; until then it is left as it was recorded. What was seen of files
that differ is kept in the project's home, so that the sensor, the schedule and the runs that they
ask for agree on what may be taken. The scan itself, which reads and names shards, is in
``storage/corpus/manifest.py``.
"""

import json
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samplemix_dagster.config.around import Sensor
from samplemix_dagster.config.corpus import Source
from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.errors import InputError
from samplemix_dagster.storage.corpus.files import Files
from samplemix_dagster.storage.corpus.home import make_folder
from samplemix_dagster.storage.corpus.manifest import (
    Manifest,
    Shard,
    list_files,
    part_of,
    read_manifest,
    recorded_files,
    source_of,
    stamp_of,
)
from samplemix_dagster.storage.lake.whole_files import digest_file

if TYPE_CHECKING:
    from samplemix_dagster.engine.project import Project

File = tuple[int, str]
"""Size in bytes and stamp: a time or an ETag."""

GONE: File = (-1, "")
"""What a look sees of a file that is not there."""

FOLDER_MARKER = "_SUCCESS"
clock = time.time
"""Unix time in seconds, as looks see it."""
_COMPARED_BYTES = 256_000_000
"""Bytes that one look may read to tell a touched file from a changed one."""
_WAITS = 3
_LONGEST_WAIT = 600
_EARLY = 0.9
"""Ticks come a little early: two looks are apart when this share of the interval has passed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A file that differs from what is recorded, as it was last seen."""

    file: File
    since: float
    """Unix time, in seconds, at which it was first seen so."""
    is_same: bool = False
    """Whether its content was read and is what is recorded."""


Sightings = Mapping[str, Sighting]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a look at one partition found; each path stands in one of the lists at most."""

    partition: str
    num_files: int = 0
    new: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    arriving: tuple[str, ...] = ()
    """Unsettled files that are not recorded."""
    moving: tuple[str, ...] = ()
    """Recorded files that are being rewritten or removed, and are not settled yet."""
    touched: tuple[str, ...] = ()
    """Files of another time and the same content: no change."""
    markers: tuple[str, ...] = ()
    """Markers, which are no shards."""
    sightings: Sightings = field(default_factory=dict)
    problem: str = ""
    """Why the partition cannot be listed; empty when it can."""

    @property
    def taken(self) -> tuple[str, ...]:
        """Settled files that came, changed or went."""
        return (*self.new, *self.changed, *self.removed)

    @property
    def held(self) -> frozenset[str]:
        """Files that an automatic run leaves as they were recorded."""
        return frozenset((*self.arriving, *self.moving, *self.markers))


IsSettled = Callable[[str, File, Sighting | None], bool]
IsSame = Callable[[str, Shard], bool | None]
"""Whether a file's content is what is recorded; None when it could not be compared yet."""


def compare(
    partition: str,
    files: Mapping[str, File],
    recorded: Mapping[str, Shard],
    sightings: Sightings,
    *,
    now: float,
    is_settled: IsSettled,
    is_same: IsSame,
) -> Finding:
    """Compare a look with what is recorded and with what earlier looks saw.

    Args:
        partition: The partition that was looked at.
        files: Each file that is there.
        recorded: Each file of the last recorded scan.
        sightings: What the look before left.
        now: Unix time of this look, in seconds.
        is_settled: Whether a file that differs may be taken.
        is_same: Compares contents; asked once for a settled file of the same size.
    """
    found: dict[str, list[str]] = {
        name: [] for name in ("new", "changed", "removed", "arriving", "moving", "touched")
    }
    seen: dict[str, Sighting] = {}
    gone = [path for path in recorded if path not in files]
    for path in (*files, *gone):
        file = files.get(path, GONE)
        before = recorded.get(path)
        if before is not None and stamp_of(before) == file:
            continue
        last = sightings.get(path)
        if last is not None and (last.file != file or last.since > now):
            last = None
        sighting = last or Sighting(file=file, since=now)
        kind = _kind(path, file, before, last, is_settled)
        if kind == "changed" and before is not None and before.size == file[0]:
            same = True if sighting.is_same else is_same(path, before)
            kind = {True: "touched", False: "changed", None: "moving"}[same]
            if same:
                sighting = Sighting(file=file, since=sighting.since, is_same=True)
        found[kind].append(path)
        seen[path] = sighting
    lists: dict[str, Any] = {name: tuple(sorted(paths)) for name, paths in found.items()}
    return Finding(partition=partition, num_files=len(files), sightings=seen, **lists)


def _kind(
    path: str, file: File, before: Shard | None, last: Sighting | None, is_settled: IsSettled
) -> str:
    if not is_settled(path, file, last):
        return "arriving" if before is None else "moving"
    if before is None:
        return "new"
    return "removed" if file == GONE else "changed"


def two_looks(interval: float, now: float) -> IsSettled:
    """Return the rule: two looks, about an interval of seconds apart, saw the file the same."""

    def is_settled(path: str, file: File, last: Sighting | None) -> bool:
        del path
        return last is not None and last.file == file and now - last.since >= interval * _EARLY

    return is_settled


def with_marker(files: Files, ending: str) -> IsSettled:
    """Return the rule: a marker stands beside the file or in its folder, and is not older."""

    def is_settled(path: str, file: File, last: Sighting | None) -> bool:
        del last
        if file == GONE:
            return True
        markers = (path + ending, "/".join([*path.split("/")[:-1], FOLDER_MARKER]))
        return any(_is_as_new(files.look(marker), file) for marker in markers)

    return is_settled


def _is_as_new(marker: File | None, file: File) -> bool:
    """Whether a marker is there and was written after the file: an older one is of before.

    An ETag has no order, so on S3 a marker that is there is enough.
    """
    if marker is None:
        return False
    is_time = marker[1].isdigit() and file[1].isdigit()
    return not is_time or int(marker[1]) >= int(file[1])


def is_marker(path: str, ending: str) -> bool:
    """Whether a file is a marker."""
    name = path.rsplit("/", 1)[-1]
    return name == FOLDER_MARKER or (name.endswith(ending) and name != ending)


def same_content(root: Path, limit: int = _COMPARED_BYTES) -> IsSame:
    """Return what compares local files by digest, up to a number of bytes in all."""
    left = [limit]

    def is_same(path: str, before: Shard) -> bool | None:
        if "://" in path:
            return False  # the stamp is the content's own there
        if left[0] <= 0:
            return None
        left[0] -= before.size
        try:
            return digest_file(root / path) == before.bytes_digest
        except OSError:
            return None

    return is_same


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
            f"{_files_word(len(moving))} of the corpus kept changing for {waits} looks: {shown}. "
            "Nothing was run, and current versions stay. Let the writer finish, or write elsewhere "
            "and rename."
        )
    return findings


def markers_among(source: Source, files: Files, settings: Sensor) -> frozenset[str]:
    """Return the markers among a source's files; none where files are not taken by marker."""
    if settings.settled != "marker":
        return frozenset()
    return frozenset(path for path in list_files(source, files) if is_marker(path, settings.marker))


def digest_of(findings: Iterable[Finding]) -> str:
    """Return what names the settled changes: the same files in the same state, the same digest."""
    state = [
        [found.partition, path, *found.sightings[path].file]
        for found in findings
        for path in sorted(found.taken)
    ]
    return fingerprint(state)


def in_words(findings: Iterable[Finding]) -> str:
    """Return the finding in a sentence: what came, changed, went, and what still moves."""
    every = list(findings)
    parts = []
    for verb in ("new", "changed", "removed"):
        counts = _by_source(every, verb)
        if counts:
            total = sum(counts.values())
            parts.append(f"{_shards(total, verb)} in {_places(counts)}")
    waiting = sum(len(found.arriving) for found in every)
    if waiting:
        be = "is" if waiting == 1 else "are"
        parts.append(f"{_files_word(waiting)} {be} still being written")
    moving = sum(len(found.moving) for found in every)
    if moving:
        be = "is" if moving == 1 else "are"
        parts.append(f"{_files_word(moving)} of the corpus {be} being rewritten or removed")
    touched = sum(len(found.touched) for found in every)
    if touched:
        parts.append(f"{_files_word(touched)} touched, with the same content")
    parts += [found.problem for found in every if found.problem]
    if parts:
        return "; ".join(parts)
    total = sum(found.num_files for found in every)
    return f"Nothing new, changed or removed among {_files_word(total)}."


def _by_source(findings: list[Finding], verb: str) -> dict[str, int]:
    counts: dict[str, int] = {}
    for found in findings:
        number = len(getattr(found, verb))
        if number:
            source = source_of(found.partition)
            counts[source] = counts.get(source, 0) + number
    return counts


def _places(counts: Mapping[str, int]) -> str:
    if len(counts) == 1:
        return next(iter(counts))
    return ", ".join(f"{source} ({number:,})" for source, number in counts.items())


def _shards(number: int, verb: str) -> str:
    return f"{number:,} {verb} shard{'' if number == 1 else 's'}"


def _files_word(number: int) -> str:
    return f"{number:,} file{'' if number == 1 else 's'}"


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
    file = _sightings_file(project, partition)
    make_folder(file.parent)
    value = {
        path: [*sighting.file, sighting.since, sighting.is_same]
        for path, sighting in sightings.items()
    }
    aside = file.with_name(f".{file.name}.{os.getpid()}")
    aside.write_text(json.dumps(value), encoding="utf-8")
    aside.replace(file)
