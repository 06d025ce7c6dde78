"""Which shards a source has: found by glob, known by digest, remembered from scan to scan.

A shard *is* its bytes (and the values that its path gives, ``hive.py``): the digest is its name in
the lake, and a renamed file is the same shard.
Size and modification time (on S3 the ETag) only save reading a file again. Where files lie is said
by ``files.py``, what a shard contains by ``shards.py``.
"""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from samplemix_dagster.config.corpus import Source
from samplemix_dagster.errors import InputError
from samplemix_dagster.storage.corpus.files import Files, Listing, Seen, Unread
from samplemix_dagster.storage.corpus.hive import Values, named_digest, values_of
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.lake import Lake
from samplemix_dagster.storage.lake.whole_files import digest_file


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


def former_manifests(lake: Lake, source: str, partitions: Collection[str]) -> list[str]:
    """Return the manifests of a source's partitions that it no longer has: ``parts`` changed."""
    current = {manifest_key(partition) for partition in partitions}
    found = []
    for folder in sorted(lake.names(keys.SHARDS)):
        key = keys.shards_in(folder)
        if folder.split("-part-")[0] == source and key not in current and lake.exists(key):
            found.append(key)
    return found


def read_manifest(lake: Lake, partition: str) -> Manifest | None:
    """Return the manifest of the last scan that was recorded, or None."""
    value = lake.read_json(manifest_key(partition))
    return None if value is None else Manifest.from_json(value)


def list_files(source: Source, files: Files) -> dict[str, Seen]:
    """Return (size in bytes, stamp) of each file that a source matches, by path; nothing is read.

    A stamp is the modification time in nanoseconds, or the ETag: the same size and stamp are the
    same file.

    Raises:
        InputError: A pattern cannot be listed.
    """
    return files.listed(source.paths, reads_any=source.format != "auto")


def recorded_files(known: Manifest | None) -> dict[str, Shard]:
    """Return each file that a manifest has recorded, by path, as it was seen alone."""
    if known is None:
        return {}
    return {file.path: file for shard in known.shards for file in _files_of(shard)}


def stamp_of(shard: Shard) -> Seen:
    """Return a recorded file's (size, stamp), to be compared with those of `list_files`."""
    return shard.seen


def part_of(path: str, partition: str, source: Source) -> bool:
    """Whether a path of a source belongs to one of its partitions."""
    return source.parts == 1 or _part(path, source.parts) == int(partition.split(":")[1])


def scan(
    partition: str,
    source: Source,
    files: Files,
    known: Manifest | None,
    held: Collection[str] = (),
    wanted: Collection[str] = (),
) -> Manifest:
    """Find a partition's shards. A file of unchanged size and stamp is not read again.

    Args:
        partition: The partition.
        source: Its source.
        files: Where the files lie.
        known: The last recorded scan.
        held: Files that are not looked at: they stay as they were recorded, or stay out.
        wanted: Fields that a path may give values to.

    Raises:
        InputError: No file matches, or one cannot be read.
    """
    by_path = recorded_files(known)
    listing = files.matching(source.paths, reads_any=source.format != "auto")
    matched = listing.files
    if not matched and not listing.folders:
        raise InputError(_nothing_to_read(partition, source, files, listing))
    found: dict[str, Shard] = {}
    twins = _Twins(by_path.values())
    for path in sorted({*matched, *(path for path in held if path in by_path)}):
        if not part_of(path, partition, source) or (path in held and path not in by_path):
            continue
        if path in held:
            shard = by_path[path]
        else:
            values = values_of(path, source.paths, files.root, wanted)
            shard = _look(files, path, matched[path], by_path.get(path), values)
            if shard.previous is None:
                shard = replace(shard, previous=twins.of(shard))
        first = found.get(shard.digest)
        if first is None:
            found[shard.digest] = shard
        else:
            found[shard.digest] = replace(
                first,
                other_paths=(*first.other_paths, path),
                other_mtimes_ns=(*first.other_mtimes_ns, shard.mtime_ns),
                other_etags=(*first.other_etags, shard.etag),
            )
    return Manifest(
        partition=partition,
        shards=tuple(found[digest] for digest in sorted(found)),
        skipped=listing.folders,
        unread=tuple(entry for entry in listing.unread if part_of(entry.path, partition, source)),
    )


def _nothing_to_read(partition: str, source: Source, files: Files, listing: Listing) -> str:
    name = source_of(partition)
    patterns = ", ".join(source.paths)
    is_here = any("://" not in path for path in source.paths)
    place = f" (below {files.root})" if is_here else ""
    if not listing.unread:
        return (
            f"source {name!r}: nothing matches {patterns}{place}. Correct `path`, or remove the "
            "source."
        )
    return (
        f"source {name!r}: nothing that {patterns} matches{place} is read: "
        f"{unread_words(listing.unread)}."
    )


def unread_words(unread: Sequence[Unread]) -> str:
    """Return in words which files are not read: how many, of how many bytes, why, the first."""
    by_reason: dict[str, list[Unread]] = {}
    for entry in unread:
        by_reason.setdefault(entry.why, []).append(entry)
    parts = []
    for why, entries in sorted(by_reason.items(), key=lambda item: -len(item[1])):
        num_bytes = sum(entry.num_bytes for entry in entries)
        files = f"{len(entries):,} file{'' if len(entries) == 1 else 's'}"
        size = f" of {num_bytes:,} bytes" if num_bytes else ""
        parts.append(f"{files}{size}, {why} (first {entries[0].path})")
    return "; ".join(parts)


def _files_of(shard: Shard) -> Iterator[Shard]:
    """Yield the shard as each of its files was seen, alone."""
    alone = replace(shard, other_paths=(), other_mtimes_ns=(), other_etags=())
    yield alone
    etags = shard.other_etags or ("",) * len(shard.other_paths)
    for path, mtime_ns, etag in zip(shard.other_paths, shard.other_mtimes_ns, etags, strict=False):
        yield replace(alone, path=path, mtime_ns=mtime_ns, etag=etag)


class _Twins:
    """Recorded shards of the same bytes under other values: what was scored of one is kept."""

    def __init__(self, recorded: Iterable[Shard]) -> None:
        self._by_content: dict[str, set[str]] = {}
        for shard in recorded:
            self._by_content.setdefault(shard.bytes_digest, set()).add(shard.digest)

    def of(self, shard: Shard) -> str | None:
        """Return the digest of another shard of the same bytes, unless the shard is known."""
        known = self._by_content.get(shard.bytes_digest, set())
        return None if shard.digest in known else min(known, default=None)


def _look(
    files: Files, path: str, listed: Seen | None, before: Shard | None, values: Values
) -> Shard:
    file = files.at(path, listed)
    try:
        if listed is None:
            status = (files.root / path).stat()
            seen, mtime_ns, etag = (status.st_size, str(status.st_mtime_ns)), status.st_mtime_ns, ""
        else:
            seen, mtime_ns, etag = listed, 0, listed[1]
        is_same = before is not None and before.seen == seen
        if before is not None and is_same and before.values == values:
            return before
        content = before.bytes_digest if before is not None and is_same else digest_file(file)
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror or error}") from error
    digest = named_digest(content, values)
    previous = None
    if before is not None:
        previous = before.digest if before.digest != digest else before.previous
    return Shard(
        path=path,
        digest=digest,
        size=seen[0],
        mtime_ns=mtime_ns,
        etag=etag,
        previous=previous,
        values=values,
        content=content if values else "",
    )


def _part(path: str, parts: int) -> int:
    return int.from_bytes(hashlib.blake2b(path.encode(), digest_size=8).digest()) % parts
