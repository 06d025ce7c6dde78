"""The process of ``samplemix ui`` itself: it takes the port, starts what is behind, and ends it.

What is behind (``behind.py``) runs in a session and process group of its own, so that all of it can
be ended at once. It gets the socket, the token through its standard input, and ends by itself when
that input ends: then this process is gone, by whatever signal.
"""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType

from samplemix_dagster.door.requests import Pass
from samplemix_dagster.errors import ConfigError, SampleMixError
from samplemix_dagster.show.terminal import say

HOST = "127.0.0.1"
READY = b"ready\n"
_TERM_SECONDS = 20.0
"""How long what is behind may take to end before it is killed: runs note that they were stopped."""
_LOOK_SECONDS = 0.1


def take_port(port: int) -> socket.socket:
    """Return a socket that listens on this machine only; port 0 takes a free one.

    Raises:
        SampleMixError: The port is taken, or this user may not take it.
        ConfigError: There is no such port.
    """
    if not 0 <= port <= 65_535:
        raise ConfigError(f"--port {port}: a port is from 1 to 65535, or 0 for a free one.")
    found = socket.socket()
    try:
        # Else a port stays taken for a minute after its last connection.
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((HOST, port))
        found.listen(128)
    except OSError as error:
        found.close()
        if isinstance(error, PermissionError):
            raise SampleMixError(
                f"port {port} may not be taken by this user; choose one above 1023."
            ) from None
        raise SampleMixError(
            f"port {port} is taken ({error.strerror}), perhaps by another `samplemix ui` or by "
            "another program: end that, or take a free port with `--port 0`."
        ) from None
    return found


def serve(config: Path, environment: Mapping[str, str], folder: Path, port: int) -> int:
    """Serve the UI until it is stopped; return the exit code.

    Args:
        config: The project's file.
        environment: The environment of what is behind.
        folder: The folder it works in.
        port: The port to listen on; 0 for a free one.
    """
    with take_port(port) as listening, _asked_to_stop() as stopped:
        passed = Pass(port=int(listening.getsockname()[1]))
        with _started(config, environment, folder, listening, passed) as (behind, ready):
            try:
                return _watch(behind, ready, passed, stopped)
            finally:
                end_group(behind)


def _watch(behind: "subprocess.Popen[bytes]", ready: int, passed: Pass, stopped: list[int]) -> int:
    """Say where the UI is once it answers; return when it ended or was asked to."""
    is_told = False
    while not stopped:
        code = behind.poll()
        if code is not None:
            if code <= 0:  # nobody asked it to end; what it says itself, it has said
                say(f"The web server ended by itself (code {code}); start `samplemix ui` again.")
            return code if code > 0 else 1
        if not is_told and _is_ready(ready):
            say(f"The UI is at {passed.address_with_token} (Ctrl-C stops it).")
            is_told = True
        time.sleep(_LOOK_SECONDS)
    return 0


def _is_ready(pipe: int) -> bool:
    try:
        return os.read(pipe, len(READY)) == READY
    except BlockingIOError:
        return False


@contextlib.contextmanager
def _asked_to_stop() -> Iterator[list[int]]:
    """Yield a list that gets each signal that asks to stop.

    SIGINT is taken even where a shell starts its background jobs with it ignored; SIGHUP is left
    ignored where somebody ignores it on purpose (``nohup``).
    """
    asked: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        del frame
        asked.append(number)

    before = {}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            before[number] = signal.signal(number, note)
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _started(
    config: Path,
    environment: Mapping[str, str],
    folder: Path,
    listening: socket.socket,
    passed: Pass,
) -> Iterator[tuple["subprocess.Popen[bytes]", int]]:
    """Start what is behind; yield it, and a pipe on which it says that it answers."""
    ready, says_ready = os.pipe()
    os.set_blocking(ready, False)
    command = [sys.executable, "-m", "samplemix_dagster.door.behind", str(config)]
    try:
        behind = subprocess.Popen(
            [*command, str(listening.fileno()), str(says_ready)],
            stdin=subprocess.PIPE,
            env=dict(environment),
            cwd=folder,
            pass_fds=(listening.fileno(), says_ready),
            start_new_session=True,
        )
        os.close(says_ready)
        secret = {"port": passed.port, "token": passed.token, "session": passed.session}
        assert behind.stdin is not None  # noqa: S101  it is a pipe
        behind.stdin.write(json.dumps(secret).encode() + b"\n")
        behind.stdin.flush()
        yield behind, ready
    finally:
        os.close(ready)


def end_group(behind: "subprocess.Popen[bytes]") -> None:
    """End what is behind and all that it started: gently, then by KILL."""
    until = time.monotonic() + _TERM_SECONDS
    behind.send_signal(signal.SIGTERM)
    if behind.poll() is not None:  # then it does not pass the word on
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(behind.pid, signal.SIGTERM)
    while time.monotonic() < until and _group_is_there(behind.pid):
        behind.poll()
        time.sleep(_LOOK_SECONDS)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(behind.pid, signal.SIGKILL)
    behind.wait()


def _group_is_there(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # macOS says so of a group of zombies
        return False
    return True
