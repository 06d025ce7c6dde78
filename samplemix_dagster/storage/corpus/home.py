"""The folder beside a project's file for what is neither the user's nor the lake's.

Everything below it can be made again and some of it is large, so it says itself that no version
control takes it. That is written when the folder is first made and never again: whoever removes it
means it.
"""

import contextlib
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

HOME = ".samplemix"
_IGNORED = "*\n"


def make_folder(folder: Path) -> Path:
    """Make a folder, and the project's home on the way to it with its ``.gitignore``.

    Raises:
        OSError: It cannot be made.
    """
    home = next((place for place in (folder, *folder.parents) if place.name == HOME), None)
    if home is not None and not home.exists():
        home.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):  # another process was first
            home.mkdir()
            (home / ".gitignore").write_text(_IGNORED, encoding="utf-8")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def beside(place: Path) -> Path:
    """Return a path beside a file or folder, of which no other process knows."""
    return place.with_name(f".{place.name}.{uuid.uuid4().hex[:12]}")


def left_beside(place: Path) -> list[Path]:
    """Return what processes keep beside a file or folder, or kept when they were killed."""
    name = re.compile(rf"(?:\.spill-)?\.{re.escape(place.name)}\.[0-9a-f]{{12}}")
    with contextlib.suppress(OSError):
        return sorted(one for one in place.parent.iterdir() if name.fullmatch(one.name))
    return []


@contextlib.contextmanager
def appears_whole(file: Path) -> Iterator[Path]:
    """Yield a path beside a file, of which no other process knows; on leaving it takes its name.

    Of several processes that write one file, the last one's is there. It is not synced: what has
    to outlive a power cut is written by :mod:`samplemix_dagster.storage.lake.whole_files`.
    """
    aside = beside(file)
    try:
        yield aside
        aside.replace(file)
    finally:
        aside.unlink(missing_ok=True)


def write_note(file: Path, text: str) -> None:
    """Write a file of a project's home, and the folders on the way to it; it appears whole.

    Raises:
        OSError: It cannot be written.
    """
    make_folder(file.parent)
    with appears_whole(file) as aside:
        aside.write_text(text, encoding="utf-8")
