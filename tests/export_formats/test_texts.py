"""Formats of texts: the layouts, row groups for ranks, and what is no such file."""

import json
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from samplemix_dagster.core.hashing import doc_id
from samplemix_dagster.errors import ConfigError
from samplemix_dagster.export_formats.format import FilePlan, Format
from samplemix_dagster.export_formats.table import FORMATS
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


def test_members_of_different_draws_are_not_read(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "part-00000.tar", "w:") as archive:
        for name in ("000000000.txt", "000000001.json"):
            archive.addfile(tarfile.TarInfo(name))
    with pytest.raises(ValueError, match=r"000000000\.txt does not stand before"):
        list(FORMATS["webdataset"].read_back(tmp_path, FilePlan(num_files=1)))
