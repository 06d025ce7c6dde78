"""Files and folders that appear whole or not at all: written aside, synced, renamed."""

import contextlib
import errno
import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from samplemix_dagster.errors import LakeError
from samplemix_dagster.storage.corpus.home import appears_whole, beside, make_folder
from samplemix_dagster.storage.formats.base import Openable


@contextlib.contextmanager
def written_aside(target: Path) -> Iterator[Path]:
    """Yield a path beside a file; on leaving, it is synced and takes the file's name.

    Raises:
        LakeError: It could not be written.
    """
    try:
        make_folder(target.parent)
        with appears_whole(target) as aside:
            yield aside
            with aside.open("rb") as file:
                os.fsync(file.fileno())
    except OSError as error:
        raise LakeError(_explain(error, target)) from error


@contextlib.contextmanager
def filled(target: Path, marker: str, *, keeps: bool = True) -> Iterator[Path]:
    """Yield a folder beside a target; on leaving, it takes the target's name.

    Args:
        target: The folder that is to be.
        marker: The file without which it is not whole.
        keeps: Whether it is to be; else it is gone on leaving.

    Raises:
        LakeError: It could not be written, or nothing wrote the marker.
    """
    aside = beside(target)
    try:
        try:
            make_folder(aside)
        except OSError as error:
            raise LakeError(_explain(error, target)) from error
        yield aside
        if not (aside / marker).is_file():
            raise LakeError(f"{target}: nothing wrote {marker}")
        if not keeps:
            return
        try:
            aside.rename(target)
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise LakeError(_explain(error, target)) from error
            # Somebody else finished the same folder first: same name, same content. Without its
            # marker it is the rest of one, which nothing reads.
            if not (target / marker).is_file():
                _replace_folder(aside, target)
    finally:
        remove_folder(aside)


def _replace_folder(aside: Path, target: Path) -> None:
    """Put a whole folder in the place of what is left of one."""
    rest = aside.with_name(f"{aside.name}.rest")
    try:
        target.rename(rest)
        aside.rename(target)
    except OSError as error:
        raise LakeError(_explain(error, target)) from error
    finally:
        remove_folder(rest)


def remove_folder(folder: Path) -> None:
    """Remove a folder and what is in it; nothing happens when there is none."""
    import shutil

    shutil.rmtree(folder, ignore_errors=True)


def digest_file(path: Openable) -> str:
    """Return the 128-bit BLAKE2b digest of a file's bytes, read in blocks."""
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def os_error(error: Exception) -> OSError:
    """Return what the system said, which safetensors keeps in its sentence only."""
    found = re.search(r"os error (\d+)", str(error))
    code = int(found[1]) if found else errno.EIO
    return OSError(code, os.strerror(code) if found else str(error))


def _explain(error: OSError, target: Path) -> str:
    if error.errno == errno.ENOSPC:
        return f"the disk is full: {target} could not be written. Free space and run again."
    if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        return f"{target} may not be written ({error.strerror}): the lake needs write access."
    return f"{target} could not be written: {error.strerror or error}"
