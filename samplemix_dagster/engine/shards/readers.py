"""Which mended readers a source's files have: this decides whether they are read anew.

A name says it, or the first bytes of a file, which are looked at once and remembered beside the
lake. No file is read whole for it, and a file that cannot be looked at says nothing.
"""

import contextlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from samplemix_dagster.errors import InputError
from samplemix_dagster.storage.corpus.home import write_note
from samplemix_dagster.storage.corpus.manifest import Shard
from samplemix_dagster.storage.corpus.rows import (
    Openable,
    ReadRules,
    readers_by_look,
    readers_by_name,
    with_versions,
)
from samplemix_dagster.storage.formats.names import named

_FILE = "readers.json"
_FORM = 1
"""Raise it when a look finds something else than before."""


class Opener(Protocol):
    """Opens a shard's file as it was scanned."""

    def __call__(self, shard: Shard) -> Openable:
        """Return the file."""


class Looks:
    """What was seen of files' first bytes, in this process and before it."""

    def __init__(self, home: Path, open_shard: Opener) -> None:
        self._path = home / _FILE
        self._open = open_shard
        self._seen: dict[str, list[str]] | None = None
        self._is_new = False

    def readers(self, shards: Iterable[Shard], rules: ReadRules) -> dict[str, int]:
        """Return the mended readers that shards have, with their versions."""
        found: set[str] = set()
        for shard in shards:
            for path in (shard.path, *shard.other_paths):
                by_name = readers_by_name(path.rsplit("/", 1)[-1], rules)
                found |= self._look(shard, rules) if by_name is None else by_name
        return with_versions(found)

    def _look(self, shard: Shard, rules: ReadRules) -> set[str]:
        meaning = named(shard.path)
        mark = f"{shard.digest} {rules.format} {meaning.format} {meaning.compression}"
        seen = self._known()
        if mark not in seen:
            try:
                seen[mark] = sorted(readers_by_look(self._open(shard), rules))
            except (OSError, InputError):
                return set()  # reading it says what is wrong
            self._is_new = True
        return set(seen[mark])

    def _known(self) -> dict[str, list[str]]:
        if self._seen is None:
            self._seen = {}
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError, AttributeError):
                stored = json.loads(self._path.read_text(encoding="utf-8"))
                if stored["form"] == _FORM:
                    self._seen = {
                        str(k): [str(name) for name in v] for k, v in stored["seen"].items()
                    }
        return self._seen

    def keep(self) -> None:
        """Write down what was seen since it was last written down."""
        if not self._is_new:
            return
        self._is_new = False
        with contextlib.suppress(OSError):
            stored = {"form": _FORM, "seen": self._known()}
            write_note(self._path, json.dumps(stored, sort_keys=True))
