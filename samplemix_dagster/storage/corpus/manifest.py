"""Which shards a source has: found by glob, known by digest, remembered from scan to scan.

A shard *is* its bytes (and the values that its path gives, ``places/hive.py``): the digest is its
name in the lake, and a renamed file is the same shard.
Size and modification time (on S3 the ETag) only save reading a file again. Where files lie is said
by ``places/files.py``, what a shard contains by ``shards.py``.
"""

import hashlib
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from samplemix_dagster.config.corpus import Source
from samplemix_dagster.storage.corpus.places.files import Files, Seen, Unread
from samplemix_dagster.storage.corpus.places.hive import Values
from samplemix_dagster.storage.lake import keys

if TYPE_CHECKING:
    from samplemix_dagster.storage.lake.lake import Lake


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One input file as it was last seen."""

    path: str
    digest: str
    size: int
    mtime_ns: int
    """Modification time in nanoseconds; 0 on S3."""
    etag: str = ""
    """ETag on S3; empty for a file of this machine."""
    previous: str | None = None
    """Digest that the path had before: features of unchanged documents are carried over."""
    other_paths: tuple[str, ...] = ()
    """Files of the same source with the same bytes: they are the same shard."""
    other_mtimes_ns: tuple[int, ...] = ()
    """Modification times of those files, in the same order."""
    other_etags: tuple[str, ...] = ()
    """ETags of those files, in the same order."""
    values: Values = ()
    """What the path gives to fields of its documents."""
    content: str = ""
    """Digest of the bytes, where ``digest`` is that of the bytes and the values."""

    @property
    def bytes_digest(self) -> str:
        """Digest of the file's bytes alone."""
        return self.content or self.digest

    @property
    def seen(self) -> Seen:
        """Size and stamp of the file as it was last seen."""
        return self.size, self.etag or str(self.mtime_ns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The shards of one partition, in order of digest, and what was skipped."""

    partition: str
    shards: tuple[Shard, ...]
    skipped: tuple[str, ...] = ()
    """Folders that stand where a shard was expected."""
    unread: tuple[Unread, ...] = ()
    """Files that the source names and that are not read; said, and not recorded."""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON value."""
        return {
            "partition": self.partition,
            "shards": [_shard_to_json(shard) for shard in self.shards],
            "skipped": list(self.skipped),
        }

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> "Manifest":
        """Return the manifest that :meth:`to_json` gave."""
        return cls(
            partition=value["partition"],
            shards=tuple(
                Shard(
                    **{
                        **shard,
                        "other_paths": tuple(shard["other_paths"]),
                        "other_mtimes_ns": tuple(shard.get("other_mtimes_ns", ())),
                        "other_etags": tuple(shard.get("other_etags", ())),
                        "values": tuple(sorted(shard.get("values", {}).items())),
                    }
                )
                for shard in value["shards"]
            ),
            skipped=tuple(value["skipped"]),
        )


def _shard_to_json(shard: Shard) -> dict[str, Any]:
    value = {
        **asdict(shard),
        "other_paths": list(shard.other_paths),
        "other_mtimes_ns": list(shard.other_mtimes_ns),
        "other_etags": list(shard.other_etags),
    }
    given, content = dict(value.pop("values")), value.pop("content")
    return {**value, "values": given, "content": content} if given else value


def partition_keys(name: str, source: Source) -> list[str]:
    """Return a source's partitions: its name, or ``name:03`` and so on where it has parts."""
    if source.parts == 1:
        return [name]
    return [f"{name}:{part:02d}" for part in range(source.parts)]


def source_of(partition: str) -> str:
    """Return the source that a partition belongs to."""
    return partition.split(":", 1)[0]


def manifest_key(partition: str) -> str:
    """Return where a partition's manifest lies in the lake."""
    return keys.shards_in(partition.replace(":", "-part-"))


def ledger_file(source: str, digest: str) -> str:
    """Return where a shard's ledger lies below its mixture version."""
    return f"ledger/{source}-{digest}.parquet"


def former_manifests(lake: "Lake", source: str, partitions: Collection[str]) -> list[str]:
    """Return the manifests of a source's partitions that it no longer has: ``parts`` changed."""
    current = {manifest_key(partition) for partition in partitions}
    found = []
    for folder in sorted(lake.names(keys.SHARDS)):
        key = keys.shards_in(folder)
        if folder.split("-part-")[0] == source and key not in current and lake.exists(key):
            found.append(key)
    return found


def read_manifest(lake: "Lake", partition: str) -> Manifest | None:
    """Return the manifest of the last scan that was recorded, or None."""
    value = lake.read_json(manifest_key(partition))
    return None if value is None else Manifest.from_json(value)


def recorded_files(known: Manifest | None) -> dict[str, Shard]:
    """Return each file that a manifest has recorded, by path, as it was seen alone."""
    if known is None:
        return {}
    return {file.path: file for shard in known.shards for file in _files_of(shard)}


def _files_of(shard: Shard) -> Iterator[Shard]:
    """Yield the shard as each of its files was seen, alone."""
    alone = replace(shard, other_paths=(), other_mtimes_ns=(), other_etags=())
    yield alone
    etags = shard.other_etags or ("",) * len(shard.other_paths)
    for path, mtime_ns, etag in zip(shard.other_paths, shard.other_mtimes_ns, etags, strict=False):
        yield replace(alone, path=path, mtime_ns=mtime_ns, etag=etag)


def list_files(source: Source, files: Files) -> dict[str, Seen]:
    """Return (size in bytes, stamp) of each file that a source matches, by path; nothing is read.

    A stamp is the modification time in nanoseconds, or the ETag: the same size and stamp are the
    same file.

    Raises:
        InputError: A pattern cannot be listed.
    """
    return files.listed(source.paths, reads_any=source.format != "auto")


def stamp_of(shard: Shard) -> Seen:
    """Return a recorded file's (size, stamp), to be compared with those of `list_files`."""
    return shard.seen


def part_of(path: str, partition: str, source: Source) -> bool:
    """Whether a path of a source belongs to one of its partitions."""
    return source.parts == 1 or _part(path, source.parts) == int(partition.split(":")[1])


def _part(path: str, parts: int) -> int:
    return int.from_bytes(hashlib.blake2b(path.encode(), digest_size=8).digest()) % parts
