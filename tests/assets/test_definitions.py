"""The definitions: what Dagster sees, and that its runs are the engine's."""

import datetime as dt
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest

from samplemix_dagster.definitions import build_defs
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.shards.working.maps import data_version
from samplemix_dagster.runs.plan.above import why_on_request
from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.runs.plan.planned import ON_REQUEST
from samplemix_dagster.stages.stepping.step import GROUPS
from samplemix_dagster.stages.stepping.steps import build_steps
from samplemix_dagster.wiring.names import PLAIN
from samplemix_dagster.wiring.run_tags import (
    BOOT_TAG,
    CONTAINER_TAG,
    MACHINE_TAG,
    PID_TAG,
    process_tags,
)
from samplemix_dagster.wiring.running.reaping import reap_dead_runs
from tests.engine.runs import run_stale
from tests.projects import (
    copy_project,
    finished_project,
    make_project,
    needs_encoder,
    open_project,
    read_settings,
    reference_folder,
    shard_rows,
    write_settings,
    write_shard,
)

pytestmark = needs_encoder
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("defs")
    return make_project(folder / "project", reference_folder())


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as found:
        yield found


@pytest.fixture(scope="module")
def project(root: Path) -> Project:
    return open_project(root)


@pytest.fixture(scope="module")
def definitions(project: Project) -> dg.Definitions:
    return build_defs(project, with_report=False)


@pytest.fixture(scope="module")
def finished(
    project: Project, definitions: dg.Definitions, instance: dg.DagsterInstance
) -> list[str]:
    """Everything run once; the assets that ran, in order."""
    repository = definitions.get_repository_def()
    report = run_stale(project, repository, instance, with_report=False, quiet=True)
    assert report.succeeded, report.failures
    return [entry["asset"] for entry in report.done]


def specs(definitions: dg.Definitions) -> list[dg.AssetSpec]:
    return list(definitions.resolve_all_asset_specs())


def test_every_asset_says_what_it_is_and_whose(definitions: dg.Definitions) -> None:
    for spec in specs(definitions):
        assert spec.description, spec.key
        assert spec.group_name in GROUPS, spec.key
        if spec.key.path[0] != "inputs":  # Dagster gives what is observed no owner and no kind
            assert spec.owners, spec.key
            assert spec.kinds, spec.key


def test_every_asset_sits_in_the_group_of_its_stage(
    project: Project, definitions: dg.Definitions
) -> None:
    groups = {spec.key: spec.group_name for spec in specs(definitions)}
    for step in build_steps(project):
        assert groups[PLAIN.key(step.asset)] == step.group


def test_loading_the_definitions_imports_no_model_library(root: Path) -> None:
    script = (
        "import sys\nfrom samplemix_dagster.definitions import defs\n"
        "definitions = defs() if callable(defs) else defs\n"
        "heavy = ['torch', 'transformers', 'sentence_transformers', 'hdbscan', 'umap', "
        "'sklearn', 'matplotlib']\n"
        "print('LOADED', [name for name in heavy if name in sys.modules])"
    )
    environment = {**os.environ, "SAMPLEMIX_CONFIG": str(root / "samplemix.yaml")}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.rstrip().endswith("LOADED []"), done.stdout[-300:] + done.stderr[-1500:]


def test_a_first_run_makes_every_asset_and_a_second_none(
    finished: list[str],
    project: Project,
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
) -> None:
    assert set(finished) == {step.asset for step in build_steps(project)}
    repository = definitions.get_repository_def()
    assert run_stale(project, repository, instance, with_report=False, quiet=True).done == []


def test_data_versions_are_those_of_the_addresses(
    finished: list[str], project: Project, instance: dg.DagsterInstance
) -> None:
    recipes = Recipes(project)
    for step in build_steps(project):
        for partition in project.partitions if step.is_partitioned else []:
            records = instance.fetch_materializations(
                dg.AssetRecordsFilter(
                    asset_key=PLAIN.key(step.asset), asset_partitions=[partition]
                ),
                limit=1,
            ).records
            tags = records[0].asset_materialization.tags or {}
            assert tags["dagster/data_version"] == data_version(recipes, step.stages, partition)


