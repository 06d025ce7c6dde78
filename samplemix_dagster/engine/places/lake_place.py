"""A lake has a folder of its own: where it may lie, its marker, and who may not read it.

A lake is refused when its project is opened if it is, holds or lies where something of the user's
is: the project's file, a source, files that are not ours. Looked at are places and the names near
the lake's root, never the whole of it. The marker is written by whoever first writes into a lake,
and garbage is collected only where it stands (``runs/upkeep/garbage.py``).
"""

import contextlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from samplemix_dagster.config.project import Config
from samplemix_dagster.engine.places.source_places import Place, folder_of, matched, place_of
from samplemix_dagster.errors import ConfigError, InputError
from samplemix_dagster.storage.corpus.home import HOME
from samplemix_dagster.storage.corpus.places.files import Files, Listing
from samplemix_dagster.storage.lake.keys import (
    HEADS,
    MARKER,
    MARKER_CONTENT,
    is_in_the_way,
    is_in_the_way_below,
)
from samplemix_dagster.storage.lake.lake import Lake
from samplemix_dagster.storage.s3.bucket import SCHEME, Connection

_OF_HOME = ("dagster", "claims", "looks", "cache", "dbt", "models", "unfinished")
_WAY_OUT = "choose an empty folder, such as .samplemix/lake"


def refuse_place(config: Config, root: Path, config_path: Path) -> None:
    """Refuse a lake that does not have a folder of its own, and sources that reach into it.

    Raises:
        ConfigError: The message names what was found there.
    """
    lake = folder_of(config.lake, root)
    if isinstance(lake.root, Path):
        _refuse_folder(config.lake, lake, root, config_path)
    home = folder_of(HOME, root)
    for name, source in config.corpus.sources.items():
        for pattern in source.paths:
            if "://" in pattern and not pattern.startswith(SCHEME):
                continue  # said where sources are listed
            _refuse_source(name, pattern, root, lake, home)


def _refuse_folder(words: str, lake: Place, root: Path, config_path: Path) -> None:
    folder = lake.folder
    for place, what in (
        (config_path, f"{config_path.name} lies in it"),
        (root, "the project's folder lies in it"),
        (Path("~").expanduser(), "it is, or holds, your home folder"),
        (root / HOME, f"the project's own {HOME} lies in it"),
    ):
        if lake.holds(place):
            raise ConfigError(f"lake: {words} is no folder of its own: {what}; {_WAY_OUT}.")
    for own in _OF_HOME:
        if folder_of(f"{HOME}/{own}", root).holds(folder):
            raise ConfigError(f"lake: {words} is what {HOME}/{own} is for; {_WAY_OUT}.")
    if folder.exists() and not folder.is_dir():
        raise ConfigError(f"lake: {words} is a file; {_WAY_OUT}.")
    for parent in folder.parents:
        if (parent / MARKER).is_file():
            raise ConfigError(f"lake: {words} lies inside another lake, {parent}; {_WAY_OUT}.")
    found = list(in_the_way(folder))
    if found:
        raise ConfigError(_in_the_way(words, found))


def _in_the_way(words: str, found: list[str]) -> str:
    shown = ", ".join(found[:3]) + (f" and {len(found) - 3:,} more" if len(found) > 3 else "")
    return (
        f"lake: {words} holds what is not of a lake: {shown}; {_WAY_OUT}, or move that elsewhere."
    )


def in_the_way(folder: Path) -> Iterator[str]:
    """Yield what lies in a lake's folder and is not of a lake: near its root, not below."""
    names = dict(_names(folder))
    for name, is_folder in names.items():
        if is_in_the_way(name, is_folder=is_folder):
            yield name
    for head in HEADS:
        if names.get(head):
            for name, is_folder in _names(folder / head):
                if is_in_the_way_below(head, name, is_folder=is_folder):
                    yield f"{head}/{name}"


def _names(folder: Path) -> list[tuple[str, bool]]:
    """Return the names in a folder, sorted, and whether each is a folder or leads to one."""
    with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(folder) as entries:
        return sorted((entry.name, entry.is_dir()) for entry in entries)
    return []


def _refuse_source(name: str, pattern: str, root: Path, lake: Place, home: Place) -> None:
    where = f"corpus.sources.{name}.path: {pattern}"
    source = place_of(pattern, root)
    if source.reaches(lake) or (home.root is not None and source.reaches(home)):
        what = "the lake" if source.reaches(lake) else f"the project's own {HOME}"
        raise ConfigError(
            f"{where} reaches into {what}, so that results would be read as corpus; name the "
            "source's own folder, or choose another folder for the lake."
        )


def refuse_target(config: Config, root: Path, target: str) -> None:
    """Refuse to export to a folder that is of the lake, or that a source would read as corpus.

    Raises:
        ConfigError: The message says which.
    """
    place = folder_of(target, Path.cwd())
    if folder_of(config.lake, root).holds_place(place):
        raise ConfigError(f"--to {target} lies in the lake; choose a folder outside of it.")
    if folder_of(HOME, root).holds_place(place):
        raise ConfigError(f"--to {target} lies in the project's own {HOME}; choose another folder.")
    for name, source in config.corpus.sources.items():
        for pattern in source.paths:
            if "://" in pattern and not pattern.startswith(SCHEME):
                continue
            if place_of(pattern, root).reaches(place):
                raise ConfigError(
                    f"--to {target} is where the source {name!r} looks ({pattern}), so that the "
                    "export would be read as corpus; choose another folder."
                )


def mark(lake: Lake, words: str) -> None:
    """Write the marker, unless it stands; for whoever is about to write into the lake.

    Raises:
        ConfigError: The folder (on S3: the prefix) holds what is not of a lake.
    """
    if lake.exists(MARKER):
        return
    names = sorted(lake.names(""))
    found = [name for name in names if is_in_the_way(name, is_folder=None)]
    for head in (head for head in HEADS if head in names):
        found += [
            f"{head}/{name}"
            for name in sorted(lake.names(head))
            if is_in_the_way_below(head, name, is_folder=None)
        ]
    if found:
        raise ConfigError(_in_the_way(words, found))
    lake.write_json(MARKER, MARKER_CONTENT)


def refuse_unmarked(lake: Lake) -> None:
    """Refuse to collect garbage where nothing says that it is a lake.

    Raises:
        ConfigError: There is no marker, and something to be collected.
    """
    if not lake.exists(MARKER) and lake.names(""):
        raise ConfigError(
            f"{lake.place(MARKER)} is not there: nothing says that this is a lake, so nothing is "
            "removed. `samplemix run` writes it; then collect garbage."
        )


class GuardedFiles(Files):
    """A project's files, without those that turn out to lie in a lake, by a link for instance."""

    def __init__(self, root: Path, connection: Connection, lake: Path | None) -> None:
        super().__init__(root, connection)
        self._own = [place for place in (lake, root / HOME) if place is not None]

    def matching(self, patterns: Iterable[str], *, reads_any: bool = False) -> Listing:
        """Return what patterns match.

        Raises:
            InputError: A file lies in a lake.
        """
        found = super().matching(patterns, reads_any=reads_any)
        local = [self.root / path for path in found.files if "://" not in path]
        for file, lake in matched(local, self._own):
            raise InputError(
                f"{file} lies in {lake}, so that results would be read as corpus; name the "
                "source's own folder, or remove the link to it."
            )
        return found
