"""``samplemix ui`` as a process of its own, asked over real sockets."""

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

START_SECONDS, END_SECONDS = 90.0, 30.0
IN_BACKGROUND = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); "
    "os.execv(sys.executable, [sys.executable, '-m', 'samplemix_dagster.cli', *sys.argv[1:]])"
)
"""What a shell without job control does to a background job: SIGINT is ignored from its start."""


@dataclass
class Ui:
    """A running UI: its process, the group behind it, and what it printed."""

    process: "subprocess.Popen[str]"
    log: Path
    port: int
    token: str
    group: int

    def ask(
        self, method: str, path: str, body: bytes | None = None, **headers: str
    ) -> tuple[int, dict[str, str], str]:
        """Send one request with exactly these headers (``_`` stands for ``-``) beside Host."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, sent)
        answer = connection.getresponse()
        text = answer.read().decode()
        connection.close()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, text

    def graphql(self, query: str, variables: Any = None) -> dict[str, Any]:
        """Post an operation as the UI's own pages do, with the cookie."""
        _, headers, _ = self.ask("GET", f"/?token={self.token}")
        _, _, text = self.ask(
            "POST",
            "/graphql",
            json.dumps({"query": query, "variables": variables}).encode(),
            Cookie=headers["set-cookie"].partition(";")[0],
            Content_Type="application/json",
            Origin=f"http://127.0.0.1:{self.port}",
        )
        return dict(json.loads(text)["data"])

    def stop(self, number: int) -> int:
        """Send a signal to the process; return its exit code when nothing is left."""
        self.process.send_signal(number)
        code = self.process.wait(END_SECONDS)
        until = time.monotonic() + END_SECONDS
        while self.is_left() and time.monotonic() < until:
            time.sleep(0.1)
        return code

    def is_left(self) -> bool:
        """Whether a process behind it is still there."""
        return bool(of_group(self.group))

    def end(self) -> None:
        """End everything, whatever the test did."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.is_left():
            os.killpg(self.group, signal.SIGKILL)


def output(*command: str) -> str:
    """Return what a command prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def of_group(group: int) -> list[int]:
    """Return the processes of a group that are no zombies."""
    rows = [line.split() for line in output("ps", "-eo", "pid=,pgid=,stat=").splitlines()]
    return [int(pid) for pid, of, state in rows if int(of) == group and "Z" not in state]


def start(root: Path, *words: str) -> "subprocess.Popen[str]":
    """Start the command as a background job of a script; what it says goes to a file."""
    config = str(root / "samplemix.yaml")
    command = [sys.executable, "-c", IN_BACKGROUND, "ui", "--config", config, *words]
    with (root / "ui.log").open("w") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, text=True)


def open_ui(root: Path) -> Ui:
    """Start it on a free port and wait until it says that it answers."""
    process, log = start(root, "--port", "0"), root / "ui.log"
    until = time.monotonic() + START_SECONDS
    while time.monotonic() < until and process.poll() is None:
        found = re.search(r"http://127\.0\.0\.1:(\d+)/\?token=(\S+)", log.read_text())
        if found:
            group = int(output("ps", "-o", "pid=", "--ppid", str(process.pid)).split()[0])
            return Ui(process, log, int(found[1]), found[2], group)
        time.sleep(0.1)
    process.kill()
    raise AssertionError(log.read_text())


def answers(port: int) -> bool:
    """Whether somebody listens on a port of this machine."""
    with socket.socket() as tried:
        return tried.connect_ex(("127.0.0.1", port)) == 0
