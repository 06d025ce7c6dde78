"""Tables of documents from other tools: names are text, whatever they look like."""

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from samplemix_dagster.core.hashing import doc_id
from samplemix_dagster.errors import InputError
from samplemix_dagster.storage.outside_tables import table_of
from samplemix_dagster.validation.choosing.choices import read_choice
from samplemix_dagster.validation.known.labelled import read_labels

HEX = ["0" * 31 + "a", "f" * 32]


def written(tmp_path: Path, name: str, content: str) -> Path:
    file = tmp_path / name
    file.write_bytes(content.encode())
    return file


def test_ids_of_a_csv_file_keep_their_zeros_and_an_empty_one_is_missing(tmp_path: Path) -> None:
    file = written(tmp_path, "a.csv", "source,id,score\nweb,007,0.5\nweb,,0.25\n")
    table = table_of(file)
    assert table.column("id").to_pylist() == ["007", None]
    assert table.column("score").to_pylist() == [0.5, 0.25]


def test_another_column_that_names_documents_is_text_too(tmp_path: Path) -> None:
    file = written(tmp_path, "a.csv", "isbn,score\n0012,1\n")
    assert table_of(file, {"isbn"}).column("isbn").to_pylist() == ["0012"]


@pytest.mark.parametrize("content", ["one\r\ntwo words\r\n", "\ufeffone\ntwo words\n\n"])
def test_lines_are_ids_as_a_whole_without_mark_and_line_end(tmp_path: Path, content: str) -> None:
    table = table_of(written(tmp_path, "ids.txt", content))
    assert table.to_pydict() == {"id": ["one", "two words"]}


def test_lines_that_look_like_digests_may_be_ids_of_a_source(tmp_path: Path) -> None:
    found = read_choice(written(tmp_path, "ids.txt", "\n".join(HEX)))
    assert (found.key, found.may_be_own_ids) == ("doc_id", True)
    digests = written(tmp_path, "a.csv", f"doc_id\n{doc_id('one')}\n")
    assert not read_choice(digests).may_be_own_ids


def test_copies_are_as_many_rows(tmp_path: Path) -> None:
    copies = read_choice(written(tmp_path, "a.csv", "id,copies\na,10\nb,1\n"))
    rows = read_choice(written(tmp_path, "b.txt", "a\n" * 10 + "b\n"))
    assert copies.max_copies == rows.max_copies == 10
    assert read_choice(written(tmp_path, "c.csv", "id,weight\na,10\nb,1\n")).max_copies == 1
    two = "source,id\nweb,a\nnews,a\n"
    assert read_choice(written(tmp_path, "d.csv", two)).max_copies == 1


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ("a,abc\n", "weight is a number in every row"),
        ("a,1e300\n", "weight is a number from 0 to 1e"),
        ("a,0\nb,0\n", "weight is 0 in every row"),
        ("a,-1\n", "weight is a number from 0"),
    ],
)
def test_a_weight_that_is_none_is_said(tmp_path: Path, rows: str, problem: str) -> None:
    with pytest.raises(InputError, match=f"a.csv: {problem}"):
        read_choice(written(tmp_path, "a.csv", f"id,weight\n{rows}"))


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ("web,1,clean\nweb,1,salad\n", "row 2: '1' of source 'web' is 'salad', and 'clean'"),
        ("web,1,\n", "row 1: a label has a source, an id and a kind"),
        ("web,1,junk\nweb,2,salad\n", "'junk' is what all kinds together are called"),
    ],
)
def test_labels_that_say_two_things_or_none_are_refused(
    tmp_path: Path, rows: str, problem: str
) -> None:
    with pytest.raises(InputError, match=problem):
        read_labels(written(tmp_path, "labels.csv", f"source,id,kind\n{rows}"))


def test_labels_by_number_are_found_by_its_text(tmp_path: Path) -> None:
    file = written(tmp_path, "a.jsonl", '{"source": "web", "id": 7, "kind": "junk"}\n')
    assert read_labels(file) == {("web", "7"): "junk"}
    zeros = written(tmp_path, "a.csv", "source,id,kind\nweb,007,clean\n")
    assert read_labels(zeros) == {("web", "007"): "clean"}


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", '["007", "8"]'),
        ("a.json", '[{"id": "007"}, {"id": "8"}]'),
        ("a.json", '{"id": "007"}\n{"id": "8"}\n'),
        ("a.tsv", "id\tscore\n007\t1\n8\t2\n"),
    ],
)
def test_an_array_of_json_and_cells_between_tabs_are_tables_too(
    tmp_path: Path, name: str, content: str
) -> None:
    assert table_of(written(tmp_path, name, content)).column("id").to_pylist() == ["007", "8"]


