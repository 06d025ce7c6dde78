"""A whole run on a Ray cluster of two machines gives the ledger of this process, whatever dies."""

import os
import signal
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from samplemix_dagster.runs.work.run import run_project
from tests import s3_faults
from tests.engine.changes import settings_changed
from tests.engine.runs import ledgers, run
from tests.projects import (
    make_project,
    needs_encoder,
    open_project,
    read_settings,
    reference_folder,
    write_settings,
)
from tests.s3_projects import corpus_bucket, on_s3

pytestmark = [
    needs_encoder,
    pytest.mark.slow,
    pytest.mark.skipif(
        find_spec("ray") is None,
        reason="Ray is not installed: pip install 'samplemix-dagster[ray]'",
    ),
]


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    return make_project(tmp_path / "fresh", reference_folder())


@pytest.fixture
def cluster() -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    from samplemix_dagster.engine.executors.ray_crew import stop_ray

    stop_ray()
    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    yield made
    stop_ray()
    made.shutdown()


def use_ray(root: Path, address: str) -> None:
    settings = read_settings(root)
    settings["compute"] |= {"executor": "ray", "address": address, "workers": 2}
    write_settings(root, settings)


def actor_processes() -> list[int]:
    """Return the worker processes that this process's clusters have, oldest first."""
    parents, names = {}, {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "stat").read_text().rpartition(")")[2].split()
                names[int(entry.name)] = (entry / "cmdline").read_bytes()
                parents[int(entry.name)] = int(words[1])
            except OSError:
                continue

    def is_ours(pid: int) -> bool:
        while pid > 1:
            if pid == os.getpid():
                return True
            pid = parents.get(pid, 0)
        return False

    return sorted(pid for pid in names if names[pid].startswith(b"ray::_Actor") and is_ours(pid))


def test_what_dies_in_the_middle_changes_no_byte_and_is_counted(
    cluster: Any, fresh: Path, finished: Path
) -> None:
    node = cluster.add_node(num_cpus=1)
    cluster.wait_for_nodes()
    use_ray(fresh, cluster.address)
    happened: list[str] = []

    def disturb(asset: str, partition: str, done: int, total: int) -> None:
        if asset == "perplexity" and done and "killed" not in happened:
            happened.append("killed")
            os.kill(actor_processes()[0], signal.SIGKILL)
        if asset == "embeddings" and done and "removed" not in happened:
            happened.append("removed")
            cluster.remove_node(node, allow_graceful=False)

    outcomes = run_project(open_project(fresh), disturb)
    assert happened == ["killed", "removed"]
    assert sum(outcome.facts.get("workers_lost", 0) for outcome in outcomes) == 2
    assert ledgers(fresh) == ledgers(finished)


def test_a_cluster_that_the_run_starts_gives_the_same_ledger(fresh: Path, finished: Path) -> None:
    from samplemix_dagster.engine.executors.ray_crew import stop_ray

    use_ray(fresh, "local")
    run(fresh)
    stop_ray()
    assert ledgers(fresh) == ledgers(finished)


def test_workers_read_shards_on_s3_themselves(
    tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from samplemix_dagster.engine.executors.ray_crew import stop_ray

    s3_faults.use_credentials(monkeypatch)
    with s3_faults.proxy_before(s3_faults.moto_server()) as proxy:
        root = on_s3(tmp_path / "project", corpus_bucket(proxy.url), proxy.url)
        use_ray(root, "local")
        run_project(open_project(root))
        stop_ray()
        assert ledgers(root) == ledgers(finished)


def test_processes_give_the_same_ledger(fresh: Path, finished: Path) -> None:
    settings_changed("compute", "executor", to="processes")(fresh)
    run(fresh)
    assert ledgers(fresh) == ledgers(finished)
