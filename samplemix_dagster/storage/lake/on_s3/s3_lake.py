"""A lake on S3: immutable files are kept in a folder of this machine, manifests are not.

The objects of a lake never change and are named by what they are, so a copy of one is right for
ever. Tables and models are therefore read as local files, by everything that reads them: a file is
fetched when it is first asked for, and what is written here is kept too. Whether a file *is* there
is asked of S3, never of the copies. Manifests (``current.json``, states, reports) are replaced, so
they are asked for each time. Who checks a lake compares each copy with its object first
(:meth:`S3Lake.afresh`): what is damaged on S3 is found where there is a good copy of it, too.
"""

import contextlib
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.errors import LakeError
from samplemix_dagster.storage.lake.keys import is_replaced
from samplemix_dagster.storage.lake.lake import Lake
from samplemix_dagster.storage.lake.on_s3.s3_copies import WHOLE, Copies
from samplemix_dagster.storage.lake.store import StoredFile
from samplemix_dagster.storage.lake.whole_files import (
    filled,
    remove_folder,
    written_aside,
)
from samplemix_dagster.storage.s3.bucket import Bucket, Connection, split_url
from samplemix_dagster.storage.s3.errors import LAKE

_FETCHES_AT_ONCE = 8


def s3_lake(url: str, connection: Connection, copies: Path, *, keeps: bool = True) -> "S3Lake":
    """Return the lake at an ``s3://`` URL.

    Args:
        url: Where it is.
        connection: How S3 is reached.
        copies: A folder for the copies of every lake: this one's are in a folder below.
        keeps: Whether what never changes is kept there.
    """
    name, prefix = split_url(url)
    prefix = prefix.strip("/")
    mark = fingerprint([connection.settings.endpoint, name, prefix])[:12]
    bucket = Bucket(connection, name, LAKE)
    return S3Lake(bucket, prefix, copies / f"{name}-{mark}", keeps=keeps)


