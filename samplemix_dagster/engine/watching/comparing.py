"""A look compared with what is recorded and with what earlier looks saw."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from samplemix_dagster.engine.watching.findings import GONE, File, Finding, Sighting, Sightings
from samplemix_dagster.engine.watching.settling import IsSettled
from samplemix_dagster.storage.corpus.manifest import Shard, stamp_of
from samplemix_dagster.storage.lake.whole_files import digest_file

_COMPARED_BYTES = 256_000_000
"""Bytes that one look may read to tell a touched file from a changed one."""

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
