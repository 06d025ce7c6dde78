"""Labels that another tool gave: joined by a key, told by source, and no score is made of them."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from samplemix_dagster.config.scoring.signals import Labels
from samplemix_dagster.errors import InputError
from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.stages.outside.labels import LabelStage, known_labels
from samplemix_dagster.wiring.assets.scored.signals import label_look
from tests.engine.labelled import label_by_source
from tests.engine.runs import rows, run
from tests.projects import needs_encoder, open_project, read_settings, write_settings


def known(folder: Path, columns: dict[str, list[Any]]) -> dict[str, str]:
    """Return what a file of labels says, by the name of the document."""
    file = folder / "f.parquet"
    parquet.write_table(pa.table(columns), file)
    found = known_labels(file, Labels(file="f.parquet"), "labels.kind")
    return {name: label for (_, name), label in found.items()}


def test_rows_that_say_nothing_are_left_out(tmp_path: Path) -> None:
    columns = {"id": ["a", None, "c", "d"], "label": [None, "x", "", "  "]}
    assert known(tmp_path, columns) == {}


def test_whole_numbers_are_spelt_as_such_where_a_hole_made_floats_of_them(tmp_path: Path) -> None:
    columns = {"id": ["a", "b", "c"], "label": [3.0, None, 2.5]}
    assert known(tmp_path, columns) == {"a": "3", "c": "2.5"}


def test_truth_is_spelt_as_json_spells_it(tmp_path: Path) -> None:
    assert known(tmp_path, {"id": ["a"], "label": [True]}) == {"a": "true"}


def test_the_same_label_twice_is_one(tmp_path: Path) -> None:
    assert known(tmp_path, {"id": ["a", "a"], "label": ["x", "x"]}) == {"a": "x"}


def test_a_document_of_two_labels_is_refused_with_the_row(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"labels\.kind: .*row 2: 'a' is 'y', and 'x' further up"):
        known(tmp_path, {"id": ["a", "a"], "label": ["x", "y"]})


def test_a_column_that_is_not_there_is_said_with_those_that_are(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"has no column 'label'; there are \['id', 'kind'\]"):
        known(tmp_path, {"id": ["a"], "kind": ["x"]})


@needs_encoder
def test_naming_a_label_makes_nothing_but_the_label(root: Path) -> None:
    label_by_source(root)
    tasks = Planner(open_project(root)).plan().tasks
    assert {task.step.asset for task in tasks} == {"label_origin"}


@needs_encoder
def test_a_project_without_labels_has_an_empty_view_of_them(root: Path) -> None:
    assert rows(root, "select * from labels") == []


@needs_encoder
def test_a_file_that_is_not_there_is_said(root: Path) -> None:
    settings = read_settings(root)
    settings["labels"] = {"kind": {"file": "nowhere.csv"}}
    write_settings(root, settings)
    with pytest.raises(InputError, match=r"labels\.kind: there is no file .*take 'kind' out"):
        run(root)


@needs_encoder
def test_a_document_that_the_file_does_not_name_is_unknown_and_counted(root: Path) -> None:
    label_by_source(root)
    lines = (root / "origins.csv").read_text().splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith("news-0-")]
    (root / "origins.csv").write_text("".join(kept))
    [done] = [one for one in run(root).outcomes if one.partition == "news"]
    found = rows(
        root, "select label, count(*) as n from labels where source = 'news' group by 1 order by 1"
    )
    assert found == [{"label": "news", "n": 20}, {"label": "unknown", "n": 20}]
    project = open_project(root)
    stage = LabelStage("origin", project.config.labels["origin"])
    assert label_look(stage).present(project, done)["share_of_documents_named"] == 0.5


@needs_encoder
def test_two_labels_stand_in_one_view_by_name(root: Path) -> None:
    label_by_source(root)
    settings = read_settings(root)
    settings["labels"]["same"] = {"file": "origins.csv", "unknown": "none"}
    write_settings(root, settings)
    run(root)
    pairs = rows(
        root,
        "select count(*) as n from labels as a inner join labels as b using (source, shard, row) "
        "where a.name = 'origin' and b.name = 'same' and a.label = b.label and a.label = a.source",
    )
    assert pairs == rows(root, "select count(*) as n from documents")
