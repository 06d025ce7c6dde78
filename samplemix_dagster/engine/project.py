"""A project: its configuration, where it lives, its lake, and which shards it has.

Opened once by a command or by Dagster's resource, and handed to everything below. It remembers
what it has looked up (scans, digests) for as long as it lives; :meth:`Project.refresh` forgets.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path

from samplemix_dagster.config.corpus import Source
from samplemix_dagster.config.project import Config
from samplemix_dagster.config.text.reading import load_config
from samplemix_dagster.engine.addresses.metrics import metric_identity
from samplemix_dagster.engine.memory import keep_blocks
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.places.claims import RUN, claimed, shared
from samplemix_dagster.engine.places.lake_place import (
    GuardedFiles,
    mark,
    refuse_place,
    refuse_target,
)
from samplemix_dagster.engine.shards.readers import Looks
from samplemix_dagster.engine.watching.looking import look_at, markers_among
from samplemix_dagster.errors import ConfigError, InputError
from samplemix_dagster.storage.corpus.home import HOME
from samplemix_dagster.storage.corpus.manifest import (
    Manifest,
    Shard,
    partition_keys,
    read_manifest,
    source_of,
)
from samplemix_dagster.storage.corpus.places.files import is_utf8
from samplemix_dagster.storage.corpus.rows import Openable, ReadRules
from samplemix_dagster.storage.corpus.scan import scan
from samplemix_dagster.storage.lake.lake import Lake
from samplemix_dagster.storage.lake.on_s3.s3_lake import s3_lake
from samplemix_dagster.storage.s3.bucket import (
    SCHEME,
    ClientFactory,
    Connection,
    make_client,
    split_url,
)

__all__ = ["HOME", "RUN", "Project"]


class Project:
    """One ``samplemix.yaml`` and everything that belongs to it."""

    def __init__(
        self,
        config: Config,
        root: Path,
        config_path: Path | None = None,
        s3: ClientFactory = make_client,
    ) -> None:
        self.config = config
        self.root = root
        self.config_path = config_path or root / "samplemix.yaml"
        self.home = root / HOME
        self._connection = Connection(config.s3, s3)
        self.lake = self._lake(config.lake)
        own = None if config.lake.startswith(SCHEME) else self.lake.root
        self.files = GuardedFiles(root, self._connection, own)
        self._scans: dict[str, Manifest | InputError] = {}
        self._readers: dict[str, dict[str, int]] = {}
        self._looks = Looks(self.home, self.open_shard)
        self._only_settled = False
        self.pinned_fits: Mapping[str, str] | None = None
        """Versions of fits to take as they are, by folder; None: as the project asks."""
        self.refits: set[str] = set()
        """Assets of frozen fits that are to be made again, whatever their drift."""

    @classmethod
    def open(cls, config_path: Path, s3: ClientFactory = make_client) -> "Project":
        """Read a configuration and return its project; ``s3`` makes a client when one is needed.

        Raises:
            ConfigError: The configuration breaks a rule, or the lake has no folder of its own.
        """
        keep_blocks()
        path = config_path.resolve()
        if not is_utf8(str(path)):
            raise ConfigError(f"{path}: the name of the project's folder is not UTF-8; rename it.")
        config = load_config(path)
        opened = cls(config, path.parent, path, s3)
        refuse_place(config, path.parent, path)
        return opened

    def reach_s3_with(self, factory: ClientFactory) -> None:
        """Let something else than boto3 alone make the client of S3."""
        self._connection.use(factory)

    def with_config(self, config: Config) -> "Project":
        """Return this project under another configuration of mixtures: with the same lake."""
        other = type(self)(config, self.root, self.config_path)
        other.lake, other.files, other._connection = self.lake, self.files, self._connection
        return other

    def _lake(self, place: str) -> Lake:
        if place.startswith(SCHEME):
            return s3_lake(place, self._connection, self.home / "cache")
        if "://" in place:
            raise ConfigError(f"lake: {place} is neither a local folder nor s3://bucket/prefix.")
        return Lake(self.root / place)

    def export_target(self, place: str) -> tuple[Lake, str]:
        """Return (a lake, the key of a folder in it) for a folder or ``s3://`` URL.

        Raises:
            ConfigError: A URL names no folder in a bucket, or it is the lake's or a source's.
        """
        refuse_target(self.config, self.root, place)
        if not place.startswith(SCHEME):
            folder = Path(place).resolve()
            return Lake(folder.parent), folder.name
        _, prefix = split_url(place)
        if not prefix.strip("/"):
            raise ConfigError(f"{place}: an export needs a prefix of its own in the bucket.")
        parent, _, key = place.rstrip("/").rpartition("/")
        return s3_lake(parent, self._connection, self.home / "cache" / "exports", keeps=False), key

    def open_shard(self, shard: Shard) -> Openable:
        """Return a shard's file, as it was scanned: an object that has changed is an error."""
        return self.files.at(shard.path, shard.seen if shard.etag else None)

    def refresh(self) -> None:
        """Forget every scan: files are looked at again, those of the lake too."""
        self.lake.refresh()
        self._scans.clear()
        self._readers.clear()

    def take_only_settled(self, only: bool) -> None:
        """Choose whether scans leave out files that are still being written.

        What starts by itself leaves them; a person who starts a run gets what is there.
        """
        if only != self._only_settled:
            self._only_settled = only
            self.refresh()

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

    def readers(self, source: str) -> dict[str, int]:
        """Return the mended readers that the files of a source have, with their versions.

        A partition that cannot be listed has none.
        """
        if source not in self._readers:
            shards: list[Shard] = []
            for partition in partition_keys(source, self.source(source)):
                with contextlib.suppress(InputError):
                    shards += self.scan(partition).shards
            self._readers[source] = self._looks.readers(shards, self.rules(source))
        return self._readers[source]

    def keep_looks(self) -> None:
        """Remember what the first bytes of files said, so that they are not looked at again."""
        self._looks.keep()

    def scan(self, partition: str) -> Manifest:
        """Return the partition's shards as they are at this moment.

        Raises:
            InputError: Nothing matches, or a file cannot be read.
        """
        found = self._scans.get(partition)
        if found is None:
            known = read_manifest(self.lake, partition)
            try:
                held = self._held(partition, known)
                wanted = self.rules(partition).metadata
                found = scan(partition, self.source(partition), self.files, known, held, wanted)
            except InputError as error:
                found = error
            self._scans[partition] = found
        if isinstance(found, InputError):
            raise found
        return found

    def _held(self, partition: str, known: Manifest | None) -> frozenset[str]:
        if self._only_settled:
            return look_at(self, partition, known=known).held
        return markers_among(self.source(partition), self.files, self.config.sensor)

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

    def claim(self, name: str) -> "contextlib.AbstractContextManager[bool]":
        """Hold an advisory lock alone: True when it was free. Correctness never depends on it."""
        return claimed(self.home, name)

    @contextlib.contextmanager
    def at_work(self, tell: Callable[[str], None] | None = None) -> Iterator[None]:
        """Hold what keeps garbage from being collected; the lake has its marker from then on.

        Any number of runs hold it at once, and a run may hold it within a run.

        Args:
            tell: Told in a sentence who else is at work.

        Raises:
            ConfigError: The lake holds what is not of a lake.
            LakeError: Garbage is being collected, and does not end.
        """
        with shared(self.home, RUN, tell or _ignore):
            mark(self.lake, self.config.lake)
            yield

    def signal_identity(self, stage: str, target: str) -> dict[str, str | bool]:
        """Return what a signal's class is: ``name``, ``version``, ``needs``, ``is_fitted``.

        Args:
            stage: The stage that it computes, by name.
            target: ``package.module:Class``.
        """
        del stage
        return metric_identity(target, self.root)

    def stated_files(self, owner: str) -> list[str] | None:
        """Return the digests that files from outside had; None: those that lie there count.

        Args:
            owner: The stage or the fit that reads them, as the lake calls it.
        """
        del owner
        return None


def _ignore(sentence: str) -> None:
    del sentence
