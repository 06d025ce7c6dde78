"""Whole files below one folder, by key: written aside and renamed, listed, removed.

What is in them is read by ``lake.py``. A lake on S3 (``on_s3/s3_lake.py``) does this otherwise.
"""

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from samplemix_dagster.storage.corpus.home import make_folder
from samplemix_dagster.storage.lake.keys import is_folder_of_ours
from samplemix_dagster.storage.lake.whole_files import (
    digest_file,
    filled,
    remove_folder,
    written_aside,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file of a lake as a listing shows it."""

    key: str
    size: int
    """In bytes."""
    modified: float
    """Seconds since 1970."""


class Store:
    """Files below one folder, by keys such as ``features/quality/<recipe>/<shard>.parquet``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def place(self, key: str) -> str:
        """Return what a key is called for people."""
        return str(self.root / key)

    def path(self, key: str) -> Path:
        """Return a local file with a key's bytes; a file that is not there where there is none."""
        return self.root / key

    def paths(self, keys: Sequence[str]) -> list[Path]:
        """Return local files of many keys."""
        return [self.path(key) for key in keys]

    def folder(self, key: str) -> Path:
        """Return a local folder with everything below a key."""
        return self.root / key

    def snapshot(self) -> "contextlib.AbstractContextManager[None]":
        """Return a context for those who only look: where looking costs, it is done once."""
        return contextlib.nullcontext()

    def refresh(self) -> None:
        """Forget what was seen of the lake, where that is remembered at all."""

    def afresh(self) -> "contextlib.AbstractContextManager[None]":
        """Return a context for those who check: copies are compared with what they are copies of.

        A lake on disk has no copies.
        """
        return contextlib.nullcontext()

    def exists(self, key: str) -> bool:
        """Whether the file is there (and so is complete)."""
        return self.path(key).is_file()

    def names(self, folder: str) -> set[str]:
        """Return the names in a folder; empty when there is none. One listing, not a look each."""
        try:
            with os.scandir(self.path(folder)) as entries:
                return {entry.name for entry in entries if not entry.name.startswith(".")}
        except (FileNotFoundError, NotADirectoryError):
            return set()

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the files directly in a folder with their sizes in bytes."""
        try:
            with os.scandir(self.path(folder)) as entries:
                return {entry.name: entry.stat().st_size for entry in entries if entry.is_file()}
        except (FileNotFoundError, NotADirectoryError):
            return {}

    @contextlib.contextmanager
    def _aside(self, key: str) -> Iterator[Path]:
        """Yield a path to write to; on leaving, the key has what was written."""
        with written_aside(self.root / key) as aside:
            yield aside

    def write_bytes(self, key: str, content: bytes, *, replace: bool = False) -> None:
        """Write a file whole."""
        if not replace and self.exists(key):
            return
        with self._aside(key) as aside:
            aside.write_bytes(content)

    def remove(self, key: str) -> None:
        """Remove a manifest, or what stands in its place; nothing happens when there is none."""
        if (self.root / key).is_dir():
            self.remove_folder(key)
        else:
            (self.root / key).unlink(missing_ok=True)

    def remove_folder(self, key: str) -> None:
        """Remove what is below a key; nothing happens when there is none."""
        remove_folder(self.root / key)

    def publish(self, file: Path, key: str) -> None:
        """Move a finished local file to a key, in place of what may be there."""
        target = self.root / key
        make_folder(target.parent)
        with file.open("rb") as content:
            os.fsync(content.fileno())
        file.replace(target)

    def walk(self) -> Iterator[StoredFile]:
        """Yield every file of the lake, also what killed runs left aside; in no order.

        A link is none of ours, and what it leads to is not in the lake.
        """
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = Path(folder) / name
                with contextlib.suppress(FileNotFoundError):  # it has gone since
                    status = path.lstat()
                    key = path.relative_to(self.root).as_posix()
                    if stat.S_ISREG(status.st_mode):
                        yield StoredFile(key=key, size=status.st_size, modified=status.st_mtime)

    def copies(self) -> Iterator[StoredFile]:
        """Yield the copies of files that this machine keeps; a lake on disk has none."""
        yield from ()

    def remove_copy(self, key: str) -> None:
        """Remove this machine's copy of a file, and never the file."""

    def mend_copy(self, key: str) -> bool:
        """Fetch a copy again; whether there was one and it was not what the lake holds."""
        del key
        return False

    def remove_empty_folders(self, removed: Iterable[str] = ()) -> None:
        """Remove folders of our own form in which nothing is left, and those that held ``removed``.

        The lake's root and the folders directly in it stay, and so does any other empty folder.
        """
        emptied = {parent.as_posix() for key in removed for parent in PurePosixPath(key).parents}
        for path, _, _ in os.walk(self.root):
            key = Path(path).relative_to(self.root).as_posix()
            if is_folder_of_ours(key):
                emptied.add(key)
        for key in sorted(emptied, key=len, reverse=True):
            if "/" in key:
                with contextlib.suppress(OSError):
                    (self.root / key).rmdir()

    def fill_folder(self, key: str, marker: str) -> "contextlib.AbstractContextManager[Path]":
        """Return a context in which a folder is filled aside; it appears whole, with ``marker``."""
        return filled(self.root / key, marker)

    def digest(self, key: str) -> str:
        """Return the 128-bit BLAKE2b digest of a file's bytes."""
        return digest_file(self.path(key))
