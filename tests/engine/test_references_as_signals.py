"""References as signals, and contrast of two: scored once each, compared, traced, verified."""

from pathlib import Path

import numpy as np
import pytest

from samplemix_dagster.config.scoring.scores import Quality
from samplemix_dagster.core.diversity.combine import combine
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.executors.processes import stop_workers
from samplemix_dagster.runs.plan.cost import first_guess
from samplemix_dagster.runs.plan.cost.estimates import estimated
from samplemix_dagster.runs.plan.cost.first_guess import Machine
from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.runs.upkeep.garbage import find_garbage
from samplemix_dagster.stages.quality.agreement import beside_main_reference
from samplemix_dagster.stages.quality.loss.other_references import other_losses
from samplemix_dagster.trace.difference.difference import difference
from samplemix_dagster.trace.lineage import lineage
from samplemix_dagster.trace.verify.verifying import verify
from tests.engine.changes import add_a_shard, settings_changed
from tests.engine.runs import Run, ledgers, manifest, rows, run, run_changed, version
from tests.projects import (
    copy_project,
    make_project,
    needs_encoder,
    open_project,
    read_settings,
    reference_folder,
    write_settings,
)

pytestmark = needs_encoder
SIZES = {"tokens": 4000, "vocabulary": 400}


def with_others(root: Path) -> None:
    settings = read_settings(root)
    settings["references"] |= {
        "fast": {"ngram": SIZES},
        "papers": {"ngram": {**SIZES, "sources": ["news"]}},
    }
    settings["quality"] |= {
        "signals": {"perplexity": 1, "perplexity:fast": 0.5, "contrast": 2},
        "contrast": {"good": "papers", "bad": "fast"},
    }
    write_settings(root, settings)