@pytest.mark.parametrize(
    "content",
    ['["a", {"id": "b"}]', "[1, true]", "[[]]", '["a"', "[" * 9999, f'[{{"id": {10**20}}}]'],
)
def test_an_array_of_something_else_is_refused_with_its_file(tmp_path: Path, content: str) -> None:
    with pytest.raises(InputError, match=r"a\.json cannot be read as a table of documents"):
        table_of(written(tmp_path, "a.json", content))


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.jsonlines"])
def test_a_line_that_is_no_object_is_an_error_with_its_number(tmp_path: Path, name: str) -> None:
    # Arrow's reader of JSON ends the process at a null in the first line.
    lines = {"null\n": 1, '{"id": "a"}\n\nnull\n': 3, '{"id": "a"}\n{"id"': 2}
    for content, number in lines.items():
        with pytest.raises(InputError, match=rf"{name} cannot .*: line {number} is no JSON"):
            table_of(written(tmp_path, name, content))


@pytest.mark.parametrize("form", ["lines", "array"])
def test_a_key_that_comes_later_is_a_column_too(tmp_path: Path, form: str) -> None:
    rows = [{"id": "a"}, {"id": "b", "weight": 2}, {"weight": 0.5, "id": "c"}]
    text = json.dumps(rows) if form == "array" else "".join(json.dumps(r) + "\n" for r in rows)
    table = table_of(written(tmp_path, "a.json" if form == "array" else "a.jsonl", text))
    assert table.column("weight").to_pylist() == [None, 2.0, 0.5]
    assert table.column("id").to_pylist() == ["a", "b", "c"]
    with pytest.raises(InputError, match="weight is a number from 0 to"):
        read_choice(tmp_path / ("a.json" if form == "array" else "a.jsonl"))


def test_what_looks_like_a_date_in_json_stays_text(tmp_path: Path) -> None:
    file = written(tmp_path, "a.jsonl", '{"id": "2024-01-02"}\n{"id": "2024-01-03"}\n')
    assert read_choice(file).names == ["2024-01-02", "2024-01-03"]


def test_a_column_that_is_there_twice_is_refused_in_every_format(tmp_path: Path) -> None:
    twice = pa.Table.from_arrays([pa.array(["a"])] * 2, names=["score", "score"])
    pq.write_table(twice, tmp_path / "a.parquet")
    written(tmp_path, "a.csv", "id,score,score\na,1,2\n")
    written(tmp_path, "a.tsv", "id\tscore\tscore\na\t1\t2\n")
    for ending in ("parquet", "csv", "tsv"):
        with pytest.raises(InputError, match=rf"a\.{ending} has the column 'score' twice"):
            table_of(tmp_path / f"a.{ending}")


def test_a_packed_table_is_to_be_unpacked(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"a\.csv\.gz is packed: .* so unpack it"):
        table_of(written(tmp_path, "a.csv.gz", "x"))


def test_names_are_spelt_alike_whatever_type_a_column_has(tmp_path: Path) -> None:
    pq.write_table(pa.table({"id": [1.0, 18.0, None]}), tmp_path / "a.parquet")
    assert read_choice(tmp_path / "a.parquet").names == ["1", "18", ""]
    pq.write_table(pa.table({"id": [[1], [2]]}), tmp_path / "b.parquet")
    with pytest.raises(InputError, match=r"b\.parquet: \[1\] is no text, number or date"):
        read_choice(tmp_path / "b.parquet")


def test_a_label_of_a_pool_that_is_a_list_is_refused_with_its_row(tmp_path: Path) -> None:
    row = {"source": "web", "id": "1", "kind": ["x"]}
    with pytest.raises(InputError, match=r"labels\.jsonl, row 1: \['x'\] is no text"):
        read_labels(written(tmp_path, "labels.jsonl", json.dumps(row) + "\n"))
