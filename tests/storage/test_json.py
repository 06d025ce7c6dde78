"""JSON: lines, arrays, objects over lines; what is doubled, marked or nested."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplemix_dagster.storage.corpus.shards import Document, Rejection, read_shard
from tests.storage.test_shards import DOC, PAIR, TEXT, outcomes, read, rules_of

ROWS = [{"text": f"{TEXT} {n}", "url": f"u{n}"} for n in range(5)]
MARK = b"\xef\xbb\xbf"


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(ROWS),
        json.dumps(ROWS, indent=2),
        "[\n" + ",\n".join(json.dumps(row) for row in ROWS) + "\n]\n",
        "\n".join(json.dumps(row, indent=1) for row in ROWS),
        "\n".join(json.dumps(row) for row in ROWS),
        "\r".join(json.dumps(row) for row in ROWS),
    ],
    ids=["array", "indented array", "array of lines", "indented objects", "lines", "CR lines"],
)
def test_every_way_to_write_objects_gives_the_same_documents(content: str, tmp_path: Path) -> None:
    found = read(tmp_path, "a.json", content.encode())
    assert [row.text for row in found if isinstance(row, Document)] == [r["text"] for r in ROWS]
    assert outcomes(found) == [DOC] * 5


def test_a_broken_value_of_an_array_costs_itself_alone(tmp_path: Path) -> None:
    good = json.dumps(ROWS[0])
    content = f'[{good}, 3, {{"text": "no end\n}}, {good}]'
    found = outcomes(read(tmp_path, "a.json", content.encode()))
    assert found == [DOC, "invalid_json", "invalid_json", DOC]


def test_an_array_that_breaks_off_says_so(tmp_path: Path) -> None:
    found = outcomes(read(tmp_path, "a.json", json.dumps(ROWS).encode()[:-20]))
    assert found == [DOC] * 4 + ["truncated"]


def test_lines_behind_a_bracket_that_nothing_closes_come_back_as_rows(tmp_path: Path) -> None:
    content = b'[{"text": [\n' + PAIR
    assert outcomes(read(tmp_path, "a.json", content)) == ["invalid_json", DOC, DOC]


def test_a_list_under_a_name_is_one_row_that_says_what_to_do(tmp_path: Path) -> None:
    [row] = read(tmp_path, "a.json", json.dumps({"data": ROWS}).encode())
    assert isinstance(row, Rejection)
    assert row.reason == "missing_text"
    assert "5 objects stand in a list under 'data'" in row.excerpt


def test_marks_of_joined_files_are_dropped(tmp_path: Path) -> None:
    assert outcomes(read(tmp_path, "a.jsonl", MARK + PAIR + MARK + PAIR)) == [DOC] * 4


def test_a_text_that_stands_twice_in_an_object_is_rejected(tmp_path: Path) -> None:
    content = f'{{"text": "{TEXT}", "text": "{TEXT} Again."}}\n'.encode() + PAIR
    assert outcomes(read(tmp_path, "a.jsonl", content)) == ["duplicate_field", DOC, DOC]


def test_a_nested_text_that_stands_twice_is_rejected(tmp_path: Path) -> None:
    content = f'{{"doc": {{"body": "{TEXT}", "body": "{TEXT} Again."}}}}\n'.encode()
    found = read(tmp_path, "a.jsonl", content, {"text": "doc.body"})
    assert outcomes(found) == ["duplicate_field"]


def test_the_same_text_twice_in_an_object_is_that_text(tmp_path: Path) -> None:
    content = f'{{"text": "{TEXT}", "te\\u0078t": "{TEXT}"}}\n'.encode()
    assert outcomes(read(tmp_path, "a.jsonl", content)) == [DOC]


def test_another_name_that_stands_twice_keeps_both_values(tmp_path: Path) -> None:
    [row] = read(tmp_path, "a.jsonl", f'{{"text": "{TEXT}", "url": 1, "url": 2}}'.encode())
    assert isinstance(row, Document)
    assert row.metadata == {"url": [1, 2]}


def test_rules_of_before_read_marks_and_doubled_names_as_before(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    doubled = f'{{"text": "{TEXT}", "text": "{TEXT} Again."}}\n'.encode()
    path.write_bytes(PAIR + MARK + PAIR + doubled)
    rules = rules_of()
    found = list(read_shard(path, type(rules)(**{**_values(rules), "as_before": True})))
    assert outcomes(found) == [DOC, DOC, "invalid_json", DOC, DOC]


def _values(rules: Any) -> dict[str, Any]:
    return {name: getattr(rules, name) for name in rules.__dataclass_fields__}


VALUE = st.recursive(
    st.none() | st.integers(-9, 9) | st.text(st.sampled_from('ab"\\{}[],\n'), max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "}", '"', "text"]), inner, max_size=3)
    ),
    max_leaves=6,
)


OBJECT = st.fixed_dictionaries({"text": st.just(TEXT), "a": VALUE})


@settings(max_examples=150, deadline=None)
@given(
    values=st.lists(OBJECT, min_size=1, max_size=5),
    indent=st.sampled_from([None, 1]),
    is_array=st.booleans(),
)
def test_values_end_where_they_end(
    values: list[dict[str, Any]],
    indent: int | None,
    is_array: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    written = [json.dumps(value, indent=indent) for value in values]
    content = json.dumps(values, indent=indent) if is_array else "\n".join(written)
    path = tmp_path_factory.getbasetemp() / "values.json"
    path.write_bytes(content.encode())
    assert outcomes(list(read_shard(path, rules_of()))) == [DOC] * len(values)
