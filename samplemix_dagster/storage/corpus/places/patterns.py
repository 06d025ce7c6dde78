"""What a path or pattern names: by the rules of globs, each place once, whatever links there are.

``*``, ``?`` and ``[...]`` stand for parts of one name, ``**`` crosses folders, and hidden names are
left out unless a pattern names them. Links are followed, but never back to a folder on the way to
them: a folder with two links to itself has more paths than can be counted. A path that is there as
it is written is meant letter by letter, whatever signs are in it.
"""

import fnmatch
import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from samplemix_dagster.errors import InputError
from samplemix_dagster.storage.formats.names import named

WILD = re.compile(r"[*?\[]")

BROKEN_LINK = "a link to what is not there"
NO_FILE = "a pipe, a socket or a device, not a file"

_Above = frozenset[tuple[int, int]]
"""The folders on the way to a place, by device and number."""


@dataclass(frozen=True, slots=True)
class Here:
    """What a pattern matches on this machine; paths are relative to the root where they can be."""

    files: set[str] = field(default_factory=set)
    folders: set[str] = field(default_factory=set)
    """Folders that are named like shards."""
    others: dict[str, str] = field(default_factory=dict)
    """What is no file and no folder, with the reason why it is not read."""


def local(root: Path, pattern: str) -> Here:
    """Return what a path or pattern matches on this machine.

    Raises:
        InputError: A folder on the way cannot be listed, or no file system takes such a name.
    """
    if "\0" in pattern:
        raise InputError(f"{pattern!r}: no file's name has a NUL character.")
    whole = root / pattern
    try:
        if whole.is_dir():
            found = _tree(whole, _above(whole))
        elif whole.is_file():
            found = iter([whole])
        else:
            found = _expanded(root, Path(pattern).parts)
        return _sorted_out(found, root, is_pattern=not whole.is_dir())
    except OSError as error:
        raise InputError(
            f"{pattern} cannot be listed: {error.filename or whole}: {error.strerror or error}. "
            "Let it be read, or name the folders that are meant."
        ) from error


def _sorted_out(found: Iterator[Path], root: Path, *, is_pattern: bool) -> Here:
    here = Here()
    for path in found:
        name = _relative(path, root)
        if path.is_dir():
            if is_pattern and _is_named_like_a_shard(path.name):
                here.folders.add(name)
        elif path.is_file():
            here.files.add(name)
        elif path.is_symlink():
            here.others[name] = BROKEN_LINK
        elif path.exists():
            here.others[name] = NO_FILE
    return here


def _tree(folder: Path, above: _Above) -> Iterator[Path]:
    """Yield everything below a folder, folders too, hidden names left out."""
    for name in sorted(os.listdir(folder)):  # noqa: PTH208  names alone are needed
        if name.startswith("."):
            continue
        path = folder / name
        if not path.is_dir():
            yield path
        elif (own := _identity(path)) not in above:
            yield path
            yield from _tree(path, above | {own})


def fixed_parts(parts: Sequence[str]) -> Sequence[str]:
    """Return the parts before the first with a wildcard, or before the last."""
    first = next((n for n, part in enumerate(parts) if WILD.search(part)), len(parts) - 1)
    return parts[:first]


def _expanded(root: Path, parts: Sequence[str]) -> Iterator[Path]:
    """Yield what matches the parts of a pattern; those of the root are meant as they are."""
    first = len(fixed_parts(parts))
    start = root.joinpath(*parts[:first])
    if start.is_dir():
        yield from _matched(start, parts[first:], _above(start))


def _matched(folder: Path, patterns: Sequence[str], above: _Above) -> Iterator[Path]:
    """Yield what matches patterns below a folder, and broken links that may stand for folders."""
    head, rest = patterns[0], patterns[1:]
    crosses = head == "**"
    if crosses and not rest:
        yield from _tree(folder, above)
        return
    if not rest:
        yield from (folder / name for name in _names(folder, head))
        return
    if crosses:
        yield from _matched(folder, rest, above)
    for name in _names(folder, "*" if crosses else head):
        path = folder / name
        if path.is_dir():
            around = _around(path, above, is_up=name == "..")
            if around is not None:
                yield from _matched(path, patterns if crosses else rest, around)
        elif path.is_symlink() and not path.exists() and not (crosses and _is_known(name)):
            yield path


def _around(path: Path, above: _Above, *, is_up: bool) -> _Above | None:
    """Return the folders on the way to what is in a folder; None where it is one of them."""
    if is_up:
        return _above(path)
    own = _identity(path)
    return None if own in above else above | {own}


def _names(folder: Path, pattern: str) -> list[str]:
    if not WILD.search(pattern):
        return [pattern] if os.path.lexists(folder / pattern) else []
    shows_hidden = pattern.startswith(".")
    return sorted(
        name
        for name in os.listdir(folder)  # noqa: PTH208  names alone are needed
        if (shows_hidden or not name.startswith(".")) and fnmatch.fnmatchcase(name, pattern)
    )


def _above(folder: Path) -> _Above:
    return frozenset(_identity(part) for part in (folder, *folder.parents))


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def _is_known(name: str) -> bool:
    """Whether a name is that of a file, read or not: a folder is not called so."""
    meaning = named(name)
    return meaning.format is not None or bool(meaning.why_not)


def _is_named_like_a_shard(name: str) -> bool:
    meaning = named(name)
    return meaning.format is not None or meaning.compression is not None


def _relative(path: Path, root: Path) -> str:
    return str(path.relative_to(root)) if path.is_relative_to(root) else str(path)


# -- keys of an object store -----------------------------------------------------------------------


def is_hidden(inner: str) -> bool:
    """Whether a path below a folder, or a folder on the way to it, is hidden."""
    return any(part.startswith(".") for part in inner.split("/"))


def matches(key: str, pattern: str) -> bool:
    """Whether a key matches a pattern by the rules of local globs; ``**`` crosses folders."""
    return _matches(key.split("/"), pattern.split("/"))


def _matches(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    if not patterns:
        return not parts
    if patterns[0] == "**":
        if len(patterns) == 1:
            return bool(parts) and not any(part.startswith(".") for part in parts)
        if _matches(parts, patterns[1:]):
            return True
        return bool(parts) and not parts[0].startswith(".") and _matches(parts[1:], patterns)
    if not parts:
        return False
    is_hidden = parts[0].startswith(".") and not patterns[0].startswith(".")
    return (
        not is_hidden
        and fnmatch.fnmatchcase(parts[0], patterns[0])
        and _matches(parts[1:], patterns[1:])
    )
