"""The folder beside a project's file for what is neither the user's nor the lake's.

Everything below it can be made again and some of it is large, so it says itself that no version
control takes it. That is written when the folder is first made and never again: whoever removes it
means it.
"""

import contextlib
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
