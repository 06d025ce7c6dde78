"""Exported files: what goes in comes back, in the order asked for, in either format."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplemix_dagster.core.hashing import doc_id
from samplemix_dagster.storage.exports import FORMATS, SCHEMA, Spill, read_back, write_files
from samplemix_dagster.storage.lake import digest_file

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
DRAWS = st.lists(st.tuples(TEXT, st.integers(0, 2), st.none() | TEXT), max_size=30)


def draw(text: str, position: int, copy: int = 0, identity: str | None = None) -> dict[str, Any]:
    return {
        "doc_id": doc_id(text),
        "source": "web",
        "copy": copy,
        "num_tokens": len(text),
        "id": identity,
        "text": text,
        "position": position,
    }


def spilled(folder: Path, draws: list[tuple[int, dict[str, Any]]], num_files: int) -> Spill:
    spill = Spill(folder / "spill", num_files)
    for file, row in draws:
        spill.add(file, row)
    spill.close()
    return spill


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=25, deadline=None)
@given(found=DRAWS, num_files=st.integers(1, 4), luck=st.randoms(use_true_random=False))
def test_draws_come_back_in_the_order_of_their_positions(
    form: str, found: Any, num_files: int, luck: Any, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("export")
    rows = [draw(text, place, copy, own) for place, (text, copy, own) in enumerate(found)]
    arriving = [(row["position"] * num_files // max(1, len(rows)), row) for row in rows]
    luck.shuffle(arriving)
    files = write_files(spilled(folder, arriving, num_files), folder, num_files, form)
    back = list(read_back(folder, [file.name for file in files]))
    assert back == [{k: row[k] for k in row if k != "position"} for row in rows]


@pytest.mark.parametrize("form", FORMATS)
def test_a_file_says_what_it_holds(form: str, tmp_path: Path) -> None:
    draws = [(0, draw("one", 0)), (2, draw("three", 1)), (2, draw("five!", 2))]
    files = write_files(spilled(tmp_path, draws, 3), tmp_path, 3, form)
    assert [file.name for file in files] == [f"part-0000{number}.{form}" for number in range(3)]
    assert [(file.num_draws, file.num_tokens) for file in files] == [(1, 3), (0, 0), (2, 10)]
    for file in files:
        assert file.digest == digest_file(tmp_path / file.name)
        assert file.num_bytes == (tmp_path / file.name).stat().st_size


@pytest.mark.parametrize("form", FORMATS)
def test_the_same_draws_give_the_same_bytes_whatever_order_they_come_in(
    form: str, tmp_path: Path
) -> None:
    draws = [(0, draw(f"text {number}", number)) for number in range(600)]
    digests = []
    for name, arriving in (("one", draws), ("two", draws[::-1])):
        (tmp_path / name).mkdir()
        [file] = write_files(spilled(tmp_path / name, arriving, 1), tmp_path / name, 1, form)
        digests.append(file.digest)
    assert digests[0] == digests[1]


@pytest.mark.parametrize("form", FORMATS)
def test_texts_with_every_kind_of_newline_come_back(form: str, tmp_path: Path) -> None:
    text = "a\nb\r\nc\rd\u2028e\u0085f\x0bg\x00h\ufeff😀"
    files = write_files(spilled(tmp_path, [(0, draw(text, 0))], 1), tmp_path, 1, form)
    [row] = read_back(tmp_path, [files[0].name])
    assert row["text"] == text


def test_a_parquet_file_has_the_schema_that_is_promised(tmp_path: Path) -> None:
    write_files(spilled(tmp_path, [(0, draw("x", 0))], 2), tmp_path, 2, "parquet")
    for number in range(2):
        assert pq.read_schema(tmp_path / f"part-0000{number}.parquet").equals(SCHEMA)


def test_a_jsonl_file_is_read_by_any_zstd_line_by_line(tmp_path: Path) -> None:
    import json

    import pyarrow as pa

    draws = [(0, draw(f"text {number}", number)) for number in range(700)]
    [file] = write_files(spilled(tmp_path, draws, 1), tmp_path, 1, "jsonl.zst")
    with pa.CompressedInputStream(str(tmp_path / file.name), "zstd") as stream:
        lines = stream.read().decode().splitlines()
    assert [json.loads(line)["text"] for line in lines] == [f"text {n}" for n in range(700)]
