"""A list of exports under Dagster: an asset each, with checks, and ids made once for all."""

from pathlib import Path

import dagster as dg

from samplemix_dagster.definitions import build_defs
from samplemix_dagster.runs.plan.plan import Planner
from tests.engine.changes import settings_changed
from tests.engine.runs import run_stale
from tests.projects import copy_project, finished_project, needs_encoder, open_project

pytestmark = needs_encoder
LISTED = [{"to": "megatron", "files": 1}, {"to": "jsonl.gz", "name": "texts"}]


def test_listed_exports_are_assets_with_a_check_that_held(tmp_path: Path) -> None:
    root = copy_project(finished_project(), tmp_path / "project")
    settings_changed("export", to=LISTED)(root)
    project = open_project(root)
    definitions = build_defs(project, with_report=False)
    keys = {dg.AssetKey(["export", "default", name]) for name in ("megatron", "texts")}
    with dg.instance_for_test() as instance:
        repository = definitions.get_repository_def()
        done = run_stale(project, repository, instance, with_report=False, quiet=True)
        assert done.succeeded, done.failures
        made = {entry["asset"] for entry in done.done}
        assert made == {
            "token_ids",
            *(
                f"export/{mix}/{name}"
                for mix in ("default", "flat")
                for name in ("megatron", "texts")
            ),
        }
        for key in keys:
            check = dg.AssetCheckKey(key, "export_matches_ledger")
            [record] = instance.event_log_storage.get_asset_check_execution_history(check, limit=1)
            assert record.status.value == "SUCCEEDED"
    assert not Planner(open_project(root)).plan().tasks
