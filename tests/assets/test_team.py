"""Two projects and a team's own definitions in one code location, each under its own names."""

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from samplemix_dagster.cli.session import run_in_instance
from samplemix_dagster.definitions import build_defs
from samplemix_dagster.errors import ConfigError
from samplemix_dagster.stages.mixture.published.mixture_manifest import read_traced
from samplemix_dagster.wiring.assets.mixture import inputs_markdown
from samplemix_dagster.wiring.jobs.parts import Choice
from samplemix_dagster.wiring.names import Belongings, names_of
from tests.engine.changes import turn_a_dial
from tests.engine.runs import run_stale, version
from tests.engine.test_publishing import lose_a_document
from tests.projects import (
    copy_project,
    finished_project,
    make_project,
    needs_encoder,
    open_project,
    read_settings,
    reference_folder,
    write_settings,
)

pytestmark = needs_encoder

_TEAM = """
import dagster as dg
from samplemix_dagster.definitions import build_defs

@dg.asset(deps=[dg.AssetKey(["first", "export", "default"])])
def training_set() -> None: ...

@dg.asset(automation_condition=dg.AutomationCondition.eager())
def raw_shards() -> None: ...  # as one of ours is called, without a prefix

@dg.job
def publish() -> None: ...

defs = dg.Definitions.merge(
    build_defs(config="first/samplemix.yaml", key_prefix="first"),
    build_defs(config="second/samplemix.yaml", key_prefix="more/second", group_prefix="two"),
    dg.Definitions(assets=[training_set, raw_shards], jobs=[publish]),
)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two projects that nobody has run, one of them twice, and a team's definitions."""
    folder = tmp_path_factory.mktemp("team")
    for name, budget in (("first", 8_000), ("second", 5_000)):
        root = make_project(folder / name, reference_folder())
        settings = read_settings(root)
        settings["mixtures"] = {"default": {"budget_tokens": budget}}
        write_settings(root, settings)
    copy_project(folder / "first", folder / "by_command")
    (folder / "team.py").write_text(_TEAM)
    return folder


@pytest.fixture(scope="module")
def ours(folder: Path) -> dg.Definitions:
    return build_defs(
        config=folder / "second" / "samplemix.yaml",
        key_prefix="more/second",
        group_prefix="two",
        with_report=False,
    )


@pytest.fixture(scope="module")
def bare(folder: Path) -> dg.Definitions:
    return build_defs(config=folder / "second" / "samplemix.yaml", with_report=False)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as found:
        yield found


def team(folder: Path, *words: str) -> None:
    """Run a command of Dagster's own on the team's code location, in the team's instance."""
    home = folder / "home"
    home.mkdir(exist_ok=True)
    environment = {**os.environ, "DAGSTER_HOME": str(home), "DAGSTER_DISABLE_TELEMETRY": "1"}
    done = subprocess.run(
        [sys.executable, "-m", "dagster", *words, "-f", "team.py", "-d", str(folder)],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]


