"""Who is at work on a project, on this machine: locks that end with the process that holds them.

Runs share a claim, however many there are; who removes files claims it alone, and never waits. A
run that begins while files are removed waits, and not for ever. Correctness never depends on a
claim: another machine does not see it, and there the hour of grace stands in
(``runs/upkeep/garbage.py``).

A claim is a folder. Whoever shares it holds a file of its own there; whoever claims it alone holds
the gate, and a run holds the gate for the moment in which it begins.
"""

import contextlib
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.errors import LakeError
from samplemix_dagster.storage.corpus.home import make_folder

RUN = "run"
"""The claim of runs, and of who removes files."""
WAIT_SECONDS = 600.0
_TOLD_AFTER_SECONDS = 0.5
"""Another run that begins holds the gate for a moment."""
_GATE, _HOLDER = "gate", ".holder"


def _ignore(sentence: str) -> None:
    del sentence


@contextlib.contextmanager
def claimed(home: Path, name: str) -> Iterator[bool]:
    """Claim something alone: True when nobody else holds or shares it. Nothing is waited for."""
    folder = _folder(home, name)
    gate = _lock(folder / _GATE)
    is_held = _taken(gate, 0.0)
    try:
        yield is_held and not _is_shared(folder)
    finally:
        gate.release()


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
    folder = _folder(home, name)
    own = _lock(folder / f"{uuid.uuid4().hex}{_HOLDER}")
    with _through(_lock(folder / _GATE), tell, wait_seconds):
        is_alone = not _is_shared(folder)
        _taken(own, 0.0)
    try:
        if not is_alone:
            tell("Another run is at work on this project; both will end with the same bytes.")
        yield
    finally:
        own.release()
        _forget(own)


@contextlib.contextmanager
def _through(gate: FileLock, tell: Callable[[str], None], wait_seconds: float) -> Iterator[None]:
    """Hold the gate once nobody else does."""
    if not _taken(gate, min(_TOLD_AFTER_SECONDS, wait_seconds)):
        tell("Garbage is being collected; the run begins after it.")
        if not _taken(gate, max(0.0, wait_seconds - _TOLD_AFTER_SECONDS)):
            raise LakeError(
                f"garbage is being collected for more than {wait_seconds:,.0f} s: end that "
                "`samplemix gc`, or wait for it, and run again."
            )
    try:
        yield
    finally:
        gate.release()


def _is_shared(folder: Path) -> bool:
    """Whether somebody holds a file of their own; asked behind the gate, where nobody begins."""
    held = False
    for path in folder.glob(f"*{_HOLDER}"):
        lock = _lock(path)
        if _taken(lock, 0.0):  # its holder was killed
            lock.release()
            _forget(lock)
        else:
            held = True
    return held


def _folder(home: Path, name: str) -> Path:
    folder = home / "claims" / fingerprint(name)
    try:
        make_folder(folder)
    except OSError as error:
        raise _unwritable(folder, error) from error
    return folder


def _lock(path: Path) -> FileLock:
    # Dagster may begin and end a run's resources on different threads. A marker file, which
    # filelock falls back to, would outlive its process.
    return FileLock(path, thread_local=False, fallback_to_soft=False)


def _taken(lock: FileLock, wait_seconds: float) -> bool:
    try:
        lock.acquire(timeout=wait_seconds)
    except Timeout:
        return False
    except OSError as error:
        raise _unwritable(Path(lock.lock_file), error) from error
    return True


def _forget(lock: FileLock) -> None:
    """Remove the file of a holder; where somebody just looks at it, who comes next will."""
    with contextlib.suppress(OSError):
        Path(lock.lock_file).unlink()


def _unwritable(path: Path, error: OSError) -> LakeError:
    return LakeError(f"{path} cannot be locked ({error.strerror}): who is at work is noted there.")
