"""Hooks: what is sent, when, how often, and that no secret and no failure of theirs gets out."""

import http.server
import json
import logging
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from samplemix_dagster.config.project import Config
from samplemix_dagster.engine.project import Project
from samplemix_dagster.errors import ConfigError
from samplemix_dagster.runs.hooks import hooks
from samplemix_dagster.runs.hooks.hooks import tell_failure, tell_new_version
from samplemix_dagster.stages.mixture.published.publishing import Publication
from tests.projects import base_settings, write_settings

SECRET = "s3cr3t-t0ken"
VERSION = "b" * 24
REPORT = {
    "budget_tokens": 100,
    "realised_tokens": 98,
    "num_documents_drawn": 7,
    "num_draws": 8,
    "mean_quality": 0.6,
    "mean_diversity": 0.5,
}


class Receiver:
    """A server on this machine that keeps each body and answers as it is told, in order."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.answers: list[int] = []
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                size = int(self.headers["Content-Length"])
                receiver.bodies.append(json.loads(self.rfile.read(size)))
                receiver.paths.append(self.path)
                code = receiver.answers.pop(0) if receiver.answers else 200
                self.send_response(code)
                if code == 302:
                    self.send_header("Location", "/elsewhere")
                self.end_headers()

            def log_message(self, *args: object) -> None:
                del args

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.server_address[1]}/hook/{SECRET}"

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()
    yield found
    found.close()


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hooks, "_WAIT_SECONDS", 0.0)


def project_with(root: Path, hook: dict[str, Any]) -> Project:
    settings = base_settings(root / "reference")
    settings["hooks"] = {"failure": hook, "new_version": hook}
    project = Project(Config.model_validate(settings), root)
    project.lake.replace_json(
        f"mixtures/default/{VERSION}/manifest.json", {"version": VERSION, "report": REPORT}
    )
    project.lake.replace_json("mixtures/default/current.json", {"version": VERSION})
    return project


def test_a_failure_is_told_with_what_failed_and_what_stays_current(
    tmp_path: Path, receiver: Receiver
) -> None:
    project = project_with(tmp_path, {"webhook": receiver.url})
    assert tell_failure(project, ["mixture/default: broken"], ["run-1"], "publish") == []
    (body,) = receiver.bodies
    assert body["event"] == "failure"
    assert body["project"] == tmp_path.name
    assert body["failures"] == ["mixture/default: broken"]
    assert body["run_ids"] == ["run-1"]
    assert body["where"] == "publish"
    assert body["current_versions"] == {"default": VERSION, "flat": None}


def test_a_new_version_is_told_with_its_numbers(tmp_path: Path, receiver: Receiver) -> None:
    project = project_with(tmp_path, {"webhook": receiver.url})
    made = Publication(mixture="default", version=VERSION, previous="a" * 24)
    assert tell_new_version(project, made, ["run-1"]) == []
    (body,) = receiver.bodies
    assert body["event"] == "new_version"
    assert (body["mixture"], body["version"]) == ("default", VERSION)
    assert body["previous_version"] == "a" * 24
    assert {name: body[name] for name in REPORT} == REPORT


def test_a_url_comes_from_the_environment(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_HOOK", receiver.url)
    assert tell_failure(project_with(tmp_path, {"webhook": "env:MY_HOOK"}), ["x"]) == []
    assert receiver.paths == [f"/hook/{SECRET}"]
    monkeypatch.delenv("MY_HOOK")
    (problem,) = tell_failure(project_with(tmp_path, {"webhook": "env:MY_HOOK"}), ["x"])
    assert "the environment has no MY_HOOK" in problem


@pytest.mark.parametrize(
    ("answers", "calls", "problem"),
    [
        ([503, 500, 200], 3, None),
        ([503, 503, 503, 200], 3, "answered 503"),
        ([429, 200], 2, None),
        ([404, 200], 1, "answered 404"),
        ([302, 200], 1, "answered 302"),
    ],
)
def test_a_webhook_is_tried_again_only_where_that_can_help(
    tmp_path: Path, receiver: Receiver, answers: list[int], calls: int, problem: str | None
) -> None:
    receiver.answers = answers
    found = tell_failure(project_with(tmp_path, {"webhook": receiver.url}), ["x"])
    assert len(receiver.bodies) == calls
    assert found == ([] if problem is None else [f"hooks.failure: the webhook {problem}"])


@pytest.mark.parametrize(
    "webhook",
    [
        f"http://127.0.0.1:1/{SECRET}",
        f"http://[bad/{SECRET}",
        f"http://no.such.host.invalid/{SECRET}",
        f"http://127.0.0.1:notaport/{SECRET}",
        f"http://127.0.0.1:1/with space {SECRET}",
    ],
)
def test_a_hook_that_fails_is_a_sentence_without_the_url(tmp_path: Path, webhook: str) -> None:
    (problem,) = tell_failure(project_with(tmp_path, {"webhook": webhook, "timeout": 2}), ["x"])
    assert problem.startswith("hooks.failure: the webhook ")
    assert SECRET not in problem
    assert "127.0.0.1" not in problem


def test_no_log_says_the_url_and_nothing_is_printed(
    tmp_path: Path,
    receiver: Receiver,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    receiver.answers = [503, 503, 503]
    with caplog.at_level(logging.DEBUG):
        assert tell_failure(project_with(tmp_path, {"webhook": receiver.url}), ["x"])
    assert len(receiver.bodies) == 3
    assert SECRET not in caplog.text
    assert "".join(capfd.readouterr()) == ""


@pytest.mark.parametrize("url", [f"ftp://host/{SECRET}", f"file:///etc/{SECRET}", SECRET])
def test_only_http_is_called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("MY_HOOK", url)
    (problem,) = tell_failure(project_with(tmp_path, {"webhook": "env:MY_HOOK"}), ["x"])
    assert "neither http:// nor https://" in problem
    assert SECRET not in problem


@pytest.mark.parametrize(
    "hook", [{"webhook": f"ftp://{SECRET}"}, {"command": []}, {"command": "  "}]
)
def test_a_hook_that_cannot_be_called_is_refused_without_its_url(
    tmp_path: Path, hook: dict[str, Any]
) -> None:
    settings = base_settings(tmp_path)
    settings["hooks"] = {"failure": hook}
    write_settings(tmp_path, settings)
    with pytest.raises(ConfigError, match=r"samplemix\.yaml:\d+: hooks\.failure") as error:
        Project.open(tmp_path / "samplemix.yaml")
    assert SECRET not in str(error.value)


def test_a_command_gets_the_body_on_its_input_without_a_shell(tmp_path: Path) -> None:
    script = "import sys, pathlib; pathlib.Path(sys.argv[1]).write_text(sys.stdin.read())"
    command = [sys.executable, "-c", script, "out;$(touch hacked).json"]
    assert tell_failure(project_with(tmp_path, {"command": command}), ["broken: ü"]) == []
    body = json.loads((tmp_path / "out;$(touch hacked).json").read_text())
    assert body["failures"] == ["broken: ü"]
    assert not (tmp_path / "hacked").exists()


def test_a_command_line_is_split_as_a_shell_splits_words(tmp_path: Path) -> None:
    script = tmp_path / "my hook.py"
    script.write_text("import sys, pathlib; pathlib.Path('told').write_text(sys.argv[1])")
    command = f"'{sys.executable}' '{script}' 'two words'"
    assert tell_failure(project_with(tmp_path, {"command": command}), ["x"]) == []
    assert (tmp_path / "told").read_text() == "two words"


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ([sys.executable, "-c", "raise SystemExit(3)"], "the command ended with 3"),
        (["no-such-program-anywhere"], "could not be started (FileNotFoundError)"),
        ([sys.executable, "-c", "import time; time.sleep(30)"], "longer than 1 s"),
        ("'unfinished", "could not be started (ValueError)"),
    ],
)
def test_a_command_that_fails_is_a_sentence(
    tmp_path: Path, command: str | list[str], problem: str
) -> None:
    (found,) = tell_failure(project_with(tmp_path, {"command": command, "timeout": 1}), ["x"])
    assert found.startswith("hooks.failure: ")
    assert problem in found


def test_both_are_called_and_one_does_not_hold_back_the_other(
    tmp_path: Path, receiver: Receiver
) -> None:
    hook = {"webhook": receiver.url, "command": ["no-such-program-anywhere"]}
    assert len(tell_failure(project_with(tmp_path, hook), ["x"])) == 1
    assert len(receiver.bodies) == 1


def test_without_hooks_nothing_is_called(tmp_path: Path) -> None:
    project = Project(Config.model_validate(base_settings(tmp_path)), tmp_path)
    assert tell_failure(project, ["x"]) == []
