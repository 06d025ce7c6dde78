"""A scan of a partition: its files, compared with what was recorded and named by their bytes."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

from samplemix_dagster.config.corpus import Source
from samplemix_dagster.errors import InputError
from samplemix_dagster.storage.corpus.manifest import (
    Manifest,
    Shard,
    part_of,
    recorded_files,
    source_of,
)
from samplemix_dagster.storage.corpus.places.files import Files, Listing, Seen, Unread
from samplemix_dagster.storage.corpus.places.hive import Values, named_digest, values_of
from samplemix_dagster.storage.lake.whole_files import digest_file


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
