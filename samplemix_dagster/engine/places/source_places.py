"""Where a path, a pattern or an ``s3://`` URL reaches: compared as places, not as words.

Two names of one folder (a link, another case, ``..``) are one place. A pattern reaches a folder if
something that it can match is the folder, lies in it, or holds it as a match. Nothing is listed.
"""

import fnmatch
import functools
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from samplemix_dagster.storage.lake.keys import MARKER
from samplemix_dagster.storage.s3.bucket import SCHEME, split_url

_WILD = re.compile(r"[*?\[]")


@dataclass(frozen=True, slots=True)
class Place:
    """A folder of this machine, or a prefix of a bucket, and what of it a pattern takes."""

    root: Path | None
    """None for S3."""
    prefix: tuple[str, ...] = ()
    """On S3: the bucket and the parts of the key."""
    pattern: tuple[str, ...] | None = None
    """Parts of a glob below it; None for everything below it that is not hidden."""

    @property
    def folder(self) -> Path:
        """The folder, which is one of this machine."""
        assert self.root is not None  # noqa: S101  asked of local places only
        return self.root

    def holds(self, path: Path) -> bool:
        """Whether a path of this machine is this folder or lies below it, by any name."""
        return self.root is not None and _below(path, self.root) is not None

    def holds_place(self, other: "Place") -> bool:
        """Whether another place is this one or lies below it."""
        return self._parts_to(other) is not None

    def reaches(self, other: "Place") -> bool:
        """Whether something that this place's pattern can match is, holds or is in another."""
        if other.holds_place(self):
            return True
        parts = self._parts_to(other)
        if parts is None:
            return False
        if self.pattern is None:
            return not any(part.startswith(".") for part in parts)
        return _reaches(self.pattern, parts)

    def _parts_to(self, other: "Place") -> tuple[str, ...] | None:
        """Return the parts from this place down to another; None if that is not below it."""
        if self.root is None or other.root is None:
            if self.root is not other.root or other.prefix[: len(self.prefix)] != self.prefix:
                return None
            return other.prefix[len(self.prefix) :]
        return _below(other.root, self.root)


def folder_of(words: str, root: Path) -> Place:
    """Return the place of a folder or a URL whose name is meant letter by letter."""
    if words.startswith(SCHEME):
        bucket, parts = _parts_of(words)
        return Place(None, (bucket, *parts))
    return Place(Path(os.path.realpath(root / words)))


def _parts_of(url: str) -> tuple[str, list[str]]:
    bucket, key = split_url(url)
    return bucket, [part for part in key.split("/") if part]


def place_of(words: str, root: Path) -> Place:
    """Return the place of a path, a pattern or a URL; relative ones are below ``root``."""
    if words.startswith(SCHEME):
        bucket, parts = _parts_of(words)
        fixed, pattern = _split(parts)
        return Place(None, (bucket, *fixed), pattern)
    whole = root / words
    if os.path.exists(whole):  # noqa: PTH110  a name too long is not there, and no error
        return Place(Path(os.path.realpath(whole)))
    fixed, pattern = _split(Path(words).parts)
    return Place(Path(os.path.realpath(root.joinpath(*fixed))), (), pattern)


def _split(parts: Sequence[str]) -> tuple[Sequence[str], tuple[str, ...] | None]:
    """Return the parts before the first with a wildcard, and the rest; None where there is none."""
    for number, part in enumerate(parts):
        if _WILD.search(part):
            return parts[:number], tuple(parts[number:])
    return parts, None


def _below(path: Path, folder: Path) -> tuple[str, ...] | None:
    """Return the parts from a folder down to a path, by what the folders are; None: not below."""
    real = Path(os.path.realpath(path))
    parts: list[str] = []
    for place in (real, *real.parents):
        if place == folder or _is_same(place, folder):
            return tuple(reversed(parts))
        parts.append(place.name)
    return None


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


def _reaches(pattern: Sequence[str], parts: Sequence[str]) -> bool:
    """Whether a glob can match the folder of these parts, something in it, or what holds it."""
    if not parts:
        return True
    if not pattern:
        return not any(part.startswith(".") for part in parts)
    is_hidden = parts[0].startswith(".")
    if pattern[0] == "**":
        return _reaches(pattern[1:], parts) or (not is_hidden and _reaches(pattern, parts[1:]))
    if is_hidden and not pattern[0].startswith("."):
        return False
    return fnmatch.fnmatchcase(parts[0], pattern[0]) and _reaches(pattern[1:], parts[1:])


def matched(files: Iterable[Path], lakes: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
    """Yield (file, lake) for files that really lie in one of these folders, or in any lake.

    What a lake exports is made to be read, so it may be, except from the project's own lake.
    """
    own = [os.path.realpath(lake) for lake in lakes]
    look = functools.lru_cache(maxsize=4096)(lambda folder: _lake_of(folder, own))
    for file in files:
        real = os.path.realpath(file) if file.is_symlink() else str(file)
        lake = look(str(Path(real).parent))
        if lake is not None:
            yield file, Path(lake)


def _lake_of(folder: str, own: Sequence[str]) -> str | None:
    real = os.path.realpath(folder)
    for lake in own:
        if real == lake or real.startswith(lake + os.sep):
            return lake
    inner = ""
    place = Path(real)
    for parent in (place, *place.parents):
        if (parent / MARKER).is_file() and inner != "exports":
            return str(parent)
        inner = parent.name
    return None
