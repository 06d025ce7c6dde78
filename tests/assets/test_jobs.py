"""Jobs: what a run of one is made of, what it can be told, and what a draw beside leaves alone."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.storage.tags import REPOSITORY_LABEL_TAG, TagType, get_tag_type
from dagster._core.workspace.load_target import ModuleTarget
from dagster._utils.tags import is_valid_tag_key

from samplemix_dagster.definitions import build_defs
from samplemix_dagster.door import behind
from samplemix_dagster.errors import ConfigError
from samplemix_dagster.stages.stepping.steps import build_steps
from samplemix_dagster.trace.verify.verifying import verify
from samplemix_dagster.trace.versions import list_versions, load_manifest
from samplemix_dagster.wiring import run_tags
from samplemix_dagster.wiring.jobs.parts import PARTS, Choice
from samplemix_dagster.wiring.run_tags import (
    ASKED_BY_TAG,
    LASTS_TAG,
    LOCATION,
    PART_OF_TAG,
    TOLD_TAG,
)
from samplemix_dagster.wiring.running.command_run import publish_here
from samplemix_dagster.wiring.running.launch import Flow
from samplemix_dagster.wiring.running.reaping import reap_dead_runs
from samplemix_dagster.wiring.running.run_report import RunReport
from tests.engine.changes import settings_changed, turn_a_dial
from tests.engine.runs import version
from tests.engine.test_publishing import lose_a_document
from tests.projects import copy_project, finished_project, needs_encoder, open_project

pytestmark = needs_encoder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return copy_project(finished_project(), tmp_path / "project")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as found:
        yield found


def publish(root: Path, instance: dg.DagsterInstance, **chosen: Any) -> RunReport:
    """Run the job as the command line does, without the report."""
    project = open_project(root)
    repository = build_defs(project, with_report=False).get_repository_def()
    choice = Choice(**chosen)
    return publish_here(project, repository, instance, choice, on_event=lambda _: None, quiet=True)


def job_run(instance: dg.DagsterInstance) -> dg.DagsterRun:
    (found,) = instance.get_runs(dg.RunsFilter(job_name="publish"))
    return found


def test_a_run_of_the_command_line_is_a_run_of_the_job_and_its_parts_say_so(
    root: Path, instance: dg.DagsterInstance
) -> None:
    turn_a_dial(root)
    report = publish(root, instance)
    whole = job_run(instance)
    assert report.succeeded
    assert whole.status == dg.DagsterRunStatus.SUCCESS
    assert whole.tags[ASKED_BY_TAG] == "command line"
    parts = instance.get_runs(dg.RunsFilter(tags={PART_OF_TAG: whole.run_id}))
    assert {run.run_id for run in parts} == set(report.run_ids)
    steps = {event.step_key for event in instance.all_logs(whole.run_id) if event.step_key}
    assert steps == {"reading", "scoring", "fitting", "mixing", "exporting"}


def test_the_first_page_finds_the_run_where_the_ui_has_its_jobs(
    root: Path, instance: dg.DagsterInstance
) -> None:
    (origin,) = ModuleTarget(behind._MODULE, None, str(root), None).create_origins()
    assert origin.location_name == LOCATION
    publish(root, instance)
    run = job_run(instance)
    assert run.remote_job_origin is not None
    label = run.remote_job_origin.repository_origin.get_label()
    assert run.tags[REPOSITORY_LABEL_TAG] == label


def test_tags_for_the_code_are_hidden_and_tags_for_people_are_not() -> None:
    hidden = {run_tags.FILES_TAG, run_tags.FINDING_TAG, run_tags.TOLD_TAG, *run_tags.process_tags()}
    assert {get_tag_type(tag) for tag in hidden} == {TagType.HIDDEN}
    shown = {ASKED_BY_TAG, PART_OF_TAG, run_tags.WHY_TAG}
    assert {get_tag_type(tag) for tag in shown} == {TagType.USER_PROVIDED}
    assert all(is_valid_tag_key(tag) for tag in hidden | shown)


def test_a_dead_run_of_an_earlier_release_is_shown_as_failed() -> None:
    @dg.job
    def job() -> None: ...

    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    tags = {"samplemix/pid": str(gone.pid), "samplemix/boot": run_tags.boot_id()}
    with dg.instance_for_test() as instance:
        dead = instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.STARTED)
        assert reap_dead_runs(instance) == [dead.run_id]


def test_only_the_mixtures_that_were_named_are_made(
    root: Path, instance: dg.DagsterInstance
) -> None:
    text = (root / "samplemix.yaml").read_text()
    (root / "samplemix.yaml").write_text(text.replace("8000", "7000").replace("6000", "5000"))
    report = publish(root, instance, mixtures=["flat"])
    assert {entry["asset"] for entry in report.done} == {"mixture/flat", "export/flat"}


@pytest.mark.parametrize("field", ["mixtures", "refit", "select"])
def test_a_name_that_is_none_is_refused_with_those_that_are(
    root: Path, instance: dg.DagsterInstance, field: str
) -> None:
    with pytest.raises(ConfigError, match=f"{field}: no .* 'nonsense'; there are "):
        publish(root, instance, **{field: ["nonsense"]})
    assert job_run(instance).status == dg.DagsterRunStatus.FAILURE


def test_a_wrong_name_fails_in_words_and_would_fail_again(
    root: Path, instance: dg.DagsterInstance
) -> None:
    with pytest.raises(ConfigError):
        publish(root, instance, mixtures=["nonsense"])
    run = job_run(instance)
    (error,) = [
        event.dagster_event.step_failure_data.error
        for event in instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_FAILURE)
        if event.dagster_event is not None
    ]
    assert error is not None
    assert (error.cls_name, error.cause) == ("Failure", None)
    assert "mixtures: no mixture 'nonsense'; there are default, flat" in error.message
    assert run.tags[LASTS_TAG] == "true"


def test_a_mixture_that_fails_is_told_of_once_and_fails_the_job(
    root: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    turn_a_dial(root)
    lose_a_document(monkeypatch)
    report = publish(root, instance)
    assert len(report.failures) == 1
    run = job_run(instance)
    assert run.status == dg.DagsterRunStatus.FAILURE
    assert run.tags[TOLD_TAG] == "true"


def test_a_run_that_a_person_stops_is_shown_as_stopped(
    root: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Flow, "make", stop)
    with pytest.raises(KeyboardInterrupt):
        publish(root, instance)
    assert job_run(instance).status == dg.DagsterRunStatus.CANCELED


@pytest.mark.parametrize("near", ["keep", "first"])
def test_no_part_of_a_job_needs_what_a_later_one_makes(root: Path, near: str) -> None:
    settings_changed("diversity", "duplicates", to={"near": near})(root)
    steps = build_steps(open_project(root))
    places = {group: place for place, part in enumerate(PARTS) for group in part.groups}
    at = {step.asset: places[step.group] for step in steps}
    assert all(at[step.asset] >= at[dep] for step in steps for dep in step.deps)


def what_if(root: Path, instance: dg.DagsterInstance, **chosen: Any) -> Any:
    repository = build_defs(open_project(root), with_report=False).get_repository_def()
    return repository.get_job("what_if").execute_in_process(
        instance=instance, run_config=chosen, raise_on_error=False
    )


def test_a_draw_under_other_settings_stands_beside_the_current_version(
    root: Path, instance: dg.DagsterInstance
) -> None:
    before, text = version(root), (root / "samplemix.yaml").read_text()
    result = what_if(root, instance, mixture="default", quality=2.0, budget_tokens=5000)
    (event,) = result.get_asset_materialization_events()
    made = event.step_materialization_data.materialization
    assert made.asset_key == dg.AssetKey(["what_if", "default"])
    drawn = str(made.metadata["version"].value)
    project = open_project(root)
    assert verify(project, "default", drawn)["holds"]
    assert made.metadata["budget_tokens"].value == 5000
    assert "the settings of the mixture" in str(made.metadata["against_current"].value)
    assert version(root) == before
    assert (root / "samplemix.yaml").read_text() == text
    current = {one["version"]: one["is_current"] for one in list_versions(project)}
    assert current[before]
    assert not current[drawn]


def test_without_settings_it_is_the_current_version(
    root: Path, instance: dg.DagsterInstance
) -> None:
    result = what_if(root, instance)
    (event,) = result.get_asset_materialization_events()
    metadata = event.step_materialization_data.materialization.metadata
    assert metadata["version"].value == version(root)
    assert "these settings give the current version" in str(metadata["against_current"].value)


def test_other_settings_may_hold_shares_of_languages(
    root: Path, instance: dg.DagsterInstance
) -> None:
    shares = {"de": 0.5, "en": 0.5}
    result = what_if(root, instance, shares_by=["language"], source_shares=shares)
    (event,) = result.get_asset_materialization_events()
    metadata = event.step_materialization_data.materialization.metadata
    found = load_manifest(open_project(root), "default", str(metadata["version"].value))["report"][
        "groups"
    ]
    assert found["de"]["share_after"] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("chosen", "words"),
    [
        ({"mixture": "nonsense"}, "no mixture 'nonsense'; there are default, flat"),
        ({"budget_tokens": 900_000_000}, "the nearest feasible budget is"),
        ({"shares": "some"}, "shares: one of free, proportional, kept, uniform, not 'some'"),
        ({"shares": "free", "source_shares": {"web": 1.0}}, "say the same thing twice"),
        ({"source_shares": {"nowhere": 1.0}}, "no source 'nowhere'; there are"),
        (
            {"source_shares": {"fr": 1.0}, "shares_by": ["language"]},
            "shares name fr, but language has no 'fr': de, en",
        ),
        ({"shares_by": ["kind"]}, "there is no 'kind'; there are source, language"),
    ],
)
def test_what_cannot_be_drawn_is_refused_in_words(
    root: Path, instance: dg.DagsterInstance, chosen: dict[str, Any], words: str
) -> None:
    before = open_project(root).lake.names("mixtures/default")
    result = what_if(root, instance, **chosen)
    assert not result.success
    (event,) = result.get_step_failure_events()
    assert words in event.step_failure_data.error.message
    assert open_project(root).lake.names("mixtures/default") == before
