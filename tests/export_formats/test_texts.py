"""Formats of texts: the layouts, row groups for ranks, and what is no such file."""

import json
import sys
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from samplemix_dagster.core.hashing import doc_id
from samplemix_dagster.errors import ConfigError, InputError
from samplemix_dagster.export_formats.format import FilePlan, Format
from samplemix_dagster.export_formats.table import FORMATS
from samplemix_dagster.export_formats.texts import array_record
from samplemix_dagster.export_formats.wanted import Wanted
from samplemix_dagster.storage.exports import SCHEMA

OF_TEXTS = [name for name, form in FORMATS.items() if form.unit == "text"]
TEXTS = ["one", "two\nlines, \u2028 and a tab\t", "", "drei äöü \U0001f600"]


def table(texts: list[str]) -> pa.Table:
    rows = [
        {
            "doc_id": doc_id(text),
            "source": "web",
            "copy": 0,
            "num_tokens": len(text),
            "id": None,
            "text": text,
        }
        for text in texts
    ]
    return pa.Table.from_pylist(rows, schema=SCHEMA)


def write(form: Format, folder: Path, *parts: list[str]) -> FilePlan:
    plan = FilePlan(num_files=len(parts))
    folder.mkdir(exist_ok=True)
    writer = form.open(folder, plan)
    for number, texts in enumerate(parts):
        writer.add(number, table(texts))
    writer.close()
    return plan


@pytest.mark.parametrize("name", OF_TEXTS)
def test_texts_are_read_as_they_were_written_also_out_of_an_empty_part(
    name: str, tmp_path: Path
) -> None:
    form = FORMATS[name]
    plan = write(form, tmp_path, TEXTS, [], TEXTS[:1])
    found = list(form.read_back(tmp_path, plan))
    assert [one.digest for one in found] == [doc_id(text) for text in [*TEXTS, TEXTS[0]]]
    assert [one.offset for one in found] == [0, 1, 2, 3, 0]
    names = {file for number in range(3) for file in form.file_names(number)}
    assert {path.name for path in tmp_path.iterdir()} == names | set(form.others)


@pytest.mark.parametrize("name", OF_TEXTS)
def test_the_same_texts_give_the_same_bytes(name: str, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        write(FORMATS[name], tmp_path / folder, TEXTS, TEXTS)
    first = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()} == first


def test_offsets_lead_to_lines(tmp_path: Path) -> None:
    write(FORMATS["jsonl.indexed"], tmp_path, TEXTS)
    content = (tmp_path / "part-00000.jsonl").read_bytes()
    offsets = np.load(tmp_path / "part-00000.jsonl.offsets.npy")
    assert (offsets.dtype.str, offsets[-1]) == ("<i8", len(content))
    assert json.loads(content[offsets[3] : offsets[4]])["text"] == TEXTS[3]


def test_offsets_of_other_lines_are_not_read(tmp_path: Path) -> None:
    form = FORMATS["jsonl.indexed"]
    plan = write(form, tmp_path, TEXTS)
    np.save(tmp_path / "part-00000.jsonl.offsets.npy", np.array([0, 7]))
    with pytest.raises(ValueError, match="do not begin where"):
        list(form.read_back(tmp_path, plan))


@pytest.mark.parametrize(("count", "rows"), [(4096, 512), (20_000, 1024), (3, 1)])
def test_nanochat_has_groups_for_at_least_eight_ranks_where_it_can(
    count: int, rows: int, tmp_path: Path
) -> None:
    write(FORMATS["nanochat"], tmp_path, [f"{number}" for number in range(count)])
    with pq.ParquetFile(tmp_path / "shard_00000.parquet") as file:
        assert file.metadata.row_group(0).num_rows == rows
        assert file.metadata.num_row_groups == -(-count // rows)
        assert not file.metadata.row_group(0).column(0).is_stats_set


def test_nanochat_needs_a_file_to_validate() -> None:
    with pytest.raises(ConfigError, match="files: nanochat needs at least 2, not 1"):
        Wanted.of("nanochat", 1, {})


def test_more_files_than_names_have_digits_for_are_refused() -> None:
    assert Wanted.of("parquet", 100_000, {}).num_files == 100_000
    with pytest.raises(ConfigError, match="files: at most 100,000, not 100,001"):
        Wanted.of("parquet", 100_001, {})


def test_huggingface_names_its_files_in_a_card(tmp_path: Path) -> None:
    write(FORMATS["huggingface"], tmp_path, TEXTS, TEXTS)
    card = (tmp_path / "README.md").read_text()
    assert card.startswith("---\nconfigs:\n")
    assert len(list(tmp_path.glob("train-*.parquet"))) == 2


def test_a_member_of_webdataset_has_neither_time_nor_owner(tmp_path: Path) -> None:
    write(FORMATS["webdataset"], tmp_path, TEXTS[:1], TEXTS[1:2])
    with tarfile.open(tmp_path / "part-00001.tar") as archive:
        text, known = archive.getmembers()
    assert (text.name, known.name) == ("000000001.txt", "000000001.json")
    assert (text.mtime, text.uid, text.uname) == (0, 0, "")


@pytest.mark.parametrize("name", ["arrayrecord"])
@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"no record " * 9, "part-00000.array_record is no ArrayRecord"),
        ([b"\xff\xff"], "a record is no example"),
        ([b""], "a record has no text"),
    ],
)
def test_records_of_something_else_are_not_read(
    name: str, content: bytes | list[bytes], says: str, tmp_path: Path
) -> None:
    path = tmp_path / "part-00000.array_record"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        writer = array_record._module().ArrayRecordWriter(str(path), "group_size:1")
        for record in content:
            writer.write(record)
        writer.close()
    with pytest.raises(ValueError, match=says):
        list(FORMATS[name].read_back(tmp_path, FilePlan(num_files=1)))


@pytest.mark.parametrize("name", ["arrayrecord"])
def test_a_record_is_an_example_with_features_in_the_order_of_their_names(name: str) -> None:
    row = {"text": "a", "doc_id": "b", "source": "c", "id": None, "copy": 1, "num_tokens": 300}
    said = [(b"copy", 3, 1), (b"doc_id", 1, b"b"), (b"num_tokens", 3, 300)]
    said += [(b"source", 1, b"c"), (b"text", 1, b"a")]
    features = b"".join(_field(1, _entry(*one)) for one in said)
    assert array_record._record(row) == _field(1, features)
    assert array_record._row(array_record._record(row)) == row


def _field(number: int, content: bytes) -> bytes:
    """A field of bytes as Protocol Buffers have it."""
    return bytes([8 * number + 2, len(content)]) + content


def _entry(key: bytes, kind: int, value: bytes | int) -> bytes:
    """An entry of the map of features: its key, and a list of one value of a kind."""
    if isinstance(value, int):
        low, high = value & 127, value >> 7
        value = bytes([low | 128, high] if high else [low])
    return _field(1, key) + _field(2, _field(kind, _field(1, value)))


def test_a_format_whose_package_is_missing_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "array_record.python", None)
    with pytest.raises(InputError, match=r"pip install 'samplemix-dagster\[arrayrecord\]'"):
        FORMATS["arrayrecord"].open(tmp_path, FilePlan(num_files=1))


def test_members_of_different_draws_are_not_read(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "part-00000.tar", "w:") as archive:
        for name in ("000000000.txt", "000000001.json"):
            archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(ValueError, match=r"000000000\.txt does not stand before"):
        list(FORMATS["webdataset"].read_back(tmp_path, FilePlan(num_files=1)))
