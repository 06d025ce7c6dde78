"""Where the corpus lies: files of this machine, or objects of a store, by path and glob.

A path that begins with ``s3://`` is an object, one with another ``://`` a file that fsspec reaches
(``remote.py``); any other is a file, relative to the project's folder. All are opened alike, so
that readers know no difference. Which files are shards is said in
``storage/corpus/manifest.py``, what they contain in ``storage/corpus/shards.py``.
"""

import contextlib
import functools
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from samplemix_dagster.errors import InputError
from samplemix_dagster.storage.corpus.places.patterns import WILD, is_hidden, local, matches
from samplemix_dagster.storage.corpus.places.remote import FarPath, RemotePath, matching
from samplemix_dagster.storage.formats.names import companions, is_data_name, refusal
from samplemix_dagster.storage.s3.bucket import SCHEME, Bucket, Connection, Entry, split_url
from samplemix_dagster.storage.s3.errors import SOURCE
from samplemix_dagster.storage.s3.object_file import S3File

__all__ = ["Files", "Listing", "S3Path", "Seen", "Unread", "is_utf8", "matches"]

Seen = tuple[int, str]
"""Size in bytes and stamp: a modification time in nanoseconds, an ETag, or what a server tells."""

BESIDE = "it stands beside the data and is none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """A file that a source names and that is not read."""

    path: str
    why: str
    """In a few words; the same words for the same reason."""
    num_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """What patterns match."""

    files: Mapping[str, Seen | None]
    """Files that are read, by path, sorted. A listing of S3 says what was seen of each."""
    folders: tuple[str, ...] = ()
    """Folders that one matched by a shard's name, sorted."""
    unread: tuple[Unread, ...] = ()
    """Files that are not read, by path, sorted."""


class S3Path(FarPath):
    """One object of S3, with the methods of a path that readers use."""

    def __init__(self, bucket: Bucket, key: str, seen: Seen | None = None) -> None:
        """Name an object; with what a listing saw of it, it is opened as that or not at all."""
        self._bucket = bucket
        self._key = key
        self._seen = seen

    def __str__(self) -> str:
        return self._bucket.url(self._key)

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

    def at(self, path: str, seen: Seen | None = None) -> Path | S3Path | RemotePath:
        """Return a file by its path; an object that was listed is opened as it was then."""
        if "://" not in path:
            return self.root / path
        if not path.startswith(SCHEME):
            return RemotePath(path, seen)
        bucket, key = split_url(path)
        return S3Path(self._bucket(bucket), key, seen)

    def look(self, path: str) -> Seen | None:
        """Return the size and stamp that a file has at this moment; None when it is gone."""
        file = self.at(path)
        if not isinstance(file, Path):
            return file.look()
        with contextlib.suppress(OSError):
            if file.is_file():
                status = file.stat()
                return status.st_size, str(status.st_mtime_ns)
        return None

    def matching(self, patterns: Iterable[str], *, reads_any: bool = False) -> Listing:
        """Return what patterns match, and which of it is not read.

        A file is read if its name says a format that is (``formats/names.py``), or if the format is
        stated. Hidden files take no part, unless a pattern names them.

        Args:
            patterns: Globs, folders, files, URLs.
            reads_any: The source states its format, so that a name need not say one.

        Raises:
            InputError: A pattern cannot be listed.
        """
        found: dict[str, Seen | None] = {}
        folders: set[str] = set()
        others: dict[str, str] = {}
        for pattern in patterns:
            if pattern.startswith(SCHEME):
                found |= self._objects(pattern)
                continue
            if "://" in pattern:
                found |= matching(pattern)
                continue
            here = local(self.root, pattern)
            found |= dict.fromkeys(here.files)
            folders |= here.folders
            others |= here.others
        unread = _unspeakable((*found, *others, *folders))
        for path in others.keys() - unread.keys():
            unread[path] = Unread(path=path, why=others[path], num_bytes=0)
        if not reads_any:
            unread |= self._unread({path: found[path] for path in found if path not in unread})
        return Listing(
            files={path: found[path] for path in sorted(found) if path not in unread},
            folders=tuple(sorted(folders - unread.keys())),
            unread=tuple(sorted(unread.values(), key=lambda entry: entry.path)),
        )

    def _unread(self, found: Mapping[str, Seen | None]) -> dict[str, Unread]:
        beside: set[str] = set()
        by_folder: dict[str, list[str]] = {}
        for path in found:
            folder, _, name = path.rpartition("/")
            by_folder.setdefault(folder, []).append(name)
        for folder, names in by_folder.items():
            beside |= {f"{folder}/{name}" if folder else name for name in companions(names)}
        return {
            path: Unread(
                path=path,
                why=BESIDE if path in beside else refusal(path),
                num_bytes=(seen or self.look(path) or (0, ""))[0],
            )
            for path, seen in found.items()
            if path in beside or not is_data_name(path)
        }

    def listed(self, patterns: Iterable[str], *, reads_any: bool = False) -> dict[str, Seen]:
        """Return what is to be seen of each file that patterns match and that is read."""
        found = {}
        for path, seen in self.matching(patterns, reads_any=reads_any).files.items():
            looked = seen or self.look(path)
            if looked is not None:  # else it has gone since
                found[path] = looked
        return found

    def _objects(self, pattern: str) -> dict[str, Seen | None]:
        name, wanted = split_url(pattern)
        bucket = self._bucket(name)
        wild = WILD.search(wanted)
        if wild:
            entries = [*bucket.below(wanted[: wild.start()])]
            # A key may look like a pattern: it is meant letter by letter where it is there.
            chosen = [entry for entry in entries if entry.key == wanted]
            chosen = chosen or [entry for entry in entries if matches(entry.key, wanted)]
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


def _unspeakable(found: Iterable[str]) -> dict[str, Unread]:
    """Return the files whose names are no text: they could not be written down anywhere."""
    return {
        path: Unread(
            path=path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"),
            why="its name is not UTF-8: rename it",
            num_bytes=0,
        )
        for path in found
        if not is_utf8(path)
    }


def is_utf8(path: str) -> bool:
    """Whether a path can be written down: the system takes bytes that no text has."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return False
    return True


def _below_prefix(bucket: Bucket, wanted: str) -> list[Entry]:
    """Return the object of that key, or the shards below it as a folder."""
    if wanted and not wanted.endswith("/"):
        entry = bucket.head(wanted)
        if entry is not None:
            return [entry]
        wanted += "/"
    return [e for e in bucket.below(wanted) if not is_hidden(e.key.removeprefix(wanted))]
