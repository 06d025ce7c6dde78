"""``samplemix ui`` for real: what it lets in, what a run may name, and that it leaves nothing."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from samplemix_dagster.door.front import take_port
from samplemix_dagster.errors import ConfigError
from tests.door.open_ui import Ui, answers, of_group, open_ui, output, start
from tests.engine.test_lake_place import write

LAUNCH = (
    "mutation($given: ExecutionParams!) { launchRun(executionParams: $given) "
    "{ __typename ... on LaunchRunSuccess { run { runId } } } }"
)
STATUS = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("ui") / "project"
    made.mkdir()
    write(made, "data/*.jsonl", ".samplemix/lake")
    return made


@pytest.fixture(scope="module")
def opened(root: Path) -> Iterator[Ui]:
    found = open_ui(root)
    yield found
    found.end()


@pytest.fixture
def ui(root: Path) -> Iterator[Ui]:
    found = open_ui(root)
    yield found
    found.end()


def launch(
    ui: Ui, job: str, run_config: object, assets: list[dict[str, object]] | None = None
) -> dict[str, object]:
    selector: dict[str, object] = {
        "repositoryName": "__repository__",
        "repositoryLocationName": "samplemix_dagster.definitions",
        "jobName": job,
    }
    if assets:
        selector["assetSelection"] = assets
    given = {"selector": selector, "runConfigData": run_config}
    return dict(ui.graphql(LAUNCH, {"given": given})["launchRun"])


def test_a_page_of_somebody_else_starts_nothing_and_one_of_its_own_does(opened: Ui) -> None:
    mutation = json.dumps(
        {
            "query": 'mutation { logTelemetry(action: "x", clientTime: "0", '
            'clientId: "x", metadata: "") { __typename } }'
        }
    ).encode()
    assert opened.ask("GET", "/graphql?query=%7Bversion%7D")[0] == 401
    assert opened.ask("GET", f"/?token={opened.token[:-1]}")[0] == 401
    assert opened.ask("GET", "/", Host="evil.example")[0] == 403
    known = {"Authorization": f"Bearer {opened.token}"}
    kind = "application/json"
    assert opened.ask("POST", "/graphql", mutation, Content_Type="text/plain", **known)[0] == 415
    evil = {"Origin": "http://evil.example", "Content_Type": kind}
    assert opened.ask("POST", "/graphql", mutation, **evil, **known)[0] == 403
    assert opened.ask("GET", "/graphql?query=mutation%7Ba%7D", **known)[0] == 405
    assert "version" in opened.graphql("{ version }")
    status, headers, text = opened.ask("GET", "/assets", **known)
    assert (status, headers["x-frame-options"]) == (200, "DENY")
    assert text.startswith("<!DOCTYPE html>")


def test_a_run_takes_no_other_project_file(opened: Ui, root: Path) -> None:
    other = root.parent / "downloads"
    other.mkdir()
    sign = other / "done by a web page"
    hook = {"failure": {"command": ["touch", str(sign)]}}
    write(other, "nothing/*", ".samplemix/lake", hooks=hook)
    named = {"resources": {"project": {"config": {"config_file": str(other / "samplemix.yaml")}}}}
    assert "run" not in launch(opened, "score", named)  # a job takes its own settings alone
    run_id = launch(opened, "__ASSET_JOB", named, [{"path": ["corpus"]}])["run"]
    status = ""
    for _ in range(240):
        status = str(opened.graphql(STATUS, {"id": run_id["runId"]})["runOrError"]["status"])  # type: ignore[index]
        if status in {"FAILURE", "SUCCESS"}:
            break
        time.sleep(0.25)
    assert status == "FAILURE"
    assert not sign.exists()
    assert not (other / ".samplemix").exists()


def test_a_taken_port_is_said_with_the_way_out(opened: Ui, root: Path) -> None:
    config = str(root / "samplemix.yaml")
    command = [sys.executable, "-m", "samplemix_dagster.cli", "ui", "--config", config]
    done = subprocess.run(
        [*command, "--port", str(opened.port)],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert f"port {opened.port} is taken" in done.stderr
    assert "--port 0" in done.stderr
    assert "The UI is at" not in done.stderr


@pytest.mark.parametrize("port", [-1, 65_536, 70_000])
def test_a_wrong_port_is_said(port: int) -> None:
    with pytest.raises(ConfigError, match="from 1 to 65535"):
        take_port(port)


def test_its_token_is_in_no_file_and_no_command_line(opened: Ui, root: Path) -> None:
    shown = output("ps", "-eo", "args=")
    assert opened.token not in shown
    opened.ask("GET", f"/?token={opened.token}")
    files = [path for path in root.rglob("*") if path.is_file() and path.name != "ui.log"]
    assert [path for path in files if opened.token.encode() in path.read_bytes()] == []


def test_behind_it_no_other_port_is_open(opened: Ui) -> None:
    listening = Path("/proc/net/tcp").read_text()
    inodes = {line.split()[9] for line in listening.splitlines()[1:] if line.split()[3] == "0A"}
    held = set()
    for pid in (opened.process.pid, *of_group(opened.group)):
        for link in Path(f"/proc/{pid}/fd").iterdir():
            target = str(link.readlink()) if link.is_symlink() else ""
            held |= {target[8:-1]} & inodes if target.startswith("socket:[") else set()
    assert len(held) == 1


def test_term_ends_it_and_all_that_it_started(opened: Ui) -> None:
    assert opened.is_left()
    assert opened.stop(signal.SIGTERM) == 0
    assert not opened.is_left()
    assert not answers(opened.port)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 0), (signal.SIGHUP, 0), (signal.SIGKILL, -9)]
)
def test_no_way_to_end_it_leaves_a_process(number: int, code: int, ui: Ui) -> None:
    assert ui.stop(number) == code
    assert not ui.is_left()
    assert not answers(ui.port)


@pytest.mark.slow
def test_a_daemon_that_ends_is_said_and_ends_it(ui: Ui) -> None:
    [daemon] = [
        pid
        for pid in of_group(ui.group)
        if b"door.tied" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    os.kill(daemon, signal.SIGKILL)
    assert ui.process.wait(60) == 1
    assert "daemon ended by itself" in ui.log.read_text()
    assert not ui.is_left()


@pytest.mark.slow
def test_a_web_server_that_is_killed_is_said_and_nothing_is_left(ui: Ui) -> None:
    os.kill(ui.group, signal.SIGKILL)
    assert ui.process.wait(60) == 1
    assert "web server ended by itself (code -9)" in ui.log.read_text()
    assert not ui.is_left()


@pytest.mark.slow
def test_a_code_location_that_ends_is_said(ui: Ui) -> None:
    for pid in of_group(ui.group):
        if b"\0grpc\0" in Path(f"/proc/{pid}/cmdline").read_bytes():
            os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + 60
    while time.monotonic() < until and "has ended" not in ui.log.read_text():
        time.sleep(0.2)
    assert "process with the project's definitions has ended" in ui.log.read_text()


@pytest.mark.slow
def test_what_is_behind_and_fails_to_start_says_why(root: Path) -> None:
    broken = root.parent / "broken"
    broken.mkdir()
    write(broken, "data/*.jsonl", ".samplemix/lake", diversity={"metrics": {"x": "nothing:Here"}})
    process = start(broken, "--port", "0")
    assert process.wait(60) in {1, 2}
    assert "nothing" in (broken / "ui.log").read_text()


def test_port_0_is_free_and_every_other_is_tried_as_it_is() -> None:
    with take_port(0) as found, socket.socket() as tried:
        assert tried.connect_ex(found.getsockname()) == 0
