"""What is behind the door, in one process group: webserver, daemon and code location.

``python -m samplemix_dagster.door.behind CONFIG SOCKET READY``, started by ``front.py``. The
webserver is Dagster's own application, in this process and behind ``middleware.py``: it has no port
of its own, so that nobody walks around the door. The code location answers on a unix socket.
Dagster's parts are used as ``dagster dev`` uses them.
"""

import contextlib
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from samplemix_dagster.door.front import READY
from samplemix_dagster.door.middleware import Application, Door
from samplemix_dagster.door.own_pages import OwnPages, lineage_pages
from samplemix_dagster.door.requests import Pass
from samplemix_dagster.errors import SampleMixError
from samplemix_dagster.show.terminal import say

_MODULE = "samplemix_dagster.definitions"
_LEVEL = "warning"
_STATEMENT_MS, _POOL_RECYCLE_SECONDS, _POOL_OVERFLOW = 15_000, 3600, 20
"""Of the instance's database, as ``dagster-webserver`` has them."""
_LIVE_DATA_MS = 2000
_CLOSE_SECONDS = 2
_CHILD_SECONDS = 8.0
_LOOK_SECONDS = 0.5


class Ended(threading.Event):
    """Set when all is to end, with the reason where that is a failure."""

    why = ""

    def because(self, why: str) -> None:
        """End, and say why."""
        if not self.is_set():
            self.why = why
        self.set()


def main(config: Path, listening: int, ready: int) -> int:
    """Serve until asked to stop or something fails; return the exit code."""
    ended = Ended()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    passed = _secret_of_the_front(ended)
    try:
        _serve(config, socket.socket(fileno=listening), ready, passed, ended)
    except SampleMixError as error:
        sys.stderr.write(f"samplemix: {error}\n")
        return error.exit_code
    if ended.why:
        sys.stderr.write(f"samplemix: {ended.why}\n")
        return 1
    return 0


def _secret_of_the_front(ended: Ended) -> Pass:
    """Return what the front wrote to the standard input; when that ends, the front has ended."""
    lines = os.fdopen(os.dup(0), "rb", buffering=0)
    passed = Pass(**json.loads(lines.readline()))
    # What is started here is not to read, or hold, the pipe.
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)

    def wait() -> None:
        while lines.read(64):
            pass
        ended.set()
        # Whatever is at work is killed with all the rest if it does not end by itself.
        time.sleep(_CHILD_SECONDS + _CLOSE_SECONDS + 2)
        os.killpg(0, signal.SIGKILL)

    threading.Thread(target=wait, daemon=True).start()
    return passed


def _serve(config: Path, listening: socket.socket, ready: int, passed: Pass, ended: Ended) -> None:
    from dagster import DagsterInstance
    from dagster._cli.proxy_server_manager import ProxyServerManager
    from dagster._core.workspace.load_target import ModuleTarget, WorkspaceFileTarget
    from dagster._utils.log import configure_loggers

    from samplemix_dagster.definitions import build_defs

    build_defs(config=config)  # an error in the project is told here, not in a web page
    configure_loggers(formatter="colored", log_level=_LEVEL.upper())
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    with contextlib.ExitStack() as stack:
        stack.callback(_end_the_others)
        instance = stack.enter_context(DagsterInstance.get())
        instance.optimize_for_webserver(_STATEMENT_MS, _POOL_RECYCLE_SECONDS, _POOL_OVERFLOW)
        target = ModuleTarget(_MODULE, None, str(Path.cwd()), None)
        code = stack.enter_context(ProxyServerManager(instance, target, _LEVEL))
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="samplemix-ui-")))
        file = folder / "workspace.yaml"
        file.write_text(yaml.safe_dump({"load_from": list(code.get_code_server_specs())}))
        if ended.is_set():
            return
        daemon = stack.enter_context(_daemon(file))
        app = stack.enter_context(_application(instance, WorkspaceFileTarget([str(file)]), ended))
        pages = OwnPages(app, lineage_pages(config))
        with _answering(Door(pages, passed), listening, ended):
            if not ended.is_set():
                os.write(ready, READY)
            while not ended.wait(_LOOK_SECONDS):
                if daemon.poll() is not None:
                    ended.because(
                        f"Dagster's daemon ended by itself (code {daemon.returncode}), and without "
                        "it schedules, sensors and queued runs stand still; start `samplemix ui` "
                        "again."
                    )


@contextlib.contextmanager
def _daemon(workspace: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """Run Dagster's daemon: it evaluates schedules and sensors, and starts queued runs."""
    tie, held = os.pipe()
    words = ["run", "--log-level", _LEVEL, "--code-server-log-level", _LEVEL]
    daemon = subprocess.Popen(
        [
            *(sys.executable, "-m", "samplemix_dagster.door.tied", str(tie), "dagster._daemon"),
            *words,
            *("--workspace", str(workspace)),
        ],
        pass_fds=(tie,),
    )
    os.close(tie)
    try:
        yield daemon
    finally:
        daemon.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            daemon.wait(_CHILD_SECONDS)
        os.close(held)


def _is_no_lost_location(record: logging.LogRecord) -> bool:
    return "Error loading repository location" not in record.getMessage()


@contextlib.contextmanager
def _application(instance: Any, target: Any, ended: Ended) -> Iterator[Application]:
    """Yield Dagster's web application, and say so when the code location is lost."""
    from dagster import __version__
    from dagster._core.remote_representation.grpc_server_state_subscriber import (
        LocationStateChangeEventType,
        LocationStateSubscriber,
    )
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster_webserver.app import create_app_from_workspace_process_context

    words = {
        LocationStateChangeEventType.LOCATION_DISCONNECTED: "has ended: nothing can be started or "
        "looked at closely without it; stop `samplemix ui` and start it again",
        LocationStateChangeEventType.LOCATION_RECONNECTED: "is there again",
    }
    logging.getLogger("dagster").addFilter(_is_no_lost_location)  # it is said below

    def note(event: Any) -> None:
        if event.event_type in words and not ended.is_set():
            say(f"The process with the project's definitions {words[event.event_type]}.")

    with WorkspaceProcessContext(
        instance, target, version=__version__, code_server_log_level=_LEVEL
    ) as context:
        context.add_state_subscriber(LocationStateSubscriber(note))
        yield create_app_from_workspace_process_context(context, "", _LIVE_DATA_MS)


@contextlib.contextmanager
def _answering(app: Application, listening: socket.socket, ended: Ended) -> Iterator[None]:
    """Answer on a socket, in a thread: this one waits for signals."""
    import uvicorn

    server = uvicorn.Server(
        uvicorn.Config(
            app,
            log_level=_LEVEL,
            access_log=False,  # it would hold the token
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=_CLOSE_SECONDS,
        )
    )

    def run() -> None:
        try:
            server.run(sockets=[listening])
        finally:
            if not ended.is_set():
                ended.because("the web server ended by itself; start `samplemix ui` again.")

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    while not server.started and not ended.is_set():
        time.sleep(0.02)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(_CLOSE_SECONDS + 2)


def _end_the_others() -> None:
    """Ask everything in this group to end: a run notes that it was stopped."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(0, signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
