"""A lake over another one: what is read may lie in either, what is written goes on top only.

For what-if work: results of inputs that never were together are made beside the lake, by the code
that makes all results, and the lake below stays as it is, to the byte.
"""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy.typing as npt
import pyarrow as pa

from samplemix_dagster.storage.lake.lake import Lake
from samplemix_dagster.table_contract import Table


class OverlayLake(Lake):
    """A folder over a lake. Keys under ``hidden`` folders are not seen in the lake below."""

    def __init__(self, below: Lake, folder: Path, hidden: frozenset[str] = frozenset()) -> None:
        """Take the lake below, the folder on top, and folders of the lake that it must not see."""
        super().__init__(folder)
        self.below = below
        self.top = Lake(folder)
        self.hidden = hidden

    @property
    def stored(self) -> Lake:
        """The lake below, where all that was ever published stands."""
        return self.below.stored

    def _is_hidden(self, key: str) -> bool:
        return any(key == folder or key.startswith(f"{folder}/") for folder in self.hidden)

    def _at(self, key: str) -> Lake:
        """Return the lake in which a key is read."""
        return self.top if self._is_hidden(key) or self.top.exists(key) else self.below

    def path(self, key: str) -> Path:
        """Return where a key's file lies: on top if it is there, else below."""
        on_top = self.top.path(key)
        return on_top if self._is_hidden(key) or on_top.exists() else self.below.path(key)

    def place(self, key: str) -> str:
        """Return what a key is called for people."""
        return self._at(key).place(key)

    def paths(self, keys: Sequence[str]) -> list[Path]:
        """Return local files of many keys."""
        return [self.path(key) for key in keys]

    def folder(self, key: str) -> Path:
        """Return a local folder with everything below a key, which lies whole in one lake."""
        on_top = self.top.folder(key)
        return on_top if self._is_hidden(key) or on_top.exists() else self.below.folder(key)

    def exists(self, key: str) -> bool:
        """Whether the file is in either lake."""
        return self._at(key).exists(key)

    def names(self, folder: str) -> set[str]:
        """Return the names in a folder of both lakes."""
        below = set() if self._is_hidden(folder) else self.below.names(folder)
        return self.top.names(folder) | below

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the files in a folder of both lakes with their sizes."""
        below = {} if self._is_hidden(folder) else self.below.sizes(folder)
        return {**below, **self.top.sizes(folder)}

    def write_table(
        self, key: str, table: pa.Table, contract: Table, recipe: Mapping[str, Any]
    ) -> None:
        """Write a table on top, unless either lake has it."""
        if not self.exists(key):
            self.top.write_table(key, table, contract, recipe)

    def read_table(self, key: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Read a table, or some of its columns."""
        return self._at(key).read_table(key, columns)

    def check_table(self, key: str) -> pa.Table:
        """Read a table whole and compare every byte."""
        return self._at(key).check_table(key)

    def num_rows(self, key: str) -> int:
        """Return a table's row count."""
        return self._at(key).num_rows(key)

    def recipe(self, key: str) -> dict[str, object]:
        """Return the recipe in a table's footer."""
        return self._at(key).recipe(key)

    def write_arrays(self, key: str, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Write named arrays on top, unless either lake has them."""
        if not self.exists(key):
            self.top.write_arrays(key, arrays)

    def read_arrays(self, key: str) -> dict[str, npt.NDArray[Any]]:
        """Read named arrays."""
        return self._at(key).read_arrays(key)

    def replace_json(self, key: str, value: Any) -> None:
        """Write a manifest on top; the one below stays and is no longer seen."""
        self.top.replace_json(key, value)

    def read_json(self, key: str, default: Any = None) -> Any:
        """Read a JSON file; ``default`` when neither lake has it."""
        return self._at(key).read_json(key, default)

    def read_json_as_is(self, key: str) -> Any:
        """Read a JSON file for those who say what is wrong with it."""
        return self._at(key).read_json_as_is(key)

    def write_bytes(self, key: str, content: bytes, *, replace: bool = False) -> None:
        """Write a file on top."""
        if replace or not self.exists(key):
            self.top.write_bytes(key, content, replace=replace)

    def remove(self, key: str) -> None:
        """Remove a manifest that is on top; the lake below is never changed."""
        self.top.remove(key)

    def remove_folder(self, key: str) -> None:
        """Remove a folder that is on top; the lake below is never changed."""
        self.top.remove_folder(key)

    def fill_folder(self, key: str, marker: str) -> "contextlib.AbstractContextManager[Path]":
        """Return a context in which a folder on top is filled."""
        return self.top.fill_folder(key, marker)

    def digest(self, key: str) -> str:
        """Return the digest of a file's bytes."""
        return self._at(key).digest(key)