class S3Lake(Lake):
    """Objects below one prefix, with local copies of those that never change."""

    def __init__(self, bucket: Bucket, prefix: str, copies: Path, *, keeps: bool = True) -> None:
        super().__init__(copies)
        self.bucket = bucket
        self.prefix = f"{prefix}/" if prefix else ""
        self._copies = Copies(copies, bucket, self.prefix)
        self._keeps = keeps
        self._seen: set[str] = set()
        self._looks = threading.local()
        self._compared: set[str] | None = None
        self._expected: dict[Path, str] = {}

    # -- looking ----------------------------------------------------------------------------------

    def place(self, key: str) -> str:
        """Return what a key is called for people: its URL."""
        return self.bucket.url(self.prefix + key)

    def exists(self, key: str) -> bool:
        """Whether the object is there; one that was seen stays so until :meth:`refresh`."""
        if key in self._seen:
            return True
        if self._snapshot is not None:
            folder, _, name = key.rpartition("/")
            return name in self.names(folder)
        is_there = self.bucket.head(self.prefix + key) is not None
        if is_there and not self._is_replaced(key):
            self._seen.add(key)
        return is_there

    def refresh(self) -> None:
        """Forget which objects were seen: somebody else may have removed some."""
        self._seen.clear()

    def names(self, folder: str) -> set[str]:
        """Return the names directly below a folder: one paged listing."""
        if self._snapshot is not None and folder in self._snapshot.names:
            return self._snapshot.names[folder]
        below = f"{self.prefix}{folder}/" if folder else self.prefix
        entries, folders = self.bucket.children(below)
        files = {entry.key.removeprefix(below) for entry in entries} - {""}
        keys = {f"{folder}/{name}" for name in files}
        self._seen |= {key for key in keys if not self._is_replaced(key)}
        found = files | {name.removeprefix(below).rstrip("/") for name in folders}
        if self._snapshot is not None:
            self._snapshot.names[folder] = found
        return found

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the objects directly below a folder with their sizes in bytes: one listing."""
        below = f"{self.prefix}{folder}/"
        entries, _ = self.bucket.children(below)
        return {entry.key.removeprefix(below): entry.size for entry in entries}

    @contextlib.contextmanager
    def snapshot(self) -> Iterator[None]:
        """Within it, nothing is looked at twice: for those who look and do not write."""
        outer = self._snapshot
        self._looks.snapshot = outer or _Snapshot()
        try:
            yield
        finally:
            self._looks.snapshot = outer

    @contextlib.contextmanager
    def afresh(self) -> Iterator[None]:
        """Within it, a copy is compared with its object once, and is fetched again or removed."""
        outer = self._compared
        if outer is None:
            self.refresh()
            self._compared = set()
        try:
            yield
        finally:
            self._compared = outer

    @property
    def _snapshot(self) -> "_Snapshot | None":
        """What this thread has looked at within :meth:`snapshot`."""
        found: _Snapshot | None = getattr(self._looks, "snapshot", None)
        return found

    # -- reading ----------------------------------------------------------------------------------

    def path(self, key: str) -> Path:
        """Return a local file with an object's bytes, fetched unless there is a copy.

        Where there is no such object, the file is not there either.
        """
        if self._is_replaced(key):
            return self._copies.fetch_again(key)
        copy, compared = self.root / key, self._compared
        if not copy.exists() or (compared is not None and key not in compared):
            self._copies.fetch(key)
        if compared is not None:
            compared.add(key)
        return copy

    def paths(self, keys: Sequence[str]) -> list[Path]:
        """Return local files of many objects; several are fetched at once."""
        with ThreadPoolExecutor(_FETCHES_AT_ONCE) as pool:
            return list(pool.map(self.path, keys))

    def folder(self, key: str) -> Path:
        """Return a local folder with every object below a prefix, fetched unless it is whole."""
        copy = self.root / key
        if not (copy / WHOLE).exists() or self._compared is not None:
            below = f"{self.prefix}{key}/"
            keys = [entry.key.removeprefix(self.prefix) for entry in self.bucket.below(below)]
            self.paths([inner for inner in keys if not inner.endswith("/")])
            if keys:
                (copy / WHOLE).touch()
        return copy

    def _content(self, key: str) -> bytes | None:
        """Return the bytes of a small object; None when there is none."""
        if not self._is_replaced(key):
            return super()._content(key)
        snapshot = self._snapshot
        if snapshot is not None and key in snapshot.contents:
            return snapshot.contents[key]
        content = self.bucket.read(self.prefix + key)
        if snapshot is not None:
            snapshot.contents[key] = content
        return content

    # -- writing ----------------------------------------------------------------------------------

    @contextlib.contextmanager
    def _aside(self, key: str) -> Iterator[Path]:
        """Yield a local file; on leaving it is sent, and only then is it a copy of the object."""
        with written_aside(self.root / key) as aside:
            yield aside
            self.bucket.upload(aside, self.prefix + key)
        self._forget(key)
        self._seen.add(key)

    def write_bytes(self, key: str, content: bytes, *, replace: bool = False) -> None:
        """Write an object whole."""
        if not self._is_replaced(key):
            super().write_bytes(key, content, replace=replace)
        elif replace or not self.exists(key):
            self.bucket.put(self.prefix + key, content)
            self._forget(key)

    def publish(self, file: Path, key: str) -> None:
        """Send a finished local file to a key, in place of what may be there."""
        self.bucket.upload(file, self.prefix + key)
        file.unlink(missing_ok=True)

    def remove(self, key: str) -> None:
        """Remove an object; nothing happens when there is none."""
        self.bucket.delete(self.prefix + key)
        self._forget(key)
        self.remove_copy(key)

    def remove_folder(self, key: str) -> None:
        """Remove every object below a prefix, and the copies.

        JSON files directly below go first: markers are among them, and without its marker a folder
        that is half removed is not there.
        """
        below = f"{self.prefix}{key}/"
        inner = [entry.key.removeprefix(below) for entry in self.bucket.below(below)]
        for name in sorted(inner, key=lambda name: ("/" in name, not name.endswith(".json"), name)):
            self._forget(f"{key}/{name}")
            self.bucket.delete(below + name)
        remove_folder(self.root / key)

    def walk(self) -> Iterator[StoredFile]:
        """Yield every object of the lake; in no order. What is aside is on this machine only."""
        for entry in self.bucket.below(self.prefix):
            key = entry.key.removeprefix(self.prefix)
            yield StoredFile(key=key, size=entry.size, modified=entry.modified)

    # -- copies -----------------------------------------------------------------------------------

    def copies(self) -> Iterator[StoredFile]:
        """Yield every file of this machine's folder, also marks and what killed runs left aside."""
        yield from super().walk()

    def remove_copy(self, key: str) -> None:
        """Remove a copy, and the marks that speak of it. Who has it open reads on."""
        self._copies.remove(key)

    def mend_copy(self, key: str) -> bool:
        """Fetch a copy again; whether there was one and it was not the object's bytes."""
        return not self._is_replaced(key) and self._copies.mend(key)

    def _forget(self, key: str) -> None:
        """Take nothing for granted about a key that was written or removed."""
        self._seen.discard(key)
        if self._snapshot is not None:
            self._snapshot.contents.pop(key, None)
            self._snapshot.names.clear()

    def _is_replaced(self, key: str) -> bool:
        """Whether what stands at a key can be replaced by something else."""
        return not self._keeps or is_replaced(key)

    @contextlib.contextmanager
    def fill_folder(self, key: str, marker: str) -> Iterator[Path]:
        """Fill a folder aside; it is sent file by file, the marker last, and is there with it.

        Files that are links to one file travel once.
        """
        copy = self.root / key
        with filled(copy, marker, keeps=not self._is_replaced(f"{key}/{marker}")) as aside:
            yield aside
            if not (aside / marker).is_file():
                raise LakeError(f"{self.place(key)}: nothing wrote {marker}")
            files = sorted(path for path in aside.rglob("*") if path.is_file())
            inner = [path.relative_to(aside).as_posix() for path in files]
            sent: dict[int, str] = {}
            for name in sorted(inner, key=lambda name: (name == marker, name)):
                self._send(aside / name, f"{self.prefix}{key}/{name}", sent)
            (aside / WHOLE).touch()
            remove_folder(copy)
        for name in inner:
            self._forget(f"{key}/{name}")

    def expect(self, file: Path, key: str) -> None:
        """Note where the bytes of a file that is aside stand already, so that none need travel."""
        self._expected[file] = self.prefix + key

    def _send(self, file: Path, key: str, sent: dict[int, str]) -> None:
        """Send a file that is aside; one that has the bytes of an object is copied from there.

        Args:
            file: The file.
            key: The object, with the lake's prefix.
            sent: Objects of this folder so far, by the files that they were sent from.
        """
        inode, expected = file.stat().st_ino, self._expected.pop(file, "")
        if inode in sent:
            self.bucket.copy(sent[inode], key)
        elif expected and self.bucket.holds(file, expected):
            self.bucket.copy(expected, key)
        else:
            self.bucket.upload(file, key)
        sent[inode] = key


class _Snapshot:
    """What was looked at once."""

    def __init__(self) -> None:
        self.names: dict[str, set[str]] = {}
        self.contents: dict[str, bytes | None] = {}
