"""Where the demo finds text: the standard library and the installed packages."""

import ast
import csv
import functools
import importlib.metadata
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from samplemix_dagster.cli.start.corpora.demo_documents import luck

LARGEST_FILE_BYTES = 4_000_000


_OWN_NAME = "samplemix-dagster"
_NOT_LIBRARY = {"test", "tests", "idlelib", "turtledemo", "site-packages", "dist-packages"}
_GENERATED = {"encodings", "pydoc_data"}


def library_files(half: int | None) -> Iterator[tuple[Path, str]]:
    """Yield files of the standard library by hash.

    Docstrings come from one half and code from the other, so that the two do not repeat each other;
    without a half, what a program wrote is meant.
    """
    root = Path(sysconfig.get_paths()["stdlib"])
    names = (path.relative_to(root).as_posix() for path in root.rglob("*.py"))
    for name in sorted(names, key=luck):
        parts = set(name.split("/"))
        is_generated = bool(parts & _GENERATED)
        if parts & _NOT_LIBRARY or is_generated != (half is None):
            continue
        if half is None or int(luck(name)[-1], 16) % 2 == half:
            yield root / name, name


@functools.cache
def distributions() -> dict[str, importlib.metadata.Distribution]:
    """Installed packages by name, in the order of a hash of it; not this one."""
    found: dict[str, importlib.metadata.Distribution] = {}
    for item in importlib.metadata.distributions():
        name = str(item.metadata["Name"] or "").lower().replace("_", "-")
        if name and name != _OWN_NAME:
            found.setdefault(name, item)
    return {name: found[name] for name in sorted(found, key=luck)}


@functools.cache
def installed_files(name: str) -> list[tuple[str, int]]:
    """Path and size of each file of a package, from its own record, by hash of the path."""
    record = distributions()[name].read_text("RECORD") or ""
    rows = [row for row in csv.reader(record.splitlines()) if len(row) == 3 and ".." not in row[0]]
    return sorted(((row[0], int(row[2] or 0)) for row in rows), key=lambda place: luck(place[0]))


@functools.cache
def licence_of(name: str) -> str | None:
    """Return the licence that a package states; None where it states none."""
    metadata = distributions()[name].metadata.json
    stated = str(metadata.get("license_expression") or metadata.get("license") or "").strip()
    if stated and "\n" not in stated and len(stated) <= 60:
        return stated
    classifiers = [str(line) for line in metadata.get("classifier") or []]
    names = [line.rpartition("::")[2].strip() for line in classifiers if "License ::" in line]
    return names[0] if names else None


def parsed(path: Path) -> ast.Module | None:
    """Return a module's syntax; None where it is no Python."""
    text = text_of(path)
    try:
        return None if text is None else ast.parse(text)
    except (SyntaxError, ValueError):
        return None


def text_of(path: Path) -> str | None:
    """Return a file's text; None where it is gone, large or no UTF-8."""
    try:
        if path.stat().st_size > LARGEST_FILE_BYTES:
            return None
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return None
