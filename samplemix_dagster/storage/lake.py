"""The lake: one folder of immutable files and a few small manifests, reached by relative keys.

A file appears whole or not at all (written aside, synced, renamed), a file that exists is complete
and is never changed, and two writers of one file write the same bytes. Manifests (``replace_json``)
are the only exception: they say which files are current, are written last, and are replaced whole.
What the files mean is said by ``tables`` and ``engine``; nothing here knows a stage. A lake on S3
(``s3_lake.py``) does otherwise what looks, reads whole files and writes; all else is the same.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from samplemix_dagster.errors import DamagedError, LakeError
from samplemix_dagster.storage.rows import Openable
from samplemix_dagster.tables import Table

_RECIPE = b"samplemix.recipe"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A file of a lake as a listing shows it."""

    key: str
    size: int
    """In bytes."""
    modified: float
    """Seconds since 1970."""


class Lake:
    """Files below one folder, by keys such as ``features/quality/<recipe>/<shard>.parquet``."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.damaged: list[str] = []
        """Keys of files that were found to be damaged: whoever runs steps has them made again."""
        self.checked: set[str] = set()
        """Folders whose files were compared with their digests."""

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

    @contextlib.contextmanager
    def _aside(self, key: str) -> Iterator[Path]:
        """Yield a path to write to; on leaving, the key has what was written."""
        with written_aside(self.root / key) as aside:
            yield aside

    def write_table(
        self, key: str, table: pa.Table, contract: Table, recipe: Mapping[str, Any]
    ) -> None:
        """Write a table once; its footer carries the recipe, so that it can say what it is."""
        contract.check(table)
        if self.exists(key):
            return
        footer = {_RECIPE: json.dumps(recipe, sort_keys=True, default=str).encode()}
        with self._aside(key) as aside:
            pq.write_table(
                table.replace_schema_metadata(footer),
                aside,
                compression="zstd",
                version="2.6",
                # A flipped bit is found when a page is read, wherever the file was copied to.
                write_page_checksum=True,
            )

    def read_table(self, key: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Read a table, or some of its columns.

        Raises:
            LakeError: The file is missing.
            DamagedError: It is not what was written.
        """
        try:
            # A file by itself opens in half the time of a data set of one file.
            with pq.ParquetFile(self.path(key), page_checksum_verification=True) as file:
                return file.read(columns)
        except FileNotFoundError:
            raise LakeError(f"the lake has no {key}; `samplemix run` makes it again.") from None
        except (pa.ArrowException, OSError) as error:
            raise self.damage(key, error) from error

    def num_rows(self, key: str) -> int:
        """Return a table's row count from its footer."""
        return int(self._footer(key).num_rows)

    def columns(self, key: str) -> list[str]:
        """Return the names of a table's columns, from its footer."""
        return list(self._footer(key).schema.names)

    def recipe(self, key: str) -> dict[str, Any]:
        """Return the recipe in a table's footer."""
        metadata = self._footer(key).metadata or {}
        return dict(json.loads(metadata.get(_RECIPE, b"{}")))

    def _footer(self, key: str) -> Any:
        try:
            return pq.read_metadata(self.path(key))
        except FileNotFoundError:
            raise LakeError(f"the lake has no {key}; `samplemix run` makes it again.") from None
        except (pa.ArrowException, OSError) as error:
            raise self.damage(key, error) from error

    def write_arrays(self, key: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Write named arrays as safetensors, once."""
        from safetensors import SafetensorError
        from safetensors.numpy import save_file

        if self.exists(key):
            return
        ordered = {name: np.asarray(arrays[name], order="C") for name in sorted(arrays)}
        with self._aside(key) as aside:
            try:
                save_file(ordered, str(aside))
            except SafetensorError as error:
                raise _os_error(error) from error

    def read_arrays(self, key: str) -> dict[str, npt.NDArray[Any]]:
        """Read named arrays."""
        from safetensors import SafetensorError
        from safetensors.numpy import load_file

        try:
            return dict(load_file(str(self.path(key))))
        except FileNotFoundError:
            raise LakeError(f"the lake has no {key}; `samplemix run` makes it again.") from None
        except (SafetensorError, OSError) as error:
            raise self.damage(key, error) from error

    def damage(self, key: str, error: Exception | str) -> DamagedError:
        """Note that a file is damaged and return the error that says so."""
        self.damaged.append(key)
        return DamagedError(
            f"{self.place(key)} is damaged ({error}); `samplemix run` makes it again.", key
        )

    def write_json(self, key: str, value: Any) -> None:
        """Write a JSON file once."""
        if not self.exists(key):
            self.replace_json(key, value)

    def replace_json(self, key: str, value: Any) -> None:
        """Write a manifest, in place of the one that may be there."""
        text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
        self.write_bytes(key, text.encode() + b"\n", replace=True)

    def read_json(self, key: str, default: Any = None) -> Any:
        """Read a JSON file; ``default`` when there is none.

        Raises:
            DamagedError: The file is no JSON.
        """
        try:
            return json.loads(self.path(key).read_bytes())
        except FileNotFoundError:
            return default
        except (ValueError, OSError) as error:
            raise self.damage(key, error) from error

    def write_bytes(self, key: str, content: bytes, *, replace: bool = False) -> None:
        """Write a file whole."""
        if not replace and self.exists(key):
            return
        with self._aside(key) as aside:
            aside.write_bytes(content)

    def remove(self, key: str) -> None:
        """Remove a manifest; nothing happens when there is none."""
        (self.root / key).unlink(missing_ok=True)

    def remove_folder(self, key: str) -> None:
        """Remove what is below a key; nothing happens when there is none."""
        remove_folder(self.root / key)

    def publish(self, file: Path, key: str) -> None:
        """Move a finished local file to a key, in place of what may be there."""
        target = self.root / key
        target.parent.mkdir(parents=True, exist_ok=True)
        with file.open("rb") as content:
            os.fsync(content.fileno())
        file.replace(target)

    def walk(self) -> Iterator[StoredFile]:
        """Yield every file of the lake, also what killed runs left aside; in no order."""
        for folder, _, names in os.walk(self.root):
            for name in names:
                path = Path(folder) / name
                with contextlib.suppress(FileNotFoundError):  # it has gone since
                    status = path.stat()
                    key = path.relative_to(self.root).as_posix()
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

    def remove_empty_folders(self) -> None:
        """Remove folders in which nothing is left."""
        for folder, _, _ in os.walk(self.root, topdown=False):
            with contextlib.suppress(OSError):
                Path(folder).rmdir()

    def fill_folder(self, key: str, marker: str) -> "contextlib.AbstractContextManager[Path]":
        """Return a context in which a folder is filled aside; it appears whole, with ``marker``."""
        return filled(self.root / key, marker)

    def digest(self, key: str) -> str:
        """Return the 128-bit BLAKE2b digest of a file's bytes."""
        return digest_file(self.path(key))


@contextlib.contextmanager
def written_aside(target: Path) -> Iterator[Path]:
    """Yield a path beside a file; on leaving, it is synced and takes the file's name.

    Raises:
        LakeError: It could not be written.
    """
    aside = target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield aside
        with aside.open("rb") as file:
            os.fsync(file.fileno())
        aside.replace(target)
    except OSError as error:
        raise LakeError(_explain(error, target)) from error
    finally:
        aside.unlink(missing_ok=True)


@contextlib.contextmanager
def filled(target: Path, marker: str, *, keeps: bool = True) -> Iterator[Path]:
    """Yield a folder beside a target; on leaving, it takes the target's name.

    Args:
        target: The folder that is to be.
        marker: The file without which it is not whole.
        keeps: Whether it is to be; else it is gone on leaving.

    Raises:
        LakeError: It could not be written, or nothing wrote the marker.
    """
    aside = target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}")
    try:
        try:
            aside.mkdir(parents=True)
        except OSError as error:
            raise LakeError(_explain(error, target)) from error
        yield aside
        if not (aside / marker).is_file():
            raise LakeError(f"{target}: nothing wrote {marker}")
        if not keeps:
            return
        try:
            aside.rename(target)
        except OSError as error:
            # Somebody else finished the same folder first: same name, same content.
            if (
                error.errno not in {errno.ENOTEMPTY, errno.EEXIST}
                or not (target / marker).is_file()
            ):
                raise LakeError(_explain(error, target)) from error
    finally:
        remove_folder(aside)


def remove_folder(folder: Path) -> None:
    """Remove a folder and what is in it; nothing happens when there is none."""
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def digest_file(path: Openable) -> str:
    """Return the 128-bit BLAKE2b digest of a file's bytes, read in blocks."""
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _os_error(error: Exception) -> OSError:
    """Return what the system said, which safetensors keeps in its sentence only."""
    found = re.search(r"os error (\d+)", str(error))
    code = int(found[1]) if found else errno.EIO
    return OSError(code, os.strerror(code) if found else str(error))


def _explain(error: OSError, target: Path) -> str:
    if error.errno == errno.ENOSPC:
        return f"the disk is full: {target} could not be written. Free space and run again."
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return f"{target} may not be written ({error.strerror}): the lake needs write access."
    return f"{target} could not be written: {error.strerror or error}"
