"""A run's configuration names no other project and no other way to S3 than the project's own."""

from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from samplemix_dagster.definitions import build_defs
from samplemix_dagster.wiring.names import names_of
from tests.engine.test_lake_place import write
from tests.projects import open_project


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "project"
    made.mkdir()
    write(made, "data/*.jsonl", ".samplemix/lake")
    return made


def run(
    root: Path, resources: dict[str, Any], prefix: str | None = None
) -> dg.ExecuteInProcessResult:
    """Read the source in a run with this configuration of its resources."""
    definitions = build_defs(open_project(root), key_prefix=prefix, with_report=False)
    job = definitions.get_repository_def().get_implicit_global_asset_job_def()
    with dg.DagsterInstance.ephemeral() as instance:
        return job.execute_in_process(
            run_config={"resources": resources},
            instance=instance,
            partition_key="a",
            asset_selection=[names_of(prefix).key("raw_shards")],
            raise_on_error=False,
        )


def said(result: dg.ExecuteInProcessResult) -> str:
    data = [event.event_specific_data for event in result.all_events]
    errors = [one.error for one in data if getattr(one, "error", None) is not None]
    return " ".join(str(error.cause.message if error.cause else error.message) for error in errors)


def test_a_run_without_configuration_or_with_its_own_file_is_taken(root: Path) -> None:
    assert run(root, {}).success
    own = {"project": {"config": {"config_file": str(root / "samplemix.yaml")}}}
    assert run(root, own).success
    link = root.parent / "link"
    link.symlink_to(root)
    named = {"project": {"config": {"config_file": str(link / "samplemix.yaml")}}}
    assert run(root, named).success


@pytest.mark.parametrize("given", ["path", "variable"])
def test_another_project_file_is_refused(
    given: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = root.parent / "other"
    other.mkdir()
    file = str(write(other, "data/*.jsonl", ".samplemix/lake"))
    monkeypatch.setenv("OTHER_FILE", file)
    named = {"config_file": file if given == "path" else {"env": "OTHER_FILE"}}
    result = run(root, {"project": {"config": named}})
    assert not result.success
    assert "is not the project that runs here" in said(result)
    assert not (other / ".samplemix").exists()


@pytest.mark.parametrize("field", ["endpoint_url", "profile_name", "aws_access_key_id"])
def test_another_way_to_s3_is_refused(field: str, root: Path) -> None:
    with pytest.raises(dg.DagsterInvalidConfigError, match="unexpected config entr"):
        run(root, {"project": {"config": {"s3": {field: "http://evil.example"}}}})


def test_under_a_prefix_another_project_file_is_refused_too(root: Path) -> None:
    other = root.parent / "other"
    other.mkdir()
    file = str(write(other, "data/*.jsonl", ".samplemix/lake"))
    named = {"mine_project": {"config": {"config_file": file}}}
    result = run(root, named, prefix="mine")
    assert not result.success
    assert "is not the project that runs here" in said(result)
    assert not (other / ".samplemix").exists()
