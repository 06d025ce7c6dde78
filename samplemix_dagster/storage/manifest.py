"""Which shards a source has: found by glob, known by digest, remembered from scan to scan.

A shard *is* its bytes: the digest is its name in the lake, and a renamed file is the same shard.
Size and modification time only save reading a file again. What a shard contains is said by
``shards.py``.
"""

import glob
import hashlib
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from samplemix_dagster.config import Source
from samplemix_dagster.errors import InputError
from samplemix_dagster.storage.lake import Lake, digest_file
from samplemix_dagster.storage.rows import ENDINGS


@dataclass(frozen=True, slots=True, kw_only=True)
class Shard:
    """One input file as it was last seen."""

    path: str
    digest: str
    size: int
    mtime_ns: int
    previous: str | None = None
    """Digest that the path had before: features of unchanged documents are carried over."""
    other_paths: tuple[str, ...] = ()
    """Files of the same source with the same bytes: they are the same shard."""
    other_mtimes_ns: tuple[int, ...] = ()
    """Modification times of those files, in the same order."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The shards of one partition, in order of digest, and what was skipped."""

    partition: str
    shards: tuple[Shard, ...]
    skipped: tuple[str, ...] = ()
    """Folders that stand where a shard was expected."""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON value."""
        return {
            "partition": self.partition,
            "shards": [
                {
                    **asdict(shard),
                    "other_paths": list(shard.other_paths),
                    "other_mtimes_ns": list(shard.other_mtimes_ns),
                }
                for shard in self.shards
            ],
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
                    }
                )
                for shard in value["shards"]
            ),
            skipped=tuple(value["skipped"]),
        )


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
    return f"shards/{partition.replace(':', '-part-')}/current.json"


def ledger_file(source: str, digest: str) -> str:
    """Return where a shard's ledger lies below its mixture version."""
    return f"ledger/{source}-{digest}.parquet"


def former_manifests(lake: Lake, source: str, partitions: Collection[str]) -> list[str]:
    """Return the manifests of a source's partitions that it no longer has: ``parts`` changed."""
    current = {manifest_key(partition) for partition in partitions}
    found = []
    for folder in sorted(lake.names("shards")):
        key = f"shards/{folder}/current.json"
        if folder.split("-part-")[0] == source and key not in current and lake.exists(key):
            found.append(key)
    return found


def read_manifest(lake: Lake, partition: str) -> Manifest | None:
    """Return the manifest of the last scan that was recorded, or None."""
    value = lake.read_json(manifest_key(partition))
    return None if value is None else Manifest.from_json(value)


def scan(partition: str, source: Source, root: Path, known: Manifest | None) -> Manifest:
    """Find a partition's shards. A file of unchanged size and time is not read again.

    Raises:
        InputError: No file matches, or one cannot be read.
    """
    by_path = (
        {file.path: file for shard in known.shards for file in _files_of(shard)} if known else {}
    )
    files, skipped = _files(source, root)
    if not files and not skipped:
        patterns = ", ".join(source.paths)
        raise InputError(
            f"source {source_of(partition)!r}: nothing matches {patterns} (below {root}). "
            "Correct `path`, or remove the source."
        )
    found: dict[str, Shard] = {}
    for path in files:
        if source.parts > 1 and _part(path, source.parts) != int(partition.split(":")[1]):
            continue
        shard = _look(root, path, by_path.get(path))
        first = found.get(shard.digest)
        if first is None:
            found[shard.digest] = shard
        else:
            found[shard.digest] = replace(
                first,
                other_paths=(*first.other_paths, path),
                other_mtimes_ns=(*first.other_mtimes_ns, shard.mtime_ns),
            )
    return Manifest(
        partition=partition,
        shards=tuple(found[digest] for digest in sorted(found)),
        skipped=tuple(skipped),
    )


def _files_of(shard: Shard) -> Iterator[Shard]:
    """Yield the shard as each of its files was seen, alone."""
    alone = replace(shard, other_paths=(), other_mtimes_ns=())
    yield alone
    for path, mtime_ns in zip(shard.other_paths, shard.other_mtimes_ns, strict=False):
        yield replace(alone, path=path, mtime_ns=mtime_ns)


def _look(root: Path, path: str, seen: Shard | None) -> Shard:
    file = root / path
    try:
        status = file.stat()
        if seen and (seen.size, seen.mtime_ns) == (status.st_size, status.st_mtime_ns):
            return seen
        digest = digest_file(file)
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror or error}") from error
    previous = None
    if seen is not None:
        previous = seen.digest if seen.digest != digest else seen.previous
    return Shard(
        path=path,
        digest=digest,
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        previous=previous,
    )


def _part(path: str, parts: int) -> int:
    return int.from_bytes(hashlib.blake2b(path.encode(), digest_size=8).digest()) % parts


def _files(source: Source, root: Path) -> tuple[list[str], list[str]]:
    """Return (files, folders that a pattern matched by name), relative to the root."""
    files: set[str] = set()
    skipped: set[str] = set()
    for pattern in source.paths:
        if "://" in pattern:
            raise InputError(
                f"{pattern} is not on this machine; this version reads local paths. Copy or mount "
                "it, and name the folder."
            )
        whole = root / pattern
        if whole.is_dir():
            files |= {_relative(path, root) for path in _below(whole)}
            continue
        for name in glob.iglob(str(whole), recursive=True):  # noqa: PTH207  takes absolute patterns
            path = Path(name)
            if path.is_file():
                files.add(_relative(path, root))
            elif path.is_dir() and path.suffix in (*ENDINGS, ".gz", ".zst"):
                skipped.add(_relative(path, root))
    return sorted(files), sorted(skipped)


def _below(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.is_file() and not hidden and is_shard_name(path.name):
            yield path


def is_shard_name(name: str) -> bool:
    """Whether a file's name says that it may hold text."""
    return name.removesuffix(".gz").removesuffix(".zst").lower().endswith(ENDINGS)


def _relative(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
