"""The lake: one folder of immutable files and a few small manifests, reached by relative keys.

A file appears whole or not at all (written aside, synced, renamed), a file that exists is complete
and is never changed, and two writers of one file write the same bytes. Manifests (``replace_json``)
are the only exception: they say which files are current, are written last, and are replaced whole.
What the files mean is said by ``tables`` and ``engine``; nothing here knows a stage. Where whole
files lie is said by ``store.py``; a lake on S3 (``on_s3/s3_lake.py``) does that otherwise.
"""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from samplemix_dagster.errors import DamagedError, LakeError
from samplemix_dagster.storage.lake import keys, table_files
from samplemix_dagster.storage.lake.contents import shapes
from samplemix_dagster.storage.lake.store import Store
from samplemix_dagster.storage.lake.whole_files import os_error
from samplemix_dagster.table_contract import Table

_UNREADABLE = (pa.ArrowException, OSError, ValueError, OverflowError)
"""What reading a damaged table can raise."""


class Lake(Store):
    """Tables, arrays and JSON in files that know themselves, and which of them were damaged."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.damaged: list[str] = []
        """Keys of files that were found to be damaged: whoever runs steps has them made again."""
        self.checked: set[str] = set()
        """Folders and tables that were compared with what is known of them."""
        self.deferred: set[str] = set()
        """Folders of mixture versions that are mended when a run has made what they need."""
        self.retried: set[str] = set()
        """Those of them for which that was tried."""

    @property
    def stored(self) -> "Lake":
        """The lake without what is made aside, for what was published earlier: itself."""
        return self

    def write_table(
        self, key: str, table: pa.Table, contract: Table, recipe: Mapping[str, Any]
    ) -> None:
        """Write a table once; its footer carries the recipe, so that it can say what it is."""
        contract.check(table)
        if self.exists(key):
            return
        with self._aside(key) as aside:
            table_files.write(aside, key, table, recipe)

    def read_table(self, key: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Read a table, or some of its columns.

        Raises:
            LakeError: The file is missing.
            DamagedError: It is not what was written.
        """
        with self._reading(key):
            return table_files.read(self.path(key), key, columns)

    def check_table(self, key: str) -> pa.Table:
        """Read a table whole, and compare every byte with what was written where that is known.

        Raises:
            LakeError: The file is missing.
            DamagedError: It is not what was written.
        """
        table = self.read_table(key)
        with self._reading(key):
            table_files.check_body(self.path(key))
        return table

    def num_rows(self, key: str) -> int:
        """Return a table's row count from its footer."""
        return int(self._footer(key).num_rows)

    def columns(self, key: str) -> list[str]:
        """Return the names of a table's columns, from its footer."""
        return list(self._footer(key).schema.names)

    def recipe(self, key: str) -> dict[str, object]:
        """Return the recipe in a table's footer."""
        stated = self._footer(key).metadata or {}
        return dict(json.loads(stated.get(table_files.RECIPE, b"{}")))

    def _footer(self, key: str) -> Any:
        with self._reading(key):
            return table_files.read_footer(self.path(key), key)

    @contextlib.contextmanager
    def _reading(self, key: str) -> Iterator[None]:
        """Turn what reading a table can raise into a sentence that names it."""
        try:
            yield
        except FileNotFoundError:
            raise LakeError(f"the lake has no {key}; `samplemix run` makes it again.") from None
        except _UNREADABLE as error:
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
                raise os_error(error) from error

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
        way_out = "`samplemix run` makes it again"
        if key.startswith(f"{keys.MIXTURES}/"):
            way_out = "`samplemix run --check-lake` makes it again, or says what is lost"
        return DamagedError(f"{self.place(key)} is damaged ({error}); {way_out}.", key)

    def write_json(self, key: str, value: Any) -> None:
        """Write a JSON file once."""
        if not self.exists(key):
            self.replace_json(key, value)

    def replace_json(self, key: str, value: Any) -> None:
        """Write a manifest, in place of the one that may be there; ``shapes`` may add a digest."""
        self.write_bytes(key, _written(key, value), replace=True)

    def keep_json(self, key: str, value: Any) -> None:
        """Write a manifest unless the very same stands there, with its digest."""
        if self._content(key) != _written(key, value):
            self.replace_json(key, value)

    def read_json(self, key: str, default: Any = None) -> Any:
        """Read a JSON file, without its own digest; ``default`` when there is none.

        Raises:
            DamagedError: It is no JSON, has another shape, or is not what was written.
        """
        content = self._content(key)
        if content is None:
            return default
        try:
            return shapes.opened(key, json.loads(content))
        except (ValueError, RecursionError) as error:
            raise self.damage(key, error) from error

    def read_json_as_is(self, key: str) -> Any:
        """Read a JSON file for those who say what is wrong with it; None when there is none.

        Raises:
            DamagedError: It is no JSON.
        """
        content = self._content(key)
        try:
            return None if content is None else json.loads(content)
        except (ValueError, RecursionError) as error:
            raise self.damage(key, error) from error

    def _content(self, key: str) -> bytes | None:
        """Return the bytes of a small file; None when there is none."""
        try:
            return self.path(key).read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self.damage(key, error) from error

    def expect(self, file: Path, key: str) -> None:
        """Note where the bytes of a file that is aside stand already; on S3 that saves sending."""
        del file, key


def _written(key: str, value: Any) -> bytes:
    """Return the bytes of a JSON file."""
    value = shapes.sealed(key, value)
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return text.encode() + b"\n"
