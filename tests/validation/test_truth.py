"""Labels beside scores and a draw: areas against an oracle, shares that add up, real projects."""

import textwrap
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from samplemix_dagster.core.junk.table import CLEAN
from samplemix_dagster.errors import InputError
from samplemix_dagster.runs.work.run import run_project
from samplemix_dagster.storage.ask.query import query
from samplemix_dagster.trace.versions import resolve_version
from samplemix_dagster.validation.known.labelled import (
    labelled_documents,
    read_labels,
    truth_of_version,
)
from samplemix_dagster.validation.known.truth import JUNK, Labelled, auc, truth_of
from tests.projects import (
    copy_project,
    finished_project,
    needs_encoder,
    open_project,
    read_settings,
    write_settings,
)

# -- numbers --------------------------------------------------------------------------------------

SCORES = st.lists(st.sampled_from([0.1, 0.25, 0.5, 0.75, 0.9]), min_size=1, max_size=30)


@given(SCORES, SCORES)
def test_the_area_is_that_of_scikit_learn(good: list[float], bad: list[float]) -> None:
    truth = np.repeat([1, 0], [len(good), len(bad)])
    assert auc(np.array(good), np.array(bad)) == pytest.approx(roc_auc_score(truth, good + bad))


@given(SCORES, SCORES)
def test_the_area_seen_from_the_other_side_is_the_rest(good: list[float], bad: list[float]) -> None:
    left, right = np.array(good), np.array(bad)
    assert auc(left, right) == pytest.approx(1 - (auc(right, left) or 0))


def test_a_score_that_nobody_has_says_nothing() -> None:
    assert auc(np.array([np.nan]), np.array([0.5])) is None


def planted() -> Labelled:
    """Two clean documents, a log that scores below them, a salad that scores like one of them."""
    return Labelled(
        kind=np.array(["salad", CLEAN, CLEAN, "logs"]),
        num_tokens=np.array([10, 30, 40, 20]),
        copies=np.array([0, 2, 1, 0]),
        scores={"planted": np.array([0.8, 0.8, 0.9, 0.1]), "none": np.full(4, np.nan)},
    )


def test_areas_means_and_shares_of_a_planted_score() -> None:
    truth = truth_of(planted())
    assert truth.auc["planted"] == {"logs": 1.0, "salad": 0.75, JUNK: 0.875}
    assert truth.mean["planted"] == {CLEAN: pytest.approx(0.85), "logs": 0.1, "salad": 0.8}
    assert truth.auc["none"] == {"logs": None, "salad": None, JUNK: None}
    assert truth.num_documents == {CLEAN: 2, "logs": 1, "salad": 1}
    assert truth.share_of_pool == {CLEAN: 0.7, "logs": 0.2, "salad": 0.1}
    assert truth.share_of_mixture == {CLEAN: 1.0, "logs": 0.0, "salad": 0.0}


def test_where_nothing_is_drawn_there_is_no_share() -> None:
    found = planted()
    nothing = Labelled(
        kind=found.kind, num_tokens=found.num_tokens, copies=found.copies * 0, scores={}
    )
    assert set(truth_of(nothing).share_of_mixture.values()) == {None}


# -- a made project -------------------------------------------------------------------------------

NOISE = """
import numpy as np

class Metric:
    name = "planted"
    version = "1"

    def score(self, texts):
        return np.array([0.1 if set("qxz") <= set(text) else 0.9 for text in texts])
"""


