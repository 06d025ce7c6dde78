"""Remove what nothing needs any more: tables, fits, versions and exports that nobody can reach.

Kept is what a kept mixture version was made from (its manifest names it; also a version that it
goes on from), and what the project as
it is now would use: the tables of today's shards by today's recipes, the fits in use, and what the
manifests in the lake call current; of evaluations, what a result names. All else is garbage, and so
is what killed runs left aside. Nothing younger than an hour is removed: somebody may be at work
elsewhere. Nothing is removed that has not our own name and form (``storage/lake/keys.py``), and
nothing at all where the lake's marker does not stand (``engine/places/lake_place.py``). Of a lake
on S3, this machine's copies of what the lake does not hold, or not any more, go as well.
"""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.places.lake_place import refuse_unmarked
from samplemix_dagster.engine.project import RUN, Project
from samplemix_dagster.engine.stages import NotFittedError, Stage
from samplemix_dagster.errors import ConfigError, SampleMixError
from samplemix_dagster.runs.upkeep.judged_files import named_by_results, of_one_at_work
from samplemix_dagster.stages.mixture.before import settings_of, versions_before
from samplemix_dagster.stages.mixture.published.mixture_manifest import read_traced
from samplemix_dagster.stages.stepping.steps import build_steps
from samplemix_dagster.storage.ask.relations.listed import ListedVersion
from samplemix_dagster.storage.corpus.manifest import read_manifest, source_of
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.keys import EVALUATIONS, HEADS, MARKER, is_leftover, is_ours
from samplemix_dagster.storage.lake.store import StoredFile
from samplemix_dagster.trace.versions import list_versions

GRACE_SECONDS = 3600.0
_HEADS = ("documents", "features", "fits", "mixtures", "exports", EVALUATIONS)
"""Folders of the lake in which results stand; elsewhere only leftovers are garbage."""
_MARKERS = ("manifest.json", "fit.json")


@dataclass(kw_only=True)
class Garbage:
    """What is to be removed, or was."""

    keys: list[str] = field(default_factory=list)
    num_bytes: int = 0
    by_kind: dict[str, dict[str, int]] = field(default_factory=dict)
    """Files and bytes by the first part of their keys; ``leftovers`` are of killed runs."""
    kept_versions: list[str] = field(default_factory=list)
    removed_versions: list[str] = field(default_factory=list)
    copies: list[StoredFile] = field(default_factory=list)
    """This machine's copies that go: of what is removed, and of what was removed elsewhere."""

    def to_json(self) -> dict[str, object]:
        """Return a JSON value, without the keys."""
        return {
            "num_files": len(self.keys),
            "num_bytes": self.num_bytes,
            "by_kind": self.by_kind,
            "kept_versions": self.kept_versions,
            "removed_versions": self.removed_versions,
            "copies": {
                "files": len(self.copies),
                "bytes": sum(copy.size for copy in self.copies),
            },
        }


def find_garbage(
    project: Project, keep: int | None = None, grace_seconds: float = GRACE_SECONDS
) -> Garbage:
    """Return what nothing needs; nothing is removed.

    Args:
        project: The project.
        keep: Newest versions of each mixture that are kept beside the current one; all if None.
        grace_seconds: Files younger than this are left.

    Raises:
        LakeError: The manifest of a kept version is damaged, so what it needs is not known.
        ConfigError: It was made by an older version of this package, or the lake has no marker.
    """
    refuse_unmarked(project.lake)
    versions = list_versions(project)
    kept = _with_before(project, _kept(versions, keep))
    files, folders = _Reach(project).of(kept)
    found = Garbage(
        kept_versions=[f"{name}@{version}" for name, version in kept],
        removed_versions=[
            f"{entry['name']}@{entry['version']}"
            for entry in versions
            if (entry["name"], entry["version"]) not in kept
        ],
    )
    newest = time.time() - grace_seconds
    # Copies are looked at first: what is sent to S3 meanwhile is then no copy of nothing.
    stale = {copy.key: copy for copy in project.lake.copies() if _is_copy(copy.key)}
    walked = list(project.lake.walk())
    files |= of_one_at_work(walked, files, newest)
    for file in walked:
        kind = _kind(file.key, files, folders)
        if kind and file.modified < newest:
            found.keys.append(file.key)
            found.num_bytes += file.size
            entry = found.by_kind.setdefault(kind, {"files": 0, "bytes": 0})
            entry["files"] += 1
            entry["bytes"] += file.size
        else:
            stale.pop(file.key, None)
    removed = set(found.keys)
    found.copies = [
        copy
        for copy in stale.values()
        if copy.key in removed or (copy.modified < newest and not _is_mark(copy.key))
    ]
    # A folder is there when its marker is: that goes first, so that no half folder is ever read.
    found.keys.sort(key=lambda key: (not key.endswith(_MARKERS), key))
    return found


