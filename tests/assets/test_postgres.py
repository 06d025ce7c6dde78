"""A team's instance keeps everything in PostgreSQL: Debian's own is started for the test."""

import importlib.util
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from samplemix_dagster.definitions import DEVICE_POOL, build_defs
from samplemix_dagster.wiring.automation.staleness import look_and_note
from samplemix_dagster.wiring.jobs.parts import Choice
from samplemix_dagster.wiring.running.command_run import publish_here
from tests.engine.changes import add_a_shard
from tests.engine.runs import ledgers, run
from tests.projects import copy_project, finished_project, needs_encoder, open_project

PROGRAMS = max(Path("/usr/lib/postgresql").glob("*/bin/initdb"), default=Path("/none")).parent
USER = "nobody" if os.getuid() == 0 else None
"""PostgreSQL refuses to run as root."""
pytestmark = [
    needs_encoder,
    pytest.mark.slow,
    pytest.mark.skipif(not PROGRAMS.is_dir(), reason="PostgreSQL is not installed"),
    pytest.mark.skipif(
        importlib.util.find_spec("dagster_postgres") is None,
        reason="dagster-postgres is not installed",
    ),
]


def call(program: str, *words: str) -> None:
    command = [str(PROGRAMS / program), *words]
    done = subprocess.run(  # what it starts goes on, so nothing waits for its output
        command,
        check=False,
        user=USER,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        cwd="/tmp",
    )
    assert done.returncode == 0, command


def free_port() -> int:
    with socket.socket() as tried:
        tried.bind(("127.0.0.1", 0))
        return int(tried.getsockname()[1])


@pytest.fixture
def postgres() -> Iterator[str]:
    """The address of a database that nobody else has."""
    folder = Path(tempfile.mkdtemp(prefix="samplemix-pg-"))  # short: a socket lies there
    if USER:
        shutil.chown(folder, USER)
    data, port = str(folder / "data"), free_port()
    try:
        call("initdb", "-D", data, "-U", "dagster", "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-k {folder} -p {port} -c listen_addresses=127.0.0.1"
        call("pg_ctl", "-D", data, "-w", "-l", str(folder / "log"), "-o", options, "start")
        try:
            yield f"postgresql://dagster@127.0.0.1:{port}/postgres"
        finally:
            call("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def instance(postgres: str) -> Iterator[dg.DagsterInstance]:
    settings = {
        "storage": {"postgres": {"postgres_url": postgres}},
        "concurrency": {"pools": {"default_limit": 1}},
    }
    with dg.instance_for_test(overrides=settings) as found:
        yield found


def test_a_run_says_and_makes_there_what_it_does_elsewhere(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    root = copy_project(finished_project(), tmp_path / "project")
    beside = copy_project(finished_project(), tmp_path / "beside")
    add_a_shard(root)
    add_a_shard(beside)
    run(beside)
    project = open_project(root)
    repository = build_defs(project, with_report=False).get_repository_def()
    report = publish_here(
        project, repository, instance, Choice(), on_event=lambda _: None, quiet=True
    )
    assert report.succeeded, report.failures
    assert ledgers(root) == ledgers(beside)
    assert look_and_note(open_project(root), instance, repository).in_words == (
        "everything is current"
    )
    pool = instance.event_log_storage.get_concurrency_info(DEVICE_POOL)
    assert (pool.limit, pool.claimed_slots, pool.pending_steps) == (1, [], [])
