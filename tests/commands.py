"""The commands of ``samplemix``, in a process of their own or in this one.

A process of its own takes seconds to start, and what is asked of a finished project needs none.
"""

import contextlib
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from unittest import mock

from samplemix_dagster import cli


def started(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder as a person does: in a process of its own."""
    command = [sys.executable, "-m", "samplemix_dagster.cli", *words]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)


def samplemix(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, in this process: what it writes, and the code it leaves with."""
    out, err = _file(), _file()
    code: Any = 0
    with (
        contextlib.chdir(root),
        mock.patch.object(sys, "argv", ["samplemix", *words]),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            cli.main()
        except SystemExit as error:
            code = error.code
    return subprocess.CompletedProcess(list(words), int(code or 0), _text(out), _text(err))


def answer(root: Path, *words: str) -> Any:
    """Return what a command answers with ``--json``, in this process."""
    return _value(samplemix(root, *words, "--json"))


def answer_of_started(root: Path, *words: str) -> Any:
    """Return what a command answers with ``--json``, in a process of its own."""
    return _value(started(root, *words, "--json"))


def _value(done: subprocess.CompletedProcess[str]) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def _file() -> io.TextIOWrapper:
    """Return a file as a program's stdout is one: text over bytes, and no terminal."""
    return io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True)


def _text(file: io.TextIOWrapper) -> str:
    file.flush()
    buffer = file.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()
