"""A project: its configuration, where it lives, its lake, and which shards it has.

Opened once by a command or by Dagster's resource, and handed to everything below. It remembers
what it has looked up (scans, digests) for as long as it lives; :meth:`Project.refresh` forgets.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from samplemix_dagster.config import Config, Source
from samplemix_dagster.config_file import load_config
from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.errors import ConfigError, InputError
from samplemix_dagster.storage.lake import Lake
from samplemix_dagster.storage.manifest import (
    Manifest,
    Shard,
    partition_keys,
    read_manifest,
    scan,
    source_of,
)
from samplemix_dagster.storage.rows import ReadRules

HOME = ".samplemix"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedShard:
    """A shard, the partition it belongs to and the rules by which it is read."""

    partition: str
    shard: Shard
    rules: ReadRules

    @property
    def source(self) -> str:
        """The source's name."""
        return source_of(self.partition)

    @property
    def digest(self) -> str:
        """The shard's name in the lake."""
        return self.shard.digest


class Project:
    """One ``samplemix.yaml`` and everything that belongs to it."""

    def __init__(self, config: Config, root: Path, config_path: Path | None = None) -> None:
        self.config = config
        self.root = root
        self.config_path = config_path or root / "samplemix.yaml"
        self.home = root / HOME
        if "://" in config.lake:
            raise ConfigError(
                f"lake: {config.lake} is not on this machine; this version keeps its lake in a "
                "local folder."
            )
        self.lake = Lake(root / config.lake)
        self._scans: dict[str, Manifest | InputError] = {}

    @classmethod
    def open(cls, config_path: Path) -> "Project":
        """Read a configuration and return its project."""
        path = config_path.resolve()
        return cls(load_config(path), path.parent, path)

    def refresh(self) -> None:
        """Forget every scan: files are looked at again."""
        self._scans.clear()

    @cached_property
    def partitions(self) -> list[str]:
        """Every partition, in the order of the configuration."""
        sources = self.config.corpus.sources
        return [key for name, source in sources.items() for key in partition_keys(name, source)]

    def source(self, partition: str) -> Source:
        """Return the configuration of a partition's source."""
        return self.config.corpus.sources[source_of(partition)]

    def rules(self, partition: str) -> ReadRules:
        """Return how a partition's shards are read."""
        return ReadRules.of(self.config.corpus, self.source(partition))

    def scan(self, partition: str) -> Manifest:
        """Return the partition's shards as they are on disk now.

        Raises:
            InputError: Nothing matches, or a file cannot be read.
        """
        found = self._scans.get(partition)
        if found is None:
            known = read_manifest(self.lake, partition)
            try:
                found = scan(partition, self.source(partition), self.root, known)
            except InputError as error:
                found = error
            self._scans[partition] = found
        if isinstance(found, InputError):
            raise found
        return found

    def shards(self, partition: str) -> list[PlacedShard]:
        """Return the partition's shards, in order of digest."""
        rules = self.rules(partition)
        return [
            PlacedShard(partition=partition, shard=shard, rules=rules)
            for shard in self.scan(partition).shards
        ]

    def readable_shards(self) -> list[PlacedShard]:
        """Return the shards of every partition that can be listed, in no particular order."""
        found = []
        for partition in self.partitions:
            with contextlib.suppress(InputError):
                found += self.shards(partition)
        return found

    def all_shards(self) -> list[PlacedShard]:
        """Return every shard of the corpus, by (source, digest), a shard of a source once."""
        placed = {
            (shard.source, shard.digest): shard
            for partition in self.partitions
            for shard in self.shards(partition)
        }
        return [placed[key] for key in sorted(placed)]

    @property
    def num_workers(self) -> int:
        """Worker processes: as configured, else one per core this process may use."""
        workers = self.config.compute.workers
        if isinstance(workers, int):
            return max(1, workers)
        with contextlib.suppress(AttributeError):
            return max(1, len(os.sched_getaffinity(0)))
        return os.cpu_count() or 1

    @contextlib.contextmanager
    def claim(self, name: str) -> Iterator[bool]:
        """Hold an advisory lock: True when it was free. Correctness never depends on it."""
        path = self.home / "claims" / f"{fingerprint(name)}.lock"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
                return
            yield True

    def mixture_config(self, name: str) -> dict[str, Any]:
        """Return what of a mixture's configuration decides its draws, as a JSON value."""
        return self.config.mixtures[name].model_dump(mode="json")
