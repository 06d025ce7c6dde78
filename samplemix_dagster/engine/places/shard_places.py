"""Where the shards of a version lie today: a shard is its bytes, whatever its file is called."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from samplemix_dagster.storage.corpus.manifest import Shard, read_manifest, recorded_files
from samplemix_dagster.storage.corpus.places.hive import named_digest
from samplemix_dagster.storage.lake.whole_files import digest_file

if TYPE_CHECKING:
    from samplemix_dagster.engine.project import Project

ShardName = tuple[str, str]
"""Source and digest."""


def shard_places(
    project: "Project", manifest: Mapping[str, Any]
) -> dict[ShardName, tuple[str, str]]:
    """Return (state, path) of each shard of a version; nothing is read.

    A state is ``there``, ``rewritten``, ``gone`` or ``unknown``. A file of the size and time that
    the lake has noted is taken to have the digest noted; one that was never noted is unknown.
    """
    noted = _noted(project, manifest)
    found = {}
    for entry, paths in _candidates(manifest, noted):
        looks = [(_state(project, path, entry, noted.get(path)), path) for path in paths]
        there = [look for look in looks if look[0] == "there"]
        found[entry["source"], entry["digest"]] = (there or looks)[0]
    return found


def is_of(entry: Mapping[str, Any], digest: str) -> bool:
    """Whether bytes of this digest are those of a version's shard."""
    return named_digest(digest, entry.get("values") or {}) == str(entry["digest"])


def _state(project: "Project", path: str, entry: Mapping[str, Any], noted: Shard | None) -> str:
    seen = project.files.look(path)
    if seen is None:
        return "gone"
    if noted is None or noted.seen != seen:
        return "unknown"
    return "there" if is_of(entry, noted.bytes_digest) else "rewritten"


@dataclass(frozen=True, slots=True, kw_only=True)
class Digested:
    """The shards of a version, with the digests of their files as they are now."""

    places: dict[ShardName, tuple[str, str]]
    """(state, path) of each: ``there``, ``rewritten`` or ``gone``."""
    problems: list[str]
    """Files with other bytes than the lake has noted for their size and time, in words."""
    num_bytes: int
    """Bytes that were read; a file that is several shards' place is read once."""


def digested_shards(project: "Project", manifest: Mapping[str, Any]) -> Digested:
    """Digest each shard file of a version once, wherever it lies today.

    A file whose size and time are those that the lake has noted, and whose bytes are not, is a
    problem: a scan does not read it again, so nothing else would notice.
    """
    noted = _noted(project, manifest)
    digests: dict[str, str | None] = {}
    sizes: dict[str, int] = {}
    places, problems = {}, []
    for entry, paths in _candidates(manifest, noted):
        for path in dict.fromkeys(paths):
            if path not in digests:
                digests[path], sizes[path] = _digest(project, path)
            if is_of(entry, digests[path] or ""):
                places[entry["source"], entry["digest"]] = ("there", path)
                break
        else:
            states = [("gone" if digests[path] is None else "rewritten", path) for path in paths]
            places[entry["source"], entry["digest"]] = states[0]
    for path, digest in sorted(digests.items()):
        shard = noted.get(path)
        is_same = shard is not None and project.files.look(path) == shard.seen
        if shard is not None and is_same and digest not in (None, shard.bytes_digest):
            problems.append(
                f"{path} has other bytes than when the lake noted its size and time: restore it, "
                "or touch it, and `samplemix run` reads it again"
            )
    return Digested(places=places, problems=problems, num_bytes=sum(sizes.values()))


def _digest(project: "Project", path: str) -> tuple[str | None, int]:
    """Return the digest of a file and its size in bytes; None and 0 where there is none."""
    seen = project.files.look(path)
    if seen is None:
        return None, 0
    return digest_file(project.files.at(path)), seen[0]


def _noted(project: "Project", manifest: Mapping[str, Any]) -> dict[str, Shard]:
    """Return what the lake has noted of each file of a version's partitions."""
    noted: dict[str, Shard] = {}
    for partition in sorted({entry["partition"] for entry in manifest["shards"]}):
        noted |= recorded_files(read_manifest(project.lake, partition))
    return noted


def _candidates(
    manifest: Mapping[str, Any], noted: Mapping[str, Shard]
) -> list[tuple[Mapping[str, Any], list[str]]]:
    """Return each shard of a version with the paths at which it may lie today."""
    by_digest: dict[str, list[str]] = {}
    for path, shard in noted.items():
        for digest in dict.fromkeys((shard.digest, shard.bytes_digest)):
            by_digest.setdefault(digest, []).append(path)
    return [
        (entry, [entry["path"], *by_digest.get(entry["digest"], [])])
        for entry in manifest["shards"]
    ]