def write_labels(path: Path) -> Path:
    """Label `web` and `news` of the small project: every fourth text of `web` is noise there."""
    rows = [
        {
            "source": source,
            "id": f"{source}-{shard}-{number}",
            "kind": "noise" if source == "web" and number % 4 == 0 else CLEAN,
        }
        for source in ("web", "news")
        for shard in range(2)
        for number in range(20)
    ]
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose own component tells noise from prose."""
    root = copy_project(finished_project(), tmp_path_factory.mktemp("truth") / "project")
    (root / "planted_metric.py").write_text(textwrap.dedent(NOISE))
    settings = read_settings(root)
    settings["diversity"]["metrics"] = {"planted": "planted_metric:Metric"}
    write_settings(root, settings)
    run_project(open_project(root))
    write_labels(root / "labels.parquet")
    return root


@needs_encoder
def test_a_score_that_was_planted_is_found(project: Path) -> None:
    opened, labels = open_project(project), read_labels(project / "labels.parquet")
    truth = truth_of_version(opened, *resolve_version(opened, "default"), labels)
    assert truth.auc["planted_score"] == {"noise": 1.0, JUNK: 1.0}
    assert truth.mean["planted_score"] == {
        CLEAN: pytest.approx(0.9, abs=1e-4),
        "noise": pytest.approx(0.1, abs=1e-4),
    }
    components = {"cluster_score", "ngram_score", "topic_score", "planted_score"}
    assert truth.auc.keys() == {"quality", "diversity", *components}


@needs_encoder
def test_areas_and_shares_are_those_of_the_views(project: Path) -> None:
    opened, labels = open_project(project), read_labels(project / "labels.parquet")
    truth = truth_of_version(
        opened, *resolve_version(opened, "default"), labels, ["quality", "bits_per_byte"]
    )
    rows = query(
        opened.lake,
        "select s.source, s.id, s.quality, s.bits_per_byte, l.num_tokens, l.copies from scores s "
        "join ledger l using (source, shard, row) "
        "where l.mixture = 'default' and coalesce(l.reason, '') <> 'duplicate'",
    ).to_pylist()
    known = [row | {"kind": labels[key]} for row in rows if (key := place(row)) in labels]
    is_clean = [row["kind"] == CLEAN for row in known]
    for score in ("quality", "bits_per_byte"):
        area = roc_auc_score(is_clean, [row[score] for row in known])
        assert truth.auc[score][JUNK] == pytest.approx(area)
    drawn = {CLEAN: 0, "noise": 0}
    for row in known:
        drawn[row["kind"]] += row["num_tokens"] * row["copies"]
    total = sum(drawn.values())
    assert truth.share_of_mixture == {k: pytest.approx(n / total) for k, n in drawn.items()}
    assert truth.num_unlabelled == len(rows) - len(known)


def place(row: dict[str, object]) -> tuple[object, object]:
    return row["source"], row["id"]


@needs_encoder
def test_a_proportional_mixture_is_judged_too(project: Path) -> None:
    opened, labels = open_project(project), read_labels(project / "labels.parquet")
    truth = truth_of_version(opened, *resolve_version(opened, "flat"), labels)
    assert truth.share_of_mixture["noise"] == pytest.approx(truth.share_of_pool["noise"], abs=0.1)


@needs_encoder
def test_labels_of_another_pool_are_refused(project: Path) -> None:
    opened = open_project(project)
    name, version = resolve_version(opened, "default")
    with pytest.raises(InputError, match=r"none of the .* documents of default@.* has a label"):
        labelled_documents(opened, name, version, {("other", "1"): CLEAN})


@needs_encoder
def test_a_score_that_is_not_there_is_named(project: Path) -> None:
    opened, labels = open_project(project), read_labels(project / "labels.parquet")
    name, version = resolve_version(opened, "default")
    with pytest.raises(InputError, match="no score 'charm'; there are"):
        labelled_documents(opened, name, version, labels, ["charm"])


def test_a_file_that_holds_no_labels_is_named(tmp_path: Path) -> None:
    path = tmp_path / "other.parquet"
    pq.write_table(pa.table({"source": ["web"], "kind": ["clean"]}), path)
    with pytest.raises(InputError, match=r"other\.parquet"):
        read_labels(path)
    with pytest.raises(InputError, match=r"gone\.parquet"):
        read_labels(tmp_path / "gone.parquet")
