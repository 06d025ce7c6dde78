"""Where the shards of a version lie today: a shard is its bytes, whatever its file is called."""

from collections.abc import Mapping
from typing import Any

from samplemix_dagster.engine.project import Project
from samplemix_dagster.storage.manifest import Shard, read_manifest, recorded_files

ShardName = tuple[str, str]
"""Source and digest."""


def shard_places(project: Project, manifest: Mapping[str, Any]) -> dict[ShardName, tuple[str, str]]:
    """Return (state, path) of each shard of a version; nothing is read.

    A state is ``there``, ``rewritten``, ``gone`` or ``unknown``. A file of the size and time that
    the lake has noted is taken to have the digest noted; one that was never noted is unknown.
    """
    noted: dict[str, Shard] = {}
    for partition in sorted({entry["partition"] for entry in manifest["shards"]}):
        noted |= recorded_files(read_manifest(project.lake, partition))
    by_digest: dict[str, list[str]] = {}
    for path, shard in noted.items():
        by_digest.setdefault(shard.digest, []).append(path)
    found = {}
    for entry in manifest["shards"]:
        paths = [entry["path"], *by_digest.get(entry["digest"], [])]
        looks = [(_state(project, path, entry["digest"], noted.get(path)), path) for path in paths]
        there = [look for look in looks if look[0] == "there"]
        found[entry["source"], entry["digest"]] = (there or looks)[0]
    return found


def _state(project: Project, path: str, digest: str, noted: Shard | None) -> str:
    seen = project.files.look(path)
    if seen is None:
        return "gone"
    if noted is None or noted.seen != seen:
        return "unknown"
    return "there" if noted.digest == digest else "rewritten"
