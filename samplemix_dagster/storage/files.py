"""Where the corpus lies: files of this machine, or objects of S3, by path and glob.

A path that begins with ``s3://`` is an object; any other is a file, relative to the project's
folder. Both are opened alike, so that readers know no difference. Which files are shards is said in
``manifest.py``, what they contain in ``shards.py``.
"""

import contextlib
import fnmatch
import functools
import glob
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any

from samplemix_dagster.errors import InputError
from samplemix_dagster.storage.formats.names import companions, is_data_name, named
from samplemix_dagster.storage.s3 import SCHEME, Bucket, Connection, Entry, split_url
from samplemix_dagster.storage.s3_errors import SOURCE
from samplemix_dagster.storage.s3_file import S3File

_WILD = re.compile(r"[*?\[]")

Seen = tuple[int, str]
"""Size in bytes and stamp: a modification time in nanoseconds, or an ETag."""


class S3Path:
    """One object of S3, with the methods of a path that readers use."""

    def __init__(self, bucket: Bucket, key: str, seen: Seen | None = None) -> None:
        """Name an object; with what a listing saw of it, it is opened as that or not at all."""
        self._bucket = bucket
        self._key = key
        self._seen = seen

    def __str__(self) -> str:
        return self._bucket.url(self._key)

    @property
    def name(self) -> str:
        """The last part of its key."""
        return self._key.rsplit("/", 1)[-1]

    @property
    def suffix(self) -> str:
        """Its ending, with the dot."""
        _, dot, ending = self.name.rpartition(".")
        return dot + ending if dot else ""

    def is_dir(self) -> bool:
        """An object is no folder."""
        return False

    def is_file(self) -> bool:
        """Whether there is such an object."""
        return self.look() is not None

    def look(self) -> Seen | None:
        """Return what S3 says of it; None when it is gone."""
        entry = self._bucket.head(self._key)
        return None if entry is None else (entry.size, entry.etag)

    def open(self, mode: Any = "rb") -> IO[Any]:
        """Open it for reading bytes.

        Raises:
            InputError: It is gone, it changed since it was listed, or it may not be read.
        """
        del mode
        seen = self._seen or self.look()
        if seen is None:
            raise InputError(f"{self} is gone; run again, or correct `path`.")
        return S3File(self._bucket, self._key, size=seen[0], etag=seen[1])  # type: ignore[return-value]


class Files:
    """The files that a project's sources name."""

    def __init__(self, root: Path, connection: Connection) -> None:
        self.root = root
        self._connection = connection

    def at(self, path: str, seen: Seen | None = None) -> Path | S3Path:
        """Return a file by its path; an object that was listed is opened as it was then."""
        if not path.startswith(SCHEME):
            return self.root / path
        bucket, key = split_url(path)
        return S3Path(self._bucket(bucket), key, seen)

    def look(self, path: str) -> Seen | None:
        """Return the size and stamp that a file has at this moment; None when it is gone."""
        file = self.at(path)
        if isinstance(file, S3Path):
            return file.look()
        with contextlib.suppress(OSError):
            if file.is_file():
                status = file.stat()
                return status.st_size, str(status.st_mtime_ns)
        return None

    def matching(self, patterns: Iterable[str]) -> tuple[dict[str, Seen | None], list[str]]:
        """Return (what patterns match, folders that one matched by a shard's name), both sorted.

        A listing of S3 says what was seen of each object; of a local file nothing is asked, and
        that is None.

        Raises:
            InputError: A pattern cannot be listed.
        """
        found: dict[str, Seen | None] = {}
        skipped: set[str] = set()
        for pattern in patterns:
            if pattern.startswith(SCHEME):
                found |= self._objects(pattern)
                continue
            if "://" in pattern:
                raise InputError(f"{pattern}: a path is on this machine or begins with s3://.")
            files, folders = _local(self.root, pattern)
            found |= dict.fromkeys(files)
            skipped |= folders
        return dict(sorted(found.items())), sorted(skipped)

    def listed(self, patterns: Iterable[str]) -> dict[str, Seen]:
        """Return what is to be seen of each file that patterns match; nothing is read."""
        found = {}
        for path, seen in self.matching(patterns)[0].items():
            looked = seen or self.look(path)
            if looked is not None:  # else it has gone since
                found[path] = looked
        return found

    def _objects(self, pattern: str) -> dict[str, Seen | None]:
        name, wanted = split_url(pattern)
        bucket = self._bucket(name)
        wild = _WILD.search(wanted)
        if wild:
            entries = bucket.below(wanted[: wild.start()])
            chosen = [entry for entry in entries if matches(entry.key, wanted)]
        else:
            chosen = _below_prefix(bucket, wanted)
        return {
            bucket.url(entry.key): (entry.size, entry.etag)
            for entry in chosen
            if not entry.key.endswith("/")
        }

    @functools.cache  # noqa: B019 - as long-lived as the project, and few
    def _bucket(self, name: str) -> Bucket:
        return Bucket(self._connection, name, SOURCE)


