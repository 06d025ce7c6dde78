"""A user's own component: a file beside samplemix.yaml gives scores and moves diversity."""

import textwrap
from pathlib import Path

import pytest

from samplemix_dagster.errors import ConfigError, InputError
from samplemix_dagster.runs.plan.plan import Planner
from tests.engine.changes import rewrite_one_document
from tests.engine.runs import ledgers, rows, run
from tests.projects import needs_encoder, open_project, prose, read_settings, write_settings

pytestmark = needs_encoder
SCORED = {"diversity_calibration", "diversity_scores", "document_scores", "beta_parameters"}
DRAWN = {"mixture/default", "mixture/flat", "export/default", "export/flat"}

LENGTH = """
import numpy as np

class Metric:
    name = "length"
    version = "1"

    def score(self, texts):
        return np.array([1 / (1 + 2000 / len(text)) for text in texts])
"""
RELATIVE = """
import numpy as np

class Metric:
    name = "relative"
    version = "1"
    needs = "text"

    def summarise(self, texts):
        return {"total": np.array([sum(map(len, texts)), len(texts)])}

    def fit(self, summaries):
        characters, documents = sum(one["total"] for one in summaries)
        return {"mean": characters / documents}

    def score(self, texts, fitted):
        return np.array([1 / (1 + float(fitted["mean"]) / len(text)) for text in texts])
"""
CENTRED = """
import numpy as np

class Metric:
    name = "centred"
    version = "1"
    needs = "embedding"

    def summarise(self, embeddings):
        return {"sum": embeddings.astype(np.float64).sum(axis=0)}

    def fit(self, summaries):
        mean = sum(s["sum"] for s in summaries)
        return {"mean": mean / np.linalg.norm(mean)}

    def score(self, embeddings, fitted):
        cosine = embeddings.astype(np.float64) @ fitted["mean"]
        return np.clip((1 - cosine) / 2, 0.01, 0.99)
"""
FIRST_AXIS = """
import numpy as np

class Metric:
    name = "first_axis"
    version = "1"
    needs = "embedding"

    def score(self, embeddings):
        return np.clip((1 + embeddings[:, 0].astype(np.float64)) / 2, 0.01, 0.99)
"""
OUTSIDE = """
import numpy as np

class Metric:
    name = "outside"
    version = "1"

    def score(self, texts):
        return np.full(len(texts), 1.5)
"""


def own_metric(root: Path, module: str, code: str, name: str = "own") -> None:
    """Put a component beside the configuration and name it there."""
    (root / f"{module}.py").write_text(textwrap.dedent(code))
    settings = read_settings(root)
    settings["diversity"]["metrics"] = {name: f"{module}:Metric"}
    write_settings(root, settings)


def test_a_metric_of_ones_own_has_scores_and_moves_diversity(root: Path, finished: Path) -> None:
    own_metric(root, "own_length_a", LENGTH)
    change = run(root)
    assert change.assets == {"metric_own", *SCORED, *DRAWN}
    assert change.planned == change.done
    [row] = rows(root, "select own_score from scores where id = 'news-0-5'")
    assert row["own_score"] == pytest.approx(1 / (1 + 2000 / len(prose("news-0-5"))), rel=1e-4)
    by_id = "select id, diversity from scores where source = 'news' order by id"
    assert rows(root, by_id) != rows(finished, by_id)
    assert ledgers(root)["default"] != ledgers(finished)["default"]


def test_a_metric_of_weight_0_is_shown_but_moves_nothing(root: Path, finished: Path) -> None:
    own_metric(root, "own_length_b", LENGTH)
    settings = read_settings(root)
    settings["diversity"]["weights"] = {"own": 0}
    write_settings(root, settings)
    change = run(root)
    assert not change.assets & {"diversity_calibration", "diversity_scores"}
    by_id = "select id, diversity from scores order by all"
    assert rows(root, by_id) == rows(finished, by_id)
    [row] = rows(root, "select count(own_score) as n from scores")
    assert row["n"] == 120


@pytest.mark.parametrize(("module", "code"), [("own_relative", RELATIVE), ("own_centred", CENTRED)])
def test_a_fitted_metric_is_fitted_before_it_scores(module: str, code: str, root: Path) -> None:
    own_metric(root, module, code)
    change = run(root)
    assert change.assets == {"metric_fit/own", "metric_own", *SCORED, *DRAWN}
    assert change.planned == change.done
    [row] = rows(root, "select min(own_score) as low, max(own_score) as high from scores")
    assert 0 < row["low"] < row["high"] < 1
    assert Planner(open_project(root)).plan().is_empty


def test_a_fitted_metric_is_fitted_to_every_document(root: Path) -> None:
    own_metric(root, "own_relative_b", RELATIVE)
    run(root)
    lengths = rows(root, "select num_bytes, own_score from scores where source = 'web'")
    every = rows(root, "select id from documents")
    # A score is 1 / (1 + mean / length); German letters of two bytes are left out by the source.
    means = [row["num_bytes"] * (1 / row["own_score"] - 1) for row in lengths]
    assert max(means) - min(means) < 0.01 * max(means)
    assert len(every) == 120


def test_of_a_rewritten_shard_only_the_new_document_is_scored(root: Path) -> None:
    own_metric(root, "own_relative_c", RELATIVE)
    run(root)
    rewrite_one_document(root)
    change = run(root)
    assert change.counts("metric_own") == {"news": 1}
    assert "metric_fit/own" not in change.assets
    assert change.planned == change.done


def test_an_edited_metric_is_planned_again_with_what_comes_after_it_only(root: Path) -> None:
    own_metric(root, "own_edited", LENGTH)
    run(root)
    own_metric(root, "own_edited", LENGTH.replace("2000", "1000"))
    plan = Planner(open_project(root)).plan()
    assert {task.step.asset for task in plan.tasks} == {"metric_own", *SCORED, *DRAWN}
    assert {task.num_documents for task in plan.tasks if task.step.asset == "metric_own"} == {40}


def test_a_score_outside_0_and_1_is_refused_with_the_metrics_name(root: Path) -> None:
    own_metric(root, "own_outside", OUTSIDE)
    with pytest.raises(InputError, match=r"own_outside:Metric: .*outside"):
        run(root)


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("no_such_module:Metric", "cannot load 'no_such_module:Metric'"),
        ("json:Nothing", "cannot load 'json:Nothing'"),
        ("json", "is not of the form package.module:Class"),
        ("json:JSONDecoder", "has no name, version, score"),
    ],
)
def test_a_metric_that_is_none_is_named(target: str, expected: str, root: Path) -> None:
    settings = read_settings(root)
    settings["diversity"]["metrics"] = {"own": target}
    write_settings(root, settings)
    with pytest.raises(ConfigError) as caught:
        run(root)
    assert expected in str(caught.value)


def test_a_metric_of_embeddings_need_not_be_fitted(root: Path) -> None:
    own_metric(root, "own_first_axis", FIRST_AXIS)
    change = run(root)
    assert change.assets == {"metric_own", *SCORED, *DRAWN}
    [row] = rows(root, "select min(own_score) as low, max(own_score) as high from scores")
    assert 0 < row["low"] < row["high"] < 1
