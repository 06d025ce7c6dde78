"""S3 servers for tests, and a proxy before one that fails as it is told.

The servers are real ones of this machine: moto's, and, where Debian's packages of it are installed,
OpenStack Swift with its S3 interface (``tests/swift.py``). The proxy passes every request on but
those that a fault catches, and notes all of them.
"""

import atexit
import functools
import http.client
import re
import socket
import struct
import threading
import urllib.parse
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from samplemix_dagster.config.around import S3
from samplemix_dagster.storage.s3.bucket import Connection

ACCESS_KEY = "test:tester"
SECRET_KEY = "testing-3f1c"
_HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive", "date", "server"}


@dataclass
class Fault:
    """What goes wrong with the next requests of a kind."""

    method: str
    target: str
    """A regular expression that a part of path and query must match."""
    times: int = 1
    status: int = 0
    """Answer with this status, and do not ask the server."""
    code: str = ""
    message: str = "as told"
    cut_answer: int = -1
    """End the connection after so many bytes of the answer's body."""
    is_reset: bool = False
    """Reset it rather: what the client has not read by then is lost too."""
    cut_request: int = -1
    """Break the connection after so many bytes of the request's body were read."""


@dataclass
class Noted:
    """One request as the proxy saw it."""

    method: str
    target: str
    num_bytes: int = 0
    """Bytes of the answer's body that were sent on."""


@dataclass
class Proxy:
    """A proxy before an S3 server: the faults to come, and the requests so far."""

    url: str
    faults: list[Fault] = field(default_factory=list)
    requests: list[Noted] = field(default_factory=list)

    def next_fault(self, method: str, target: str) -> Fault | None:
        for fault in self.faults:
            if fault.times and method == fault.method and re.search(fault.target, target):
                fault.times -= 1
                return fault
        return None

    def count(self, method: str, target: str = "") -> int:
        """How many requests of a kind came."""
        found = [one for one in self.requests if one.method == method]
        return sum(1 for one in found if re.search(target, one.target))

    @property
    def num_bytes(self) -> int:
        """Bytes of bodies that were sent to the client."""
        return sum(one.num_bytes for one in self.requests)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that the client drops in the middle of a range is no news."""


@contextmanager
def proxy_before(server: str) -> Iterator[Proxy]:  # noqa: C901 - a handler and its server
    """Run a proxy before a server."""
    upstream = urllib.parse.urlsplit(server)
    made = Proxy(url="")
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
            pass

        def _break(self, *, is_reset: bool = True) -> None:
            self.close_connection = True
            if is_reset:
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            else:
                self.connection.shutdown(socket.SHUT_RDWR)
            self.connection.close()

        def _serve(self) -> None:
            with lock:
                noted = Noted(self.command, self.path)
                made.requests.append(noted)
                fault = made.next_fault(self.command, self.path)
            length = int(self.headers.get("Content-Length", 0))
            if fault and fault.cut_request >= 0:
                self.rfile.read(min(length, fault.cut_request))
                self._break()
                return
            body = self.rfile.read(length)
            if fault and fault.status:
                self._answer_fault(fault)
                return
            self._pass_on(body, noted, fault)

        def _answer_fault(self, fault: Fault) -> None:
            said = f"<Code>{fault.code}</Code><Message>{fault.message}</Message>"
            content = f"<Error>{said}</Error>".encode()
            self.send_response(fault.status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def _pass_on(self, body: bytes, noted: Noted, fault: Fault | None) -> None:
            link = http.client.HTTPConnection(upstream.hostname or "", upstream.port, timeout=60)
            headers = {k: v for k, v in self.headers.items() if k.lower() != "expect"}
            link.request(self.command, self.path, body=body, headers=headers)
            answer = link.getresponse()
            content = answer.read()
            link.close()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in _HOP_BY_HOP | {"content-length"}:
                    self.send_header(name, value)
            length = answer.getheader("Content-Length") if self.command == "HEAD" else None
            self.send_header("Content-Length", length or str(len(content)))
            self.end_headers()
            if fault and fault.cut_answer >= 0:
                self.wfile.write(content[: fault.cut_answer])
                self.wfile.flush()
                noted.num_bytes += len(content[: fault.cut_answer])
                self._break(is_reset=fault.is_reset)
                return
            for start in range(0, len(content), 1 << 16):
                self.wfile.write(content[start : start + (1 << 16)])
                noted.num_bytes += len(content[start : start + (1 << 16)])

        do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _serve

    running = _Server(("127.0.0.1", 0), Handler)
    made.url = f"http://127.0.0.1:{running.server_address[1]}"
    threading.Thread(target=running.serve_forever, daemon=True).start()
    try:
        yield made
    finally:
        running.shutdown()
        running.server_close()


@functools.cache
def moto_server() -> str:
    """Return the URL of moto's server, started once; the test is skipped where there is none."""
    pytest.importorskip("moto.server", reason="moto is not installed: `pip install moto[s3] flask`")
    from moto.moto_server.threaded_moto_server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    atexit.register(server.stop)
    host, port = server.get_host_and_port()
    return f"http://{host}:{port}"


def use_credentials(patch: pytest.MonkeyPatch) -> None:
    """Give this process and its children credentials, and no other settings of S3."""
    for name in ("AWS_PROFILE", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_SESSION_TOKEN"):
        patch.delenv(name, raising=False)
    patch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    patch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    patch.setenv("AWS_CONFIG_FILE", "/nowhere/config")
    patch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere/credentials")
    patch.setenv("AWS_EC2_METADATA_DISABLED", "true")


def connect(url: str, max_attempts: int = 4) -> Connection:
    """Return a connection to a server."""
    return Connection(S3(endpoint=url, region="us-east-1", max_attempts=max_attempts))


def new_bucket(url: str) -> str:
    """Make a bucket that nobody else uses; return its name."""
    name = f"samplemix-{uuid.uuid4().hex[:12]}"
    connect(url).client.create_bucket(Bucket=name)
    return name
