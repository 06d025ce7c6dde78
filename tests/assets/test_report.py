"""The report's assets on a made-up lake: lineage, currency, publication, and how they fail."""

from collections.abc import Sequence
from pathlib import Path

import dagster as dg
import pytest
import yaml

from samplemix_dagster.engine.project import Project
from samplemix_dagster.storage.report.dbt_run import dbt_folder, report_models
from samplemix_dagster.storage.report.published import report_path, report_reason
from samplemix_dagster.wiring.assets.report import (
    build_report_assets,
    nearest,
    report_is_current,
    report_keys,
)
from samplemix_dagster.wiring.running.resources import ProjectResource, ProjectS3
from tests.fake_lake import MIXTURES, FakeLake, break_ledger, make_fake_lake, write_mixture

SUBSET = ["mixture_totals", "rejections_by_reason"]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One folder, so one home, for all projects here: dbt parses once."""
    return tmp_path_factory.mktemp("report")


def open_fake(root: Path, name: str) -> tuple[Project, FakeLake]:
    config = {
        "corpus": {"sources": {name: {"path": f"{name}/*.jsonl"} for name in ("books", "web")}},
        "mixtures": {name: {"budget_tokens": 100} for name in MIXTURES},
        "lake": f"{name}/lake",
    }
    path = root / f"{name}.yaml"
    path.write_text(yaml.safe_dump(config))
    project = Project.open(path)
    return project, make_fake_lake(project.lake.root)


@pytest.fixture(scope="module")
def assets(root: Path) -> dg.AssetsDefinition:
    return build_report_assets(open_fake(root, "graph")[0])


@pytest.fixture(scope="module")
def reported(
    root: Path, assets: dg.AssetsDefinition
) -> tuple[Project, FakeLake, dg.ExecuteInProcessResult]:
    project, fake = open_fake(root, "reported")
    assert report_reason(project.lake) == "first run"
    return project, fake, run(project, assets)


def run(
    project: Project, assets: dg.AssetsDefinition, models: Sequence[str] | None = None
) -> dg.ExecuteInProcessResult:
    return dg.materialize(
        [assets],
        selection=None if models is None else [dg.AssetKey([name]) for name in models],
        resources={
            "project": ProjectResource(
                config_file=str(project.config_path), s3=ProjectS3.of(project.config.s3)
            )
        },
        instance=dg.DagsterInstance.ephemeral(),
        raise_on_error=False,
    )


def message(result: dg.ExecuteInProcessResult) -> str:
    error = result.get_step_failure_events()[0].step_failure_data.error
    assert error is not None
    assert error.cause is not None
    return error.cause.message


def test_a_run_makes_the_report_current(
    reported: tuple[Project, FakeLake, dg.ExecuteInProcessResult],
) -> None:
    project, _, result = reported
    assert result.success
    assert report_is_current(project)
    assert not project.lake.path("reports/.building").exists()


def test_every_materialisation_has_rows_and_one_version(
    reported: tuple[Project, FakeLake, dg.ExecuteInProcessResult],
) -> None:
    project, _, result = reported
    made = [event.materialization for event in result.get_asset_materialization_events()]
    assert {item.asset_key for item in made} == set(report_keys(project))
    rows = {item.asset_key.path[-1]: item.metadata["dagster/row_count"].value for item in made}
    assert rows["mixture_totals"] == len(MIXTURES)
    assert rows["composition_by_source"] == 2 * len(MIXTURES)
    assert len({(item.tags or {})["dagster/data_version"] for item in made}) == 1
    assert {item.metadata["why"].value for item in made} == {"first run"}


def test_every_data_test_is_a_check_that_holds(
    reported: tuple[Project, FakeLake, dg.ExecuteInProcessResult], assets: dg.AssetsDefinition
) -> None:
    evaluations = reported[2].get_asset_check_evaluations()
    assert {item.check_name for item in evaluations} == {spec.name for spec in assets.check_specs}
    assert all(item.passed for item in evaluations)


def test_a_new_mixture_version_makes_it_stale(
    reported: tuple[Project, FakeLake, dg.ExecuteInProcessResult],
) -> None:
    project, fake, _ = reported
    write_mixture(fake, "default", "2")
    assert report_reason(project.lake) == "changed: mixture default"
    write_mixture(fake, "default", "1")
    assert report_is_current(project)


def test_a_file_that_is_gone_makes_it_stale(
    reported: tuple[Project, FakeLake, dg.ExecuteInProcessResult],
) -> None:
    project = reported[0]
    path = report_path(project.lake, "mixture_totals")
    path.rename(path.with_suffix(".gone"))
    assert report_reason(project.lake) == "missing: mixture_totals"
    path.with_suffix(".gone").rename(path)


def test_a_failing_data_test_fails_the_run_and_publishes_nothing(
    root: Path, assets: dg.AssetsDefinition
) -> None:
    project, fake = open_fake(root, "broken")
    project.lake.write_bytes("reports/mixture_totals.parquet", b"what was there before")
    break_ledger(fake, "default")
    result = run(project, assets, SUBSET)
    assert not result.success
    assert "add up to the mixture's realised tokens. 1 row breaks this." in message(result)
    assert not list(result.get_asset_materialization_events())
    failed = {item.check_name for item in result.get_asset_check_evaluations() if not item.passed}
    assert "mixture_totals_adds_up_to_the_mixture" in failed
    assert report_path(project.lake, "mixture_totals").read_bytes() == b"what was there before"


def test_some_models_are_published_alone_and_the_dbt_project_stays_as_it_is(
    root: Path, assets: dg.AssetsDefinition
) -> None:
    project, _ = open_fake(root, "subset")
    before = set(dbt_folder().rglob("*"))
    assert run(project, assets, SUBSET).success
    assert project.lake.names("reports") == {f"{name}.parquet" for name in SUBSET}
    assert not report_is_current(project)
    assert set(dbt_folder().rglob("*")) == before


def test_models_hang_on_the_assets_behind_their_views(assets: dg.AssetsDefinition) -> None:
    def upstream(model: str) -> set[str]:
        spec = assets.specs_by_key[dg.AssetKey([model])]
        return {dep.asset_key.to_user_string() for dep in spec.deps}

    mixtures = {f"mixture/{name}" for name in MIXTURES}
    assert upstream("mixture_totals") == mixtures
    assert upstream("composition_by_cluster") == mixtures
    assert upstream("composition_by_topic") == mixtures
    assert upstream("duplicate_documents") == {"document_scores", "corpus"}
    assert upstream("score_distribution") == {"document_scores"}


def test_an_edge_stays_from_above_a_partitioned_asset_whose_partition_may_go() -> None:
    above = {"mixture/a": {"scores", "corpus", "shards"}, "corpus": {"shards"}}
    assert nearest(["corpus", "mixture/a", "scores"], above) == ["mixture/a"]
    assert nearest(["corpus", "scores", "shards"], above) == ["corpus", "scores"]
    assert nearest(["scores", "shards"], above) == ["scores", "shards"]


def test_every_model_is_described_and_in_the_group(assets: dg.AssetsDefinition) -> None:
    assert {key.path[-1] for key in assets.keys} == set(report_models())
    for spec in assets.specs:
        assert spec.group_name == "report"
        assert spec.owners
        assert (spec.description or "").startswith("One row per ")
    for check in assets.check_specs:
        assert check.description
        assert check.blocking


def test_dbt_parses_only_when_its_files_change(root: Path, assets: dg.AssetsDefinition) -> None:
    project, _ = open_fake(root, "again")
    (manifest,) = (project.home / "dbt").glob("*/manifest.json")
    before = manifest.stat().st_mtime_ns
    build_report_assets(project)
    assert manifest.stat().st_mtime_ns == before