@pytest.fixture(scope="module")
def change(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The finished project, after it was given two more references as signals."""
    return run_changed(tmp_path_factory.mktemp("others") / "project", with_others)


def test_each_other_reference_scores_once_and_the_one_that_scores_is_left_alone(
    change: Run,
) -> None:
    made = {"reference_model/fast", "perplexity_fast", "perplexity_papers", "calibration/contrast"}
    assert made | {"signal_perplexity_fast", "signal_contrast", "quality_scores"} <= change.assets
    assert {"perplexity", "reference_model/main", "calibration", "embeddings"} & change.assets == (
        set()
    )
    assert run(change.root).outcomes == []


def test_contrast_is_bits_under_the_bad_one_less_those_under_the_good_one(change: Run) -> None:
    columns = "language, contrast_score, bits_per_byte_fast - bits_per_byte_papers as more"
    found = rows(change.root, f"select distinct {columns} from scores where language = 'en'")
    ordered = sorted(found, key=lambda row: row["more"])
    scores = [row["contrast_score"] for row in ordered]
    assert scores == sorted(scores)
    assert scores[0] < 0.5 < scores[-1]


def test_texts_like_the_good_ones_have_the_higher_contrast(change: Run) -> None:
    found = rows(
        change.root, "select source, avg(contrast_score) as mean from scores group by source"
    )
    mean = {row["source"]: row["mean"] for row in found}
    # What is rare among the good ones is dear under them, whatever its language.
    assert mean["news"] > mean["letters"]


def test_the_score_under_another_reference_falls_with_its_bits(change: Run) -> None:
    columns = "perplexity_fast_score as score, bits_per_byte_fast as bits"
    found = rows(change.root, f"select distinct {columns} from scores where language = 'en'")
    ordered = sorted(found, key=lambda row: (row["bits"], -row["score"]))
    assert [row["score"] for row in ordered] == sorted((r["score"] for r in found), reverse=True)


def test_quality_rises_with_the_mean_that_the_exponents_ask_for(change: Run) -> None:
    columns = "quality, perplexity_fast_score, contrast_score, bits_per_byte"
    found = rows(change.root, f"select distinct {columns} from scores where language = 'en'")
    z = np.array([-row["bits_per_byte"] for row in found])
    fast, contrast = (
        np.array([row[name] for row in found])
        for name in ("perplexity_fast_score", "contrast_score")
    )
    own = 1.0 / (1.0 + np.exp(-np.arcsinh((z - np.median(z)) / z.std())))
    mean = combine({"a": own, "b": fast, "c": contrast}, {"a": 1.0, "b": 0.5, "c": 2.0})
    quality = np.array([row["quality"] for row in found])
    # Of perplexity's own score only the calibration's exact numbers are not looked up here.
    assert np.corrcoef(mean, quality)[0, 1] > 0.9


def test_how_references_agree_is_told_by_language(change: Run) -> None:
    recipes = Recipes(change.project)
    stage = other_losses(change.project.config)["fast"]
    told = {row["group"]: row for row in beside_main_reference(recipes, stage, "letters")}
    assert {"all", "de"} <= set(told)
    assert -1 <= told["all"]["spearman"] <= 1
    assert told["all"]["documents"] >= told["de"]["documents"] >= 20


def test_a_version_names_every_reference_and_verifies_down_to_its_texts(change: Run) -> None:
    made = manifest(change.root)
    assert {"reference", "reference:fast", "reference:papers"} <= set(made["models"])
    assert "model/reference:fast" in made["needs"]["feature/news/perplexity-fast"]
    found = verify(change.project, "default", version(change.root), deep=20)
    assert found["holds"], found["checks"]
    assert {"deep_perplexity-fast", "deep_perplexity-papers"} <= {
        one["check"] for one in found["checks"]
    }
    nodes = lineage(change.project, "default", version(change.root))["nodes"]
    inputs = {node["id"]: node["inputs"] for node in nodes}
    assert inputs["model/reference:papers"] == ["fit/reference-papers"]
    assert inputs["fit/reference-papers"] == ["source/news"]
    keys = find_garbage(change.project, grace_seconds=0).keys
    assert not [key for key in keys if key.startswith("fits/reference-")]


def test_a_difference_to_the_version_before_is_that_of_settings(
    change: Run, finished: Path
) -> None:
    before, after = version(finished), version(change.root)
    found = difference(change.project, ("default", before), ("default", after))
    assert found["drawn_states_match"] == {"a": True, "b": True}
    assert [cause["causes"] for cause in found["causes"]] == [["settings"]]


def test_a_difference_by_another_reference_is_put_down_to_it(change: Run, tmp_path: Path) -> None:
    root = copy_project(change.root, tmp_path / "project")
    settings_changed("references", "fast", to={"ngram": {**SIZES, "order": 2}})(root)
    run(root)
    pair = ("default", version(change.root)), ("default", version(root))
    [cause] = difference(open_project(root), *pair)["causes"]
    assert "reference" in cause["causes"]
    assert cause["what"][0].startswith("reference:fast: fits/reference-fast/")


def test_new_text_leaves_references_as_they_are(change: Run, tmp_path: Path) -> None:
    root = copy_project(change.root, tmp_path / "project")
    add_a_shard(root)
    again = run(root)
    assert again.counts("perplexity_papers") == {"news": 7}
    assert not [asset for asset in again.assets if asset.startswith("reference_model")]


def test_two_workers_give_the_same_ledgers(change: Run, tmp_path: Path) -> None:
    root = make_project(tmp_path / "fresh", reference_folder())
    with_others(root)
    settings_changed("compute", "workers", to=2)(root)
    run(root)
    stop_workers()
    assert ledgers(root) == ledgers(change.root)


def test_a_plan_has_a_guess_for_every_reference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine = Machine(text_bytes_per_second=1e4, operations_per_second=1e10, num_workers=1)
    monkeypatch.setattr(first_guess, "try_machine", lambda _: machine)
    root = make_project(tmp_path / "fresh", reference_folder())
    with_others(root)
    project = open_project(root)
    plan = Planner(project).plan()
    entries = {entry["asset"]: entry for entry in estimated(project, plan, guesses=True)}
    assert entries["perplexity_fast"]["seconds"] > entries["document_scores"]["seconds"]


def test_without_contrast_and_other_references_recipes_are_as_before() -> None:
    assert "contrast" not in Quality().for_recipe()
    assert Quality().other_references == ()


@pytest.mark.parametrize(
    ("signals", "contrast", "others"),
    [
        ({"perplexity": 1, "perplexity:fast": 1}, None, ("fast",)),
        ({"perplexity": 1, "perplexity:fast": 0}, None, ()),
        ({"perplexity": 1}, {"good": "main", "bad": "fast"}, ("fast",)),
        ({"perplexity": 1, "contrast": 0}, {"good": "papers", "bad": "fast"}, ()),
    ],
)
def test_only_references_of_signals_that_count_are_read(
    signals: dict[str, float], contrast: dict[str, str] | None, others: tuple[str, ...]
) -> None:
    assert Quality(signals=signals, contrast=contrast).other_references == others
