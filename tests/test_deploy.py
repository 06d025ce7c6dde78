"""The examples of a deployment are configuration that Dagster and Compose would take."""

import importlib
import importlib.util
import re
import runpy
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._config import process_config
from dagster._core.instance.config import dagster_instance_config

from tests.engine.test_lake_place import write

DEPLOY = Path(__file__).parent.parent / "examples" / "deploy"
LAUNCHERS = ("kubernetes.yaml", "ecs.yaml")


def read(name: str) -> dict[str, Any]:
    return dict(yaml.safe_load((DEPLOY / name).read_text(encoding="utf-8")))


@pytest.mark.parametrize("launcher", [None, *LAUNCHERS])
def test_dagster_takes_the_settings_of_the_instance(launcher: str | None, tmp_path: Path) -> None:
    settings = {**read("dagster.yaml"), **(read(launcher) if launcher else {})}
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(settings))
    found, _ = dagster_instance_config(str(tmp_path))
    assert set(found) >= set(settings)
    assert found["telemetry"] == {"enabled": False}


def test_dagster_refuses_settings_that_it_does_not_know(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump({**read("dagster.yaml"), "storages": {}}))
    with pytest.raises(dg.DagsterInvalidConfigError):
        dagster_instance_config(str(tmp_path))


def described(name: str) -> tuple[str, str, dict[str, Any]]:
    """Return (module, class, configuration) of what a file plugs into the instance."""
    if name == "dagster.yaml":
        config = read(name)["storage"]["postgres"]
        return "dagster_postgres", "DagsterPostgresStorage", config
    launcher = read(name)["run_launcher"]
    return launcher["module"], launcher["class"], launcher["config"]


@pytest.mark.parametrize("name", ["dagster.yaml", *LAUNCHERS])
def test_what_is_plugged_in_takes_its_configuration(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    module, kind, config = described(name)
    if importlib.util.find_spec(module.partition(".")[0]) is None:
        pytest.skip(f"{module} is not installed")
    for variable in ("HOST", "USER", "PASSWORD", "DB"):
        monkeypatch.setenv(f"DAGSTER_POSTGRES_{variable}", "dagster")
    schema = getattr(importlib.import_module(module), kind).config_type()
    result = process_config(dg.Field(dg.Shape(schema)).config_type, config)
    assert result.success, result.errors


def test_the_services_refer_to_each_other() -> None:
    compose = read("compose.yaml")
    services = compose["services"]
    assert set(services) == {"postgres", "code", "webserver", "daemon"}
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= set(services), name
        for volume in service.get("volumes", []):
            source = volume.partition(":")[0]
            assert source.startswith(".") or source in compose["volumes"], name
    assert services["code"]["environment"]["DAGSTER_POSTGRES_HOST"] in services
    (location,) = read("workspace.yaml")["load_from"]
    server = location["grpc_server"]
    assert server["host"] in services
    command = services[server["host"]]["command"]
    assert command[command.index("-p") + 1] == str(server["port"])


def test_dagster_yaml_reads_only_variables_that_the_services_have() -> None:
    named = set(re.findall(r"env: (\w+)", (DEPLOY / "dagster.yaml").read_text()))
    assert named
    for name in ("code", "webserver", "daemon"):
        assert named <= set(read("compose.yaml")["services"][name]["environment"]), name


def test_the_webserver_is_published_on_this_machine_only_and_nothing_else_is() -> None:
    services = read("compose.yaml")["services"]
    published = {name: service["ports"] for name, service in services.items() if "ports" in service}
    assert published == {"webserver": ["127.0.0.1:3000:3000"]}


def test_the_image_copies_what_there_is() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    assert any("dagster-postgres" in line and "sqlalchemy<2.1" in line for line in lines)
    copied = [word for line in lines if line.startswith("COPY") for word in line.split()[1:-1]]
    assert copied
    for path in copied:
        assert (DEPLOY.parent.parent / path).exists(), path


def test_the_definitions_load_with_the_teams_asset_behind_the_export(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CORPUS_CONFIG", str(write(tmp_path, "data/*.jsonl", ".samplemix/lake")))
    found = runpy.run_path(str(DEPLOY / "definitions.py"))["defs"]
    graph = found.get_repository_def().asset_graph
    export = dg.AssetKey(["corpus", "export", "default"])
    assert graph.get(dg.AssetKey("training_run")).parent_keys == {export}
    assert graph.get(export).is_materializable
