"""Workers that were lost and made up for are told by a run, by the asset, and are no loss."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from samplemix_dagster.definitions import build_defs
from samplemix_dagster.engine.executors.executor import Result, Unit
from samplemix_dagster.engine.executors.here import Here
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.shards.working import maps
from samplemix_dagster.wiring.assets.shown.told import LOST
from tests.engine.changes import add_a_shard
from tests.engine.runs import run_stale
from tests.projects import copy_project, finished_project, needs_encoder, open_project

pytestmark = needs_encoder
WORDS = "2 workers were lost; 1 shard was done again elsewhere, and nothing is missing"


class Unlucky(Here):
    """Loses workers over every map."""

    def map(self, work: Callable[[Unit], Result], units: Iterable[Unit]) -> Iterator[Result]:
        self.lost.workers, self.lost.repeated = 2, 1
        return super().map(work, units)


def unlucky(project: Project, device: str = "cpu") -> Unlucky:
    return Unlucky()


def test_a_run_tells_which_asset_lost_workers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = copy_project(finished_project(), tmp_path / "project")
    add_a_shard(root)
    monkeypatch.setattr(maps, "executor_of", unlucky)
    project = open_project(root)
    repository = build_defs(project, with_report=False).get_repository_def()
    with dg.instance_for_test() as instance:
        report = run_stale(project, repository, instance, with_report=False, quiet=True)
        records = instance.fetch_materializations(dg.AssetKey("perplexity"), limit=20).records
    assert report.succeeded
    lost = [warning for warning in report.warnings if warning["kind"] == "workers"]
    assert {"perplexity", "embeddings"} <= {entry["where"].split(" ")[0] for entry in lost}
    assert {entry["words"] for entry in lost} == {WORDS}
    told = [record.asset_materialization for record in records]
    assert WORDS in [one.metadata[LOST].value for one in told if one and LOST in one.metadata]
