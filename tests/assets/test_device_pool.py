"""The device's pool: what runs a model goes one after the other where a limit is set."""

import subprocess
import sys
import threading
import time
from pathlib import Path

import dagster as dg
import pytest
import yaml

from samplemix_dagster.cli.session import _EARLIER, _settings, dagster_home
from samplemix_dagster.definitions import DEVICE_POOL, build_defs
from samplemix_dagster.stages.stepping.steps import build_steps
from samplemix_dagster.wiring.run_tags import PID_TAG, process_tags
from samplemix_dagster.wiring.running import reaping
from samplemix_dagster.wiring.running.reaping import reap_dead_runs, reaping_meanwhile
from tests.engine.changes import settings_changed
from tests.engine.runs import run_stale
from tests.projects import copy_project, finished_project, needs_encoder, open_project

pytestmark = needs_encoder
LIMITED = {"concurrency": {"pools": {"default_limit": 1}}}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return copy_project(finished_project(), tmp_path / "project")


def pools(definitions: dg.Definitions) -> dict[str, str]:
    """The pool of each asset that has one."""
    graph = definitions.get_repository_def().asset_graph
    return {
        "/".join(node.key.path): pool for node in graph.asset_nodes for pool in (node.pools or ())
    }


def test_what_runs_a_model_is_in_the_pool_and_nothing_else(root: Path) -> None:
    settings_changed("references", "own", to={"bootstrap": {"tokens": 2000}})(root)
    project = open_project(root)
    models = {"perplexity", "embeddings", "reference_model/own"}
    assert {step.asset for step in build_steps(project) if step.uses_device} == models
    assert pools(build_defs(project, with_report=False)) == dict.fromkeys(models, DEVICE_POOL)
    under = build_defs(project, key_prefix="team", with_report=False)
    assert set(pools(under).values()) == {DEVICE_POOL}
    assert pools(build_defs(project, with_report=False, pool="mine")) == dict.fromkeys(
        models, "mine"
    )
    assert not pools(build_defs(project, with_report=False, pool=None))


def run(root: Path, instance: dg.DagsterInstance) -> None:
    project = open_project(root)
    repository = build_defs(project, with_report=False).get_repository_def()
    report = run_stale(project, repository, instance, with_report=False, quiet=True)
    assert report.succeeded, report.failures


def test_a_run_waits_for_another_that_has_the_device(root: Path) -> None:
    settings_changed("encoder", "max_tokens", to=24)(root)
    with dg.instance_for_test(overrides=LIMITED) as instance:
        storage = instance.event_log_storage
        storage.initialize_concurrency_limit_to_default(DEVICE_POOL)
        assert storage.claim_concurrency_slot(DEVICE_POOL, "another", "embeddings").is_claimed
        thread = threading.Thread(target=run, args=(root, instance))
        thread.start()
        until = time.monotonic() + 60
        while not storage.get_concurrency_info(DEVICE_POOL).pending_steps:
            assert time.monotonic() < until
            time.sleep(0.1)
        thread.join(2)
        assert thread.is_alive()
        storage.free_concurrency_slots_for_run("another")
        thread.join(300)  # a busy machine takes long over the run itself
        assert not thread.is_alive()
        assert not storage.get_concurrency_info(DEVICE_POOL).claimed_slots


def test_without_a_limit_nothing_waits(root: Path) -> None:
    settings_changed("encoder", "max_tokens", to=24)(root)
    with dg.instance_for_test() as instance:
        run(root, instance)
        assert not instance.event_log_storage.get_concurrency_keys()


def dead_run(instance: dg.DagsterInstance) -> str:
    """A run whose process is gone, with the device still in its hands."""

    @dg.job
    def job() -> None: ...

    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    tags = {**process_tags(), PID_TAG: str(gone.pid)}
    dead = instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.STARTED)
    storage = instance.event_log_storage
    storage.initialize_concurrency_limit_to_default(DEVICE_POOL)
    assert storage.claim_concurrency_slot(DEVICE_POOL, dead.run_id, "embeddings").is_claimed
    return dead.run_id


def test_a_killed_run_gives_the_device_back_when_it_is_noticed() -> None:
    with dg.instance_for_test(overrides=LIMITED) as instance:
        dead = dead_run(instance)
        assert reap_dead_runs(instance) == [dead]
        assert not instance.event_log_storage.get_concurrency_info(DEVICE_POOL).claimed_slots


def test_it_is_noticed_while_a_command_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reaping, "_REAP_SECONDS", 0.05)
    with dg.instance_for_test(overrides=LIMITED) as instance:
        dead_run(instance)
        with reaping_meanwhile(instance):
            until = time.monotonic() + 30
            storage = instance.event_log_storage
            while storage.get_concurrency_info(DEVICE_POOL).claimed_slots:
                assert time.monotonic() < until
                time.sleep(0.05)


# -- the instance's settings -----------------------------------------------------------------------


def test_a_new_instance_has_the_limit(root: Path) -> None:
    settings = yaml.safe_load((dagster_home(open_project(root)) / "dagster.yaml").read_text())
    assert settings["concurrency"] == {
        "runs": {"max_concurrent_runs": 1},
        "pools": {"default_limit": 1},
    }


@pytest.mark.parametrize("text", _EARLIER)
def test_settings_that_nobody_touched_are_brought_up_to_date(root: Path, text: str) -> None:
    path = dagster_home(open_project(root)) / "dagster.yaml"
    path.write_text(text)
    dagster_home(open_project(root))
    assert path.read_text() == _settings()


def test_settings_that_a_person_changed_stay(root: Path) -> None:
    path = dagster_home(open_project(root)) / "dagster.yaml"
    mine = _EARLIER[0].replace("max_concurrent_runs: 1", "max_concurrent_runs: 2")
    path.write_text(mine)
    dagster_home(open_project(root))
    assert path.read_text() == mine
