"""Runs that began in a process and have not ended: a note each, seen without Dagster.

A run that is killed after its last table was written leaves nothing to do, and Dagster shows it as
running for ever. Its note is how the next command knows that somebody must be told.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from samplemix_dagster.storage.corpus.home import make_folder

_FOLDER = "unfinished"


@contextlib.contextmanager
def noted(home: Path) -> Iterator[None]:
    """Keep a note for as long as a run of this process lasts; it outlives a process that is killed.

    Args:
        home: The project's ``.samplemix``.
    """
    note = make_folder(home / _FOLDER) / str(os.getpid())
    note.touch()
    try:
        yield
    finally:
        note.unlink(missing_ok=True)


def abandoned(home: Path) -> list[Path]:
    """Return the notes of processes that are gone."""
    folder = home / _FOLDER
    notes = sorted(folder.iterdir()) if folder.is_dir() else []
    return [note for note in notes if not (note.name.isdigit() and _is_alive(int(note.name)))]


def forget(notes: list[Path]) -> None:
    """Remove notes, once their runs are told."""
    for note in notes:
        note.unlink(missing_ok=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
