"""Who is at work on a project, on this machine: locks that end with the process that holds them.

Runs share a claim, however many there are; who removes files claims it alone, and never waits. A
run that begins while files are removed waits, and not for ever. Correctness never depends on a
claim: another machine does not see it, and there the hour of grace stands in
(``runs/upkeep/garbage.py``).
"""

import contextlib
import fcntl
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.errors import LakeError
from samplemix_dagster.storage.corpus.home import make_folder

RUN = "run"
"""The claim of runs, and of who removes files."""
WAIT_SECONDS = 600.0
_LOOK_SECONDS = 0.1
_TOLD_AFTER_SECONDS = 0.5
"""Another run that begins holds it alone for a moment, to see whether it is alone."""


def _ignore(sentence: str) -> None:
    del sentence


@contextlib.contextmanager
def claimed(home: Path, name: str) -> Iterator[bool]:
    """Claim something alone: True when nobody else holds or shares it. Nothing is waited for."""
    with _opened(home, name) as file:
        yield _taken(file, fcntl.LOCK_EX)


@contextlib.contextmanager
def shared(
    home: Path,
    name: str = RUN,
    tell: Callable[[str], None] = _ignore,
    wait_seconds: float = WAIT_SECONDS,
) -> Iterator[None]:
    """Share a claim with others that share it, once nobody holds it alone.

    Args:
        home: The project's ``.samplemix``.
        name: What is claimed.
        tell: Told in a sentence who else is there.
        wait_seconds: How long it is waited for somebody who holds it alone.

    Raises:
        LakeError: It is held alone for longer than that.
    """
    with _opened(home, name) as file:
        is_alone = _taken(file, fcntl.LOCK_EX)
        began, is_told = time.monotonic(), False
        while not _taken(file, fcntl.LOCK_SH):
            waited = time.monotonic() - began
            if waited > _TOLD_AFTER_SECONDS and not is_told:
                tell("Garbage is being collected; the run begins after it.")
                is_told = True
            if waited > wait_seconds:
                raise LakeError(
                    f"garbage is being collected for more than {wait_seconds:,.0f} s: end that "
                    "`samplemix gc`, or wait for it, and run again."
                )
            time.sleep(_LOOK_SECONDS)
        if not is_alone and not is_told:
            tell("Another run is at work on this project; both will end with the same bytes.")
        yield


@contextlib.contextmanager
def _opened(home: Path, name: str) -> Iterator[IO[str]]:
    path = home / "claims" / f"{fingerprint(name)}.lock"
    with contextlib.ExitStack() as stack:
        try:
            make_folder(path.parent)
            file = stack.enter_context(path.open("a", encoding="utf-8"))
        except OSError as error:
            raise LakeError(
                f"{path} cannot be written ({error.strerror}): who is at work is noted there."
            ) from error
        yield file


def _taken(file: IO[str], kind: int) -> bool:
    """Whether a lock could be taken, or changed to another kind."""
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
