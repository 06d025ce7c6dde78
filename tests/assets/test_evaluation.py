"""The asset of an evaluation: there where texts are, started by a person alone, and it warns."""

import json
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from samplemix_dagster.definitions import build_defs
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.wiring.evaluation import NOT_WORSE, judged_mixtures, not_worse
from tests.judged import found_of
from tests.projects import (
    copy_project,
    finished_project,
    needs_encoder,
    open_project,
    prose,
    read_settings,
    write_settings,
)

KEY = dg.AssetKey("evaluation")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished project that names texts to judge on."""
    made = copy_project(finished_project(), tmp_path_factory.mktemp("asset") / "project")
    file = made / "held-out.jsonl"
    rows = [{"text": prose(f"held-out-{n}", "en", sentences=12)} for n in range(8)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    asked = {"texts": {"prose": str(file)}, "budget_tokens": 6_000, "seeds": 2, "pool": 1.0}
    write_settings(made, read_settings(made) | {"evaluation": {**asked, "ladder": []}})
    return made


@pytest.fixture(scope="module")
def definitions(root: Path) -> dg.Definitions:
    return build_defs(open_project(root), with_report=False)


@pytest.fixture(scope="module")
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.instance_for_test() as found:
        yield found


@needs_encoder
def test_a_project_without_texts_has_no_such_asset() -> None:
    graph = build_defs(open_project(finished_project()), with_report=False).resolve_asset_graph()
    assert not graph.has(KEY)


@needs_encoder
def test_it_reads_the_mixtures_and_nothing_starts_it(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    node = graph.get(KEY)
    assert node.group_name == "validation"
    assert node.parent_keys == {dg.AssetKey(["mixture", name]) for name in ("default", "flat")}
    assert node.automation_condition is None
    jobs = definitions.get_repository_def().get_all_jobs()
    assert [job.name for job in jobs if KEY in (job.asset_layer.executable_asset_keys)] in (
        [],
        ["__ASSET_JOB"],
    )


@needs_encoder
def test_it_tells_what_may_be_claimed_and_its_version_is_the_evaluation(
    root: Path, definitions: dg.Definitions, instance: dg.DagsterInstance
) -> None:
    job = definitions.resolve_implicit_global_asset_job_def()
    done = job.execute_in_process(instance=instance, asset_selection=[KEY])
    assert done.success
    [made] = done.asset_materializations_for_node("evaluation")
    metadata = made.metadata
    assert "a look of 2 pairs" in str(metadata["claims"].value)
    assert str(metadata["beside_proportional"].value).startswith("![bits per byte")
    named = open_project(root).lake.read_json(keys.CURRENT_EVALUATION)["evaluation"]
    assert (made.tags or {})["dagster/data_version"] == named == metadata["evaluation"].value
    [check] = done.get_asset_check_evaluations()
    assert (check.check_name, check.passed) == (NOT_WORSE, True)


@pytest.mark.parametrize(
    ("ends", "holds"), [((0.02, 0.01, 0.03), False), ((0.02, -0.01, 0.05), True)]
)
def test_the_check_warns_of_what_is_worse_beyond_doubt_and_blocks_nothing(
    ends: tuple[float, float, float], holds: bool
) -> None:
    found = not_worse(found_of({"mine": ends, "yours": (-0.02, -0.03, -0.01)}), KEY)
    assert found.passed is holds
    assert found.severity == dg.AssetCheckSeverity.WARN
    assert ("mine is worse than proportional" in (found.description or "")) is not holds


@needs_encoder
@pytest.mark.parametrize(
    ("arms", "judged"),
    [
        ([], ["default", "flat"]),
        (["default"], ["default"]),
        (["mine=default@1234"], ["default"]),
        (["other.parquet"], []),
    ],
)
def test_it_depends_on_the_mixtures_that_its_arms_name(
    root: Path, arms: list[str], judged: list[str]
) -> None:
    project = open_project(root)
    project.config.evaluation.arms[:] = arms
    assert judged_mixtures(project) == judged