def collect_garbage(
    project: Project, keep: int | None = None, grace_seconds: float = GRACE_SECONDS
) -> Garbage:
    """Remove what nothing needs, and say what it was.

    Raises:
        SampleMixError: A run is at work on this project.
        ConfigError: The lake has no marker.
    """
    with project.claim(RUN) as is_free:
        if not is_free:
            raise SampleMixError(
                "a run is at work on this project, or another `samplemix gc`; collect garbage "
                "after it."
            )
        found = find_garbage(project, keep, grace_seconds)
        for key in found.keys:
            project.lake.remove(key)
        for copy in found.copies:
            project.lake.remove_copy(copy.key)
        project.lake.remove_empty_folders(found.keys)
    return found


def _kept(versions: list[ListedVersion], keep: int | None) -> list[tuple[str, str]]:
    kept = []
    for name in dict.fromkeys(entry["name"] for entry in versions):
        own = [entry for entry in versions if entry["name"] == name]  # newest last
        newest = own if keep is None else own[max(0, len(own) - keep) :]
        kept += [
            (name, entry["version"]) for entry in own if entry["is_current"] or entry in newest
        ]
    return kept


def _with_before(project: Project, kept: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Add the versions that kept ones go on from, and those that mixtures of today would."""
    lake = project.lake
    settings = [lake.read_json(keys.manifest(*one), {}).get("config", {}) for one in kept]
    for name in project.config.mixtures:
        with contextlib.suppress(ConfigError):  # it names no version that stands
            settings.append(settings_of(project, name))
    before = [one for found in settings for one in versions_before(lake, found)]
    return list(dict.fromkeys([*kept, *before]))


def _kind(key: str, files: set[str], folders: set[str]) -> str:
    """Return the kind of garbage that a key is; empty when it is needed."""
    if is_leftover(key):
        return "leftovers"
    head = key.partition("/")[0]
    if head not in _HEADS or key in files or key.endswith("/current.json") or not is_ours(key):
        return ""
    parts = key.split("/")
    if any("/".join(parts[:depth]) in folders for depth in range(2, len(parts))):
        return ""
    return head


def _is_mark(key: str) -> bool:
    """Whether a file beside copies is hidden and no leftover: it goes with what it speaks of."""
    return key.rpartition("/")[2].startswith(".") and not is_leftover(key)


def _is_copy(key: str) -> bool:
    """Whether a file in this machine's folder of copies stands where one would."""
    return key.partition("/")[0] in (*HEADS, MARKER)


class _Reach:
    """Finds every file and folder that something needs."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.lake = project.lake
        self.files: set[str] = set()
        self.folders: set[str] = set()

    def of(self, kept: list[tuple[str, str]]) -> tuple[set[str], set[str]]:
        """Return (files, folders with everything below them)."""
        for name, version in kept:
            self._version(name, version)
        self._today()
        self._recorded()
        self.files |= set(named_by_results(self.lake))
        return self.files, self.folders

    def _version(self, name: str, version: str) -> None:
        manifest = read_traced(self.project, name, version)
        self.folders |= {keys.version_folder(name, version), keys.exports_of(name, version)}
        self.folders |= {
            keys.fit_folder(fit, manifest["fits"][fit]) for fit in manifest["fit_recipes"]
        }
        for shard in manifest["shards"]:
            for entry in manifest["features"][shard["source"]].values():
                self._table(entry["folder"], shard["digest"])

    def _table(self, folder: str, digest: str) -> None:
        self.files.add(f"{folder}/{digest}.parquet")
        if folder.startswith(keys.TABLES_OF_SHARDS[0]):
            self.files.add(f"{folder}/{digest}.rejected.parquet")

    def _today(self) -> None:
        """What the next run would use: tables of the shards that are there, fits in use."""
        recipes = Recipes(self.project)
        for stage, shard in self._tables_of_today():
            try:
                folder = recipes.feature_folder(stage, shard.source)
            except NotFittedError:
                continue
            self._table(folder, shard.digest)
            if shard.shard.previous is not None:
                self._table(folder, shard.shard.previous)
        for folder in self.lake.names(keys.FITS):
            current = self.lake.read_json(keys.current_fit(folder))
            if current is not None:
                self.folders.add(keys.fit_folder(folder, current["version"]))

    def _tables_of_today(self) -> Iterator[tuple[Stage, PlacedShard]]:
        for step in build_steps(self.project):
            for stage in step.stages:
                for shard in self.project.readable_shards():
                    yield stage, shard

    def _recorded(self) -> None:
        """What the manifests in the lake call current: the views read it."""
        digests: dict[str, set[str]] = {}
        for partition in self.project.partitions:
            manifest = read_manifest(self.lake, partition)
            for shard in manifest.shards if manifest else ():
                digests.setdefault(source_of(partition), set()).add(shard.digest)
        for stage in self.lake.names(keys.STATE):
            for name in self.lake.names(keys.notes_folder(stage)):
                state = self.lake.read_json(f"{keys.notes_folder(stage)}/{name}")
                for digest in digests.get(name.removesuffix(".json"), ()):
                    if state and "folder" in state:
                        self._table(state["folder"], digest)
