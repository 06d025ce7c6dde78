"""The component: a project in a team's defs folder, loaded as Dagster loads it."""

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster.components.testing import create_defs_folder_sandbox

from samplemix_dagster.component import SampleMixComponent
from tests.engine.test_lake_place import write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "project"
    made.mkdir()
    write(made, "data/*.jsonl", ".samplemix/lake")
    return made


def loaded(attributes: dict[str, Any], root: Path | None = None) -> dg.Definitions:
    """Return what a ``defs.yaml`` of these attributes loads; a project's folder lies beside it."""
    body = {"type": "samplemix_dagster.SampleMixComponent", "attributes": attributes}
    with create_defs_folder_sandbox() as sandbox:
        path = sandbox.scaffold_component(
            component_cls=SampleMixComponent, defs_path="mixing", defs_yaml_contents=body
        )
        if root is not None:
            root.rename(path / "project")
        with sandbox.load_component_and_build_defs(path) as (component, definitions):
            assert isinstance(component, SampleMixComponent)
            return definitions


def test_a_few_lines_of_yaml_bring_a_project_under_a_prefix(root: Path) -> None:
    found = loaded(
        {
            "config": str(root / "samplemix.yaml"),
            "key_prefix": "data/mix",
            "group_prefix": "mix",
            "with_report": False,
        }
    )
    specs = {spec.key.to_user_string(): spec for spec in found.resolve_all_asset_specs()}
    assert specs["data/mix/mixture/default"].group_name == "mix_mixture"
    assert all(name.startswith("data/mix/") for name in specs)
    assert "data_mix_publish" in {job.name for job in found.get_repository_def().get_all_jobs()}


def test_a_relative_path_begins_at_the_folder_of_the_yaml(root: Path) -> None:
    found = loaded({"config": "project/samplemix.yaml", "with_report": False}, root)
    assert dg.AssetKey("raw_shards") in {spec.key for spec in found.resolve_all_asset_specs()}


def test_the_package_names_the_component_where_dg_looks_for_one() -> None:
    from dagster.components.core.package_entry import discover_package_objects
    from dagster_shared.serdes.objects import EnvRegistryKey

    project = tomllib.loads(Path("pyproject.toml").read_text())["project"]
    (module,) = project["entry-points"]["dagster_dg_cli.registry_modules"].values()
    found = discover_package_objects([module])
    assert found[EnvRegistryKey(module, "SampleMixComponent")] is SampleMixComponent


def test_importing_the_package_imports_neither_dagster_nor_numpy() -> None:
    line = "import samplemix_dagster, sys; print(sorted({'dagster', 'numpy'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", line], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