def _below_prefix(bucket: Bucket, wanted: str) -> list[Entry]:
    """Return the object of that key, or the shards below it as a folder."""
    if wanted and not wanted.endswith("/"):
        entry = bucket.head(wanted)
        if entry is not None:
            return [entry]
        wanted += "/"
    entries = {entry.key.removeprefix(wanted): entry for entry in bucket.below(wanted)}
    return [entries[inner] for inner in shards_among(entries)]


def shards_among(inner: Iterable[str]) -> list[str]:
    """Return those of the paths below a folder that are shards: what describes others is none."""
    by_folder: dict[str, list[str]] = {}
    for path in inner:
        if is_shard_below(path):
            folder, _, name = path.rpartition("/")
            by_folder.setdefault(folder, []).append(name)
    return [
        f"{folder}/{name}" if folder else name
        for folder, names in by_folder.items()
        for name in sorted(set(names) - companions(names))
    ]


def is_shard_below(inner: str) -> bool:
    """Whether a path below a folder is that of a shard: a name for text, and no hidden part."""
    parts = inner.split("/")
    return is_shard_name(parts[-1]) and not any(part.startswith(".") for part in parts)


def matches(key: str, pattern: str) -> bool:
    """Whether a key matches a pattern by the rules of local globs; ``**`` crosses folders."""
    return _matches(key.split("/"), pattern.split("/"))


def _matches(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    if not patterns:
        return not parts
    if patterns[0] == "**":
        if len(patterns) == 1:
            return bool(parts) and not any(part.startswith(".") for part in parts)
        if _matches(parts, patterns[1:]):
            return True
        return bool(parts) and not parts[0].startswith(".") and _matches(parts[1:], patterns)
    if not parts:
        return False
    is_hidden = parts[0].startswith(".") and not patterns[0].startswith(".")
    return (
        not is_hidden
        and fnmatch.fnmatchcase(parts[0], patterns[0])
        and _matches(parts[1:], patterns[1:])
    )


def is_shard_name(name: str) -> bool:
    """Whether a file's name says that it may hold text."""
    return is_data_name(name)


def _local(root: Path, pattern: str) -> tuple[set[str], set[str]]:
    whole = root / pattern
    if whole.is_dir():
        inner = (path.relative_to(whole).as_posix() for path in whole.rglob("*") if path.is_file())
        return {_relative(whole / path, root) for path in shards_among(inner)}, set()
    files, folders = set(), set()
    for name in glob.iglob(str(whole), recursive=True):  # noqa: PTH207  takes absolute patterns
        path = Path(name)
        if path.is_file():
            files.add(_relative(path, root))
        elif path.is_dir() and _is_named_like_a_shard(path.name):
            folders.add(_relative(path, root))
    return files, folders


def _is_named_like_a_shard(name: str) -> bool:
    meaning = named(name)
    return meaning.format is not None or meaning.compression is not None


def _relative(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)