def ledger(root: Path) -> dict[str, str]:
    """Return the digest of each file of the current version of the mixture."""
    made = root / ".samplemix" / "lake" / "mixtures" / "default" / version(root)
    return {
        str(path.relative_to(made)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(made.rglob("*.parquet"))
    }


@pytest.mark.slow
def test_a_team_makes_what_the_command_line_makes(folder: Path) -> None:
    team(folder, "job", "execute", "-j", "first_publish")
    team(folder, "job", "execute", "-j", "more_second_publish")
    assert run_in_instance(open_project(folder / "by_command"), Choice(), verbose=False).succeeded
    assert ledger(folder / "first") == ledger(folder / "by_command")
    assert ledger(folder / "first")
    assert version(folder / "first") == version(folder / "by_command")
    assert version(folder / "second") != version(folder / "first")


def test_a_prefix_stands_before_every_name_and_nothing_else_changes(
    ours: dg.Definitions, bare: dg.Definitions
) -> None:
    before, after = names(bare), names(ours)
    assert after["keys"] == {dg.AssetKey(["more", "second", *key.path]) for key in before["keys"]}
    assert after["groups"] == {f"two_{name}" for name in before["groups"]}
    assert before["ops"] >= {"reading", "scoring", "mixing", "drawing"}
    for kind in ("jobs", "ops", "schedules", "sensors", "resources"):
        assert after[kind] == {f"more_second_{name}" for name in before[kind]}, kind


def names(definitions: dg.Definitions) -> dict[str, set[Any]]:
    repository = definitions.get_repository_def()
    specs = list(definitions.resolve_all_asset_specs())
    jobs = [job for job in repository.get_all_jobs() if not job.name.startswith("__")]
    return {
        "keys": {spec.key for spec in specs},
        "groups": {spec.group_name for spec in specs},
        "jobs": {job.name for job in jobs},
        "ops": {node.name for job in jobs if "read_shards" not in job.name for node in job.nodes},
        "schedules": {one.name for one in repository.schedule_defs},
        "sensors": {one.name for one in repository.sensor_defs},
        "resources": set(definitions.resources or {}),
    }


def test_every_dependency_is_one_of_the_same_project(ours: dg.Definitions) -> None:
    specs = list(ours.resolve_all_asset_specs())
    keys = {spec.key for spec in specs}
    assert keys.issuperset(dep.asset_key for spec in specs for dep in spec.deps)
    checks = ours.get_repository_def().asset_graph.asset_check_keys
    assert checks
    assert keys.issuperset(check.asset_key for check in checks)


def test_beside_others_the_sensors_see_their_own_assets_and_runs_alone(
    ours: dg.Definitions, bare: dg.Definitions
) -> None:
    everything = dg.Definitions.merge(ours, bare).get_repository_def()
    sensor = everything.get_sensor_def("more_second_follow_changes")
    assert isinstance(sensor, dg.AutomationConditionSensorDefinition)
    chosen = sensor.asset_selection.resolve(everything.asset_graph)
    made = {key for key in names(ours)["keys"] if "inputs" not in key.path}
    assert chosen == made
    belong = Belongings(keys=frozenset(chosen), jobs=frozenset({"more_second_publish"}))
    assert belong.has(dg.DagsterRun(job_name="more_second_publish"))
    assert not belong.has(dg.DagsterRun(job_name="publish"))
    own, other = dg.AssetKey(["more", "second", "corpus"]), dg.AssetKey("corpus")
    assert belong.has(dg.DagsterRun(job_name="__ASSET_JOB", asset_selection={own, other}))
    assert not belong.has(dg.DagsterRun(job_name="__ASSET_JOB", asset_selection={other}))


def test_under_a_prefix_a_failure_names_the_asset_as_the_project_knows_it(
    tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = copy_project(finished_project(), tmp_path / "project")
    turn_a_dial(root)
    lose_a_document(monkeypatch)
    project, under = open_project(root), names_of("far/away")
    repository = build_defs(project, key_prefix="far/away", with_report=False).get_repository_def()
    report = run_stale(project, repository, instance, with_report=False, quiet=True, names=under)
    assert report.failed_assets == {"mixture/default", "export/default"}
    assert [one.partition(":")[0] for one in report.failures] == ["mixture/default"]


def test_links_of_a_version_lead_to_the_prefixed_assets() -> None:
    manifest = read_traced(open_project(finished_project()), "default", version(finished_project()))
    text = inputs_markdown(manifest, names_of("far/away"))
    assert "[beta_parameters](/assets/far/away/beta_parameters?asOf=" in text
    assert "[beta_parameters](/assets/beta_parameters?asOf=" in inputs_markdown(manifest)


@pytest.mark.parametrize("prefix", ["a__b", "a/", "a.b", "7", ["a", "b c"]])
def test_a_prefix_that_would_make_unreadable_names_is_refused(prefix: str | list[str]) -> None:
    with pytest.raises(ConfigError, match=r"key_prefix: .* cannot stand before a name"):
        names_of(prefix)
