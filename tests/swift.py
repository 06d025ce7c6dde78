"""OpenStack Swift with its S3 interface: an S3 server that shares no code with moto.

On Debian: ``apt-get install swift-proxy swift-account swift-container swift-object``. It runs in a
folder of its own with one device, and keeps nothing.
"""

import atexit
import functools
import getpass
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from tests.s3_faults import ACCESS_KEY, SECRET_KEY

_PARTS = ("account", "container", "object")
_PROXY = """\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {folder}
[pipeline:main]
pipeline = catch_errors gatekeeper cache s3api tempauth bulk slo dlo versioned_writes proxy-server
[app:proxy-server]
use = egg:swift#proxy
account_autocreate = true
[filter:tempauth]
use = egg:swift#tempauth
user_{account}_{name} = {secret} .admin
[filter:s3api]
use = egg:swift#s3api
location = us-east-1
[filter:cache]
use = egg:swift#memcache
memcache_servers = 127.0.0.1:9
"""
_PLAIN = ("catch_errors", "gatekeeper", "bulk", "slo", "dlo", "versioned_writes")
_STORE = """\
[DEFAULT]
bind_ip = 127.0.0.1
bind_port = {port}
workers = 0
user = {user}
swift_dir = {folder}
devices = {folder}
mount_check = false
disable_fallocate = true
[pipeline:main]
pipeline = {part}-server
[app:{part}-server]
use = egg:swift#{part}
[{part}-replicator]
[{part}-auditor]
[{part}-updater]
"""


@functools.cache
def swift_server() -> str:
    """Return the URL of a Swift of our own; the test is skipped where Swift is not installed."""
    programs = [f"swift-{part}-server" for part in (*_PARTS, "proxy")]
    if not all(shutil.which(program) for program in (*programs, "swift-ring-builder")):
        pytest.skip("Swift is not installed: `apt-get install swift-proxy swift-object ...`")
    folder = Path(tempfile.mkdtemp(prefix="samplemix-swift-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "device").mkdir()
    user = getpass.getuser()
    ports = {part: _free_port() for part in (*_PARTS, "proxy")}
    account, _, name = ACCESS_KEY.partition(":")
    text = _PROXY.format(
        port=ports["proxy"], user=user, folder=folder, account=account, name=name, secret=SECRET_KEY
    )
    filters = "".join(f"[filter:{plain}]\nuse = egg:swift#{plain}\n" for plain in _PLAIN)
    (folder / "proxy.conf").write_text(text + filters)
    for part in _PARTS:
        store = _STORE.format(port=ports[part], user=user, folder=folder, part=part)
        (folder / f"{part}.conf").write_text(store)
        _make_ring(folder, part, ports[part])
    # The proxy leaves a store alone for a minute when it did not answer at once.
    for part in (*_PARTS, "proxy"):
        _start(folder, part)
        _wait_for(ports[part], folder)
    return f"http://127.0.0.1:{ports['proxy']}"


def _make_ring(folder: Path, part: str, port: int) -> None:
    builder = str(folder / f"{part}.builder")
    for words in (
        ("create", "4", "1", "0"),
        ("add", f"r1z1-127.0.0.1:{port}/device", "1"),
        ("rebalance",),
    ):
        # An exit of 1 is a warning: one device is no safe place.
        done = subprocess.run(
            ["swift-ring-builder", builder, *words], capture_output=True, check=False
        )
        assert done.returncode < 2, done.stdout.decode() + done.stderr.decode()


def _start(folder: Path, part: str) -> None:
    with (folder / f"{part}.log").open("wb") as log:
        running = subprocess.Popen(
            [f"swift-{part}-server", str(folder / f"{part}.conf"), "--verbose"],
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    atexit.register(running.wait)
    atexit.register(running.send_signal, signal.SIGTERM)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _wait_for(port: int, folder: Path) -> None:
    for _ in range(300):
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    logs = "\n".join(path.read_text() for path in folder.glob("*.log"))
    pytest.fail(f"Swift does not start:\n{logs[-4000:]}")