def test_every_check_ran_and_blocking_ones_hold(
    finished: list[str], definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    keys = list(definitions.resolve_asset_graph().asset_check_keys)
    summaries = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    assert set(summaries) == set(keys)
    blocking = {"every_row_is_accounted_for", "one_row_per_document", "ledger_adds_up"}
    for key, record in summaries.items():
        if key.name in blocking:
            assert record.status.value == "SUCCEEDED", key


def test_materialising_again_from_the_ui_computes_nothing_and_keeps_the_version(
    finished: list[str], project: Project, definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    job = definitions.resolve_implicit_global_asset_job_def()
    project.refresh()
    result = job.execute_in_process(
        instance=instance,
        partition_key="news",
        asset_selection=[dg.AssetKey("perplexity")],
        run_config=QUIET,
    )
    (event,) = result.get_asset_materialization_events()
    metadata = event.step_materialization_data.materialization.metadata
    assert metadata["documents_computed"].value == 0
    assert "everything was current" in str(metadata["why"].value)


def test_what_is_asked_for_alone_says_that_what_it_reads_is_stale(tmp_path: Path) -> None:
    root = copy_project(finished_project(), tmp_path / "project")
    settings = read_settings(root)
    settings["mixtures"]["default"]["budget_tokens"] = 7000
    write_settings(root, settings)
    planner = Planner(open_project(root))
    export = next(step for step in planner.steps if step.asset == "export/default")
    assert planner.task(export, "").why == ON_REQUEST
    words = why_on_request(planner, export)
    assert words.startswith("on request: as it was, though what it reads is stale (mixture/default")
    mixture = next(step for step in planner.steps if step.asset == "mixture/flat")
    assert why_on_request(planner, mixture) == ON_REQUEST


def test_a_source_that_is_missing_leaves_the_others_done(root: Path, tmp_path: Path) -> None:
    settings = read_settings(root)
    settings["corpus"]["sources"] = {
        "absent": {"path": "nowhere/*.jsonl"},
        "news": {"path": str(root / "data/news/*")},
    }
    write_settings(tmp_path, settings)
    broken = open_project(tmp_path)
    defs = build_defs(broken, with_report=False)
    with dg.instance_for_test() as instance:
        report = run_stale(
            broken, defs.get_repository_def(), instance, with_report=False, quiet=True
        )
    assert not report.succeeded
    assert any("nowhere/*.jsonl" in failure for failure in report.failures)
    done = {entry["asset"] for entry in report.done}
    assert {"raw_shards", "perplexity", "embeddings"} <= done
    assert broken.lake.names("shards") == {"news"}


def test_a_lost_row_fails_the_blocking_check_of_its_own_partition_only(
    root: Path, tmp_path: Path
) -> None:
    for source in ("news", "web"):
        write_shard(tmp_path, source, 0, shard_rows(source, 0))
    settings = read_settings(root)
    settings["corpus"]["sources"] = {name: {"path": f"data/{name}/*"} for name in ("news", "web")}
    write_settings(tmp_path, settings)
    broken = open_project(tmp_path)
    defs = build_defs(broken, with_report=False)
    job = defs.resolve_implicit_global_asset_job_def()
    selection = [dg.AssetKey("raw_shards")]
    with dg.instance_for_test() as instance:
        for name in ("news", "web"):
            first = job.execute_in_process(
                instance=instance, partition_key=name, asset_selection=selection, run_config=QUIET
            )
            assert all(check.passed for check in first.get_asset_check_evaluations()), name
        _lose_a_row(broken, "news")
        for name, holds in (("news", False), ("web", True)):
            again = job.execute_in_process(
                instance=instance,
                partition_key=name,
                asset_selection=selection,
                run_config=QUIET,
                raise_on_error=False,
            )
            found = {c.check_name: c.passed for c in again.get_asset_check_evaluations()}
            assert found["every_row_is_accounted_for"] is holds


def _lose_a_row(project: Project, partition: str) -> None:
    """Write a documents table that lacks its third row, as a bug would."""
    recipes = Recipes(project)
    (shard,) = project.shards(partition)
    key = recipes.feature_key(DOCUMENTS, shard)
    table = project.lake.read_table(key)
    keep = pa.array([row for row in range(table.num_rows) if row != 2])
    project.lake.path(key).unlink()
    project.lake.write_table(key, table.take(keep), DOCUMENTS.table, {})


def test_a_run_whose_process_is_gone_is_shown_as_failed() -> None:
    @dg.op
    def nothing() -> None: ...

    @dg.job
    def job() -> None:
        nothing()

    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    with dg.instance_for_test() as instance:
        tags = {**process_tags(), PID_TAG: str(gone.pid)}
        dead = instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.STARTED)
        alive = instance.create_run_for_job(
            job, tags=process_tags(), status=dg.DagsterRunStatus.STARTED
        )
        assert reap_dead_runs(instance) == [dead.run_id]
        assert instance.get_run_by_id(dead.run_id).status == dg.DagsterRunStatus.FAILURE
        assert instance.get_run_by_id(alive.run_id).status == dg.DagsterRunStatus.STARTED


@pytest.mark.parametrize(
    ("elsewhere", "is_reaped"),
    [
        ({CONTAINER_TAG: "pid:[7]"}, False),
        ({BOOT_TAG: "another", MACHINE_TAG: "another"}, False),
        ({BOOT_TAG: "of before a restart"}, True),
    ],
)
def test_a_run_in_another_container_or_machine_is_not_ours_to_report(
    elsewhere: dict[str, str], is_reaped: bool, definitions: dg.Definitions
) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    tags = {**process_tags(), PID_TAG: str(gone.pid), **elsewhere}
    job = definitions.resolve_job_def("score")
    with dg.instance_for_test() as instance:
        run = instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.STARTED)
        assert reap_dead_runs(instance) == ([run.run_id] if is_reaped else [])


def test_the_schedule_skips_when_all_is_current_and_asks_when_not(
    finished: list[str],
    root: Path,
    project: Project,
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
) -> None:
    schedule = definitions.resolve_schedule_def("nightly")
    moment = dt.datetime(2026, 1, 2, 2, tzinfo=dt.UTC)
    resources = {"project": definitions.resources["project"]}  # type: ignore[index]
    with dg.build_schedule_context(
        instance=instance,
        resources=resources,
        scheduled_execution_time=moment,
        repository_def=definitions.get_repository_def(),
    ) as context:
        data = schedule.evaluate_tick(context)
        assert (data.skip_message or "").startswith("Everything is current: default version ")
    new = write_shard(root, "news", 7, shard_rows("news", 7, 3))
    try:
        with dg.build_schedule_context(
            instance=instance, resources=resources, scheduled_execution_time=moment
        ) as context:
            data = schedule.evaluate_tick(context)
        assert len(data.run_requests or []) == 1
        assert Planner(open_project(root)).plan().by_asset()[0]["why"] == "1 new shard"
    finally:
        new.unlink()
        project.refresh()
