"""Rejected rows are all counted, and a bounded number of them is kept."""

import gzip
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from samplemix_dagster.errors import CheckFailedError
from samplemix_dagster.storage.corpus import rows as rows_module
from samplemix_dagster.storage.corpus.rejections import MOST_FIRST, MOST_SAMPLED, Rejections
from samplemix_dagster.storage.corpus.shards import Document, Rejection, read_shard
from samplemix_dagster.storage.formats.base import Row, Rows
from tests.storage.test_shards import read, rules_of


def kept(path: Path) -> tuple[int, pa.Table]:
    """Return (rows of a shard that were rejected, what is kept of them)."""
    found = Rejections()
    for row in read_shard(path, rules_of()):
        if isinstance(row, Rejection):
            found.add(row)
    return found.num_rows, found.table()


def test_two_million_rejected_lines_are_counted_in_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    with gzip.open(path, "wb", compresslevel=1) as file:
        for _ in range(4):
            file.write(b"0\n" * (1 << 19))
    tracemalloc.start()
    num_rows, table = kept(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert num_rows == sum(table.column("num_rows").to_pylist()) == 1 << 21
    assert table.num_rows <= MOST_FIRST + MOST_SAMPLED + 1
    assert peak < 16 * 2**20


def test_a_million_nulls_of_parquet_are_counted(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": pa.nulls(10**6, pa.string())}), tmp_path / "a.parquet")
    num_rows, table = kept(tmp_path / "a.parquet")
    assert num_rows == sum(table.column("num_rows").to_pylist()) == 10**6
    assert table.num_rows <= MOST_FIRST + MOST_SAMPLED + 1


def test_a_few_rejected_rows_are_kept_one_by_one(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_bytes(b"0\n" * 30 + b"{}\n" * 30)
    _, table = kept(tmp_path / "a.jsonl")
    assert table.column("row").to_pylist() == list(range(60))
    assert set(table.column("num_rows").to_pylist()) == {1}


@settings(max_examples=60, deadline=None)
@given(
    runs=st.lists(
        st.tuples(st.sampled_from(["empty", "too_long"]), st.integers(1, 900)), max_size=30
    )
)
def test_numbers_of_rows_add_up_and_no_row_is_there_twice(runs: list[tuple[str, int]]) -> None:
    found, number = Rejections(), 0
    for reason, count in runs:
        found.add(Rejection(row=number, reason=reason, excerpt="", num_rows=count))
        number += count
    table = found.table()
    rows = table.column("row").to_pylist()
    assert sum(table.column("num_rows").to_pylist()) == number == found.num_rows
    assert rows == sorted(set(rows))


def test_what_cannot_be_reached_of_a_parquet_file_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    texts = [f"A plain text of some length, number {n}." for n in range(40)]
    pq.write_table(pa.table({"text": texts}), path, row_group_size=10, compression="none")
    content = bytearray(path.read_bytes())
    start = pq.ParquetFile(path).metadata.row_group(2).column(0).data_page_offset
    content[start : start + 20] = b"\xff" * 20
    found = read(tmp_path, "b.parquet", bytes(content))
    documents = [row for row in found if isinstance(row, Document)]
    [broken] = [row for row in found if isinstance(row, Rejection)]
    assert broken.reason == "truncated"
    assert len(documents) + broken.num_rows == 40


def test_a_reader_that_loses_a_record_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def careless(stream: object, rules: object) -> Rows:
        yield Row(value="A plain text of some length.")
        return 2

    monkeypatch.setitem(rows_module._STREAMED, "jsonl", careless)
    with pytest.raises(CheckFailedError, match="2 records were counted"):
        read(tmp_path, "a.jsonl", b"{}\n{}\n")
