"""The rules by which a file that differs may be taken: two looks, or a marker."""

from collections.abc import Callable

from samplemix_dagster.engine.watching.findings import GONE, File, Sighting
from samplemix_dagster.storage.corpus.places.files import Files

FOLDER_MARKER = "_SUCCESS"
_EARLY = 0.9
"""Ticks come a little early: two looks are apart when this share of the interval has passed."""

IsSettled = Callable[[str, File, Sighting | None], bool]


def two_looks(interval: float, now: float) -> IsSettled:
    """Return the rule: two looks, about an interval of seconds apart, saw the file the same."""

    def is_settled(path: str, file: File, last: Sighting | None) -> bool:
        del path
        return last is not None and last.file == file and now - last.since >= interval * _EARLY

    return is_settled


def with_marker(files: Files, ending: str) -> IsSettled:
    """Return the rule: a marker stands beside the file or in its folder, and is not older."""

    def is_settled(path: str, file: File, last: Sighting | None) -> bool:
        del last
        if file == GONE:
            return True
        markers = (path + ending, "/".join([*path.split("/")[:-1], FOLDER_MARKER]))
        return any(_is_as_new(files.look(marker), file) for marker in markers)

    return is_settled


def _is_as_new(marker: File | None, file: File) -> bool:
    """Whether a marker is there and was written after the file: an older one is of before.

    An ETag has no order, so on S3 a marker that is there is enough.
    """
    if marker is None:
        return False
    is_time = marker[1].isdigit() and file[1].isdigit()
    return not is_time or int(marker[1]) >= int(file[1])


def is_marker(path: str, ending: str) -> bool:
    """Whether a file is a marker."""
    name = path.rsplit("/", 1)[-1]
    return name == FOLDER_MARKER or (name.endswith(ending) and name != ending)
