"""The lake: one folder of immutable files and a few small manifests, reached by relative keys.

A file appears whole or not at all (written aside, synced, renamed), a file that exists is complete
and is never changed, and two writers of one file write the same bytes. Manifests (``replace_json``)
are the only exception: they say which files are current, are written last, and are replaced whole.
What the files mean is said by ``tables`` and ``engine``; nothing here knows a stage.
"""

import contextlib
import errno
import hashlib
import json
import os
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from samplemix_dagster.errors import LakeError
from samplemix_dagster.tables import Table

_RECIPE = b"samplemix.recipe"


class Lake:
    """Files below one folder, by keys such as ``features/quality/<recipe>/<shard>.parquet``."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, key: str) -> Path:
        """Return where a key's file lies."""
        return self.root / key

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
        """Yield a path beside the target; on leaving, it is synced and takes the target's name."""
        target = self.path(key)
        aside = target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            yield aside
            with aside.open("rb") as file:
                os.fsync(file.fileno())
            aside.replace(target)
        except OSError as error:
            aside.unlink(missing_ok=True)
            raise LakeError(_explain(error, target)) from error
        except BaseException:
            aside.unlink(missing_ok=True)
            raise

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
                table.replace_schema_metadata(footer), aside, compression="zstd", version="2.6"
            )

    def read_table(self, key: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Read a table, or some of its columns.

        Raises:
            LakeError: The file is missing or damaged.
        """
        try:
            return pq.read_table(self.path(key), columns=columns, memory_map=False)
        except FileNotFoundError:
            raise LakeError(f"the lake has no {key}; `samplemix run` makes it again.") from None
        except (pa.ArrowException, OSError) as error:
            raise LakeError(
                f"{self.path(key)} is damaged ({error}); remove it and run `samplemix run`."
            ) from error

    def num_rows(self, key: str) -> int:
        """Return a table's row count from its footer."""
        return int(self._footer(key).num_rows)

    def recipe(self, key: str) -> dict[str, Any]:
        """Return the recipe in a table's footer."""
        metadata = self._footer(key).metadata or {}
        return dict(json.loads(metadata.get(_RECIPE, b"{}")))

    def _footer(self, key: str) -> Any:
        try:
            return pq.read_metadata(self.path(key))
        except (pa.ArrowException, OSError) as error:
            raise LakeError(
                f"{self.path(key)} is missing or damaged ({error}); remove it and run "
                "`samplemix run`."
            ) from error

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
            raise LakeError(
                f"{self.path(key)} is damaged ({error}); remove it and run `samplemix run`."
            ) from error

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
            LakeError: The file is damaged.
        """
        try:
            return json.loads(self.path(key).read_bytes())
        except FileNotFoundError:
            return default
        except (ValueError, OSError) as error:
            raise LakeError(
                f"{self.path(key)} is damaged ({error}); remove it and run `samplemix run`."
            ) from error

    def write_bytes(self, key: str, content: bytes, *, replace: bool = False) -> None:
        """Write a file whole."""
        if not replace and self.exists(key):
            return
        with self._aside(key) as aside:
            aside.write_bytes(content)

    def remove(self, key: str) -> None:
        """Remove a manifest; nothing happens when there is none."""
        self.path(key).unlink(missing_ok=True)

    def fill_folder(self, key: str, marker: str) -> "contextlib.AbstractContextManager[Path]":
        """Return a context in which a folder is filled aside; it appears whole, with ``marker``."""
        return _filled(self.path(key), marker)

    def digest(self, key: str) -> str:
        """Return the 128-bit BLAKE2b digest of a file's bytes."""
        return digest_file(self.path(key))


@contextlib.contextmanager
def _filled(target: Path, marker: str) -> Iterator[Path]:
    aside = target.with_name(f".{target.name}.{uuid.uuid4().hex[:12]}")
    try:
        try:
            aside.mkdir(parents=True)
        except OSError as error:
            raise LakeError(_explain(error, target)) from error
        yield aside
        if not (aside / marker).is_file():
            raise LakeError(f"{target}: nothing wrote {marker}")
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


def digest_file(path: Path) -> str:
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
