"""Chunks of LitData and rows of MDS: byte for byte, and no id lost where a row or a chunk ends."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samplemix_dagster.core.hashing import tokens_digest
from samplemix_dagster.errors import InputError
from samplemix_dagster.export_formats.ids import litdata, mds
from samplemix_dagster.export_formats.table import FORMATS
from tests.export_formats.written import EOS, THREE, plan_of, read, write

LITDATA, MDS = FORMATS["litdata"], FORMATS["mds"]
documents = st.lists(st.lists(st.integers(0, 299), max_size=9), max_size=9)


@pytest.mark.parametrize("name", ["litdata", "mds"])
@given(parts=st.tuples(documents, documents, documents), sequence=st.integers(1, 12))
def test_what_is_read_is_what_was_written_for_any_sequence(
    name: str,
    parts: tuple[list[list[int]], ...],
    sequence: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    form = FORMATS[name]
    folder, plan = tmp_path_factory.mktemp("x"), plan_of(form, num_files=3, sequence=str(sequence))
    write(form, folder, plan, *parts)
    wanted = [(tokens_digest(np.array(ids)), len(ids)) for ids in itertools.chain(*parts)]
    assert [(one.digest, one.num_tokens) for one in read(form, folder, plan)] == wanted


def test_a_chunk_of_litdata_ends_where_a_block_does(tmp_path: Path) -> None:
    plan = plan_of(LITDATA, num_files=3, sequence="3")
    write(LITDATA, tmp_path, plan, THREE, THREE, THREE)
    chunks = json.loads((tmp_path / "index.json").read_text())["chunks"]
    assert [chunk["dim"] for chunk in chunks] == [8, 8, 11]
    assert [one.offset for one in read(LITDATA, tmp_path, plan)][:4] == [0, 4, 6, 1]


def test_a_chunk_of_litdata_is_these_bytes(tmp_path: Path) -> None:
    write(LITDATA, tmp_path, plan_of(LITDATA, sequence="2"), THREE[1:2])
    assert (
        tmp_path / "chunk-0-0.bin"
    ).read_bytes().hex() == "010000000c000000100000000400" + "0900"
    assert json.loads((tmp_path / "index.json").read_text()) == {
        "chunks": [{"chunk_bytes": 16, "chunk_size": 1, "dim": 2, "filename": "chunk-0-0.bin"}],
        "config": {
            "chunk_bytes": 16,
            "chunk_size": None,
            "compression": None,
            "data_format": ["no_header_tensor:20"],
            "data_spec": '[1, {"type": null, "context": null, "children_spec": []}]',
            "encryption": None,
            "item_loader": "TokensLoader",
        },
    }


def test_a_row_of_mds_says_which_documents_it_holds(tmp_path: Path) -> None:
    write(MDS, tmp_path, plan_of(MDS, sequence="5"), THREE)
    rows = list(mds._read_rows(tmp_path))
    assert [ids.tolist() for *_, ids, _ in rows] == [[1, 2, 3, EOS, 4], [EOS, 5, 6, EOS, EOS]]
    spans = [[(span.begin, span.length) for span in spans] for *_, spans in rows]
    assert spans == [[(0, 4), (0, 1)], [(1, 1), (0, 3)]]


def test_a_shard_of_mds_is_these_bytes(tmp_path: Path) -> None:
    write(MDS, tmp_path, plan_of(MDS, sequence="2"), THREE[1:2])
    content = (tmp_path / "shard.00000.mds").read_bytes()
    config = (
        b'{"column_encodings": ["json", "ndarray:int32:2"], "column_names": ["spans", "tokens"], '
        b'"column_sizes": [null, 8], "compression": null, "format": "mds", "hashes": [], '
        b'"size_limit": 67108864, "version": 2}'
    )
    spans = json.dumps([["c0a5a3e9b5d2ffbf6f0dbd0e0e3b8b1c", 0, 0, 2]]).encode()
    begin = 12 + len(config)
    assert np.frombuffer(content[:12], "<u4").tolist() == [1, begin, len(content)]
    assert content[12:begin] == config
    assert np.frombuffer(content[begin : begin + 4], "<u4").tolist() == [len(spans)]
    assert content[-8:] == bytes([4, 0, 0, 0, EOS, 0, 0, 0])


@pytest.mark.parametrize("module", [litdata, mds])
def test_a_file_beyond_32_bits_asks_for_more_files(
    module: object, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_BYTES", 20)
    form = {litdata: LITDATA, mds: MDS}[module]
    with pytest.raises(InputError, match="can have 20; export more files"):
        write(form, tmp_path, plan_of(form, sequence="4"), THREE)


@pytest.mark.parametrize("form", [LITDATA, MDS], ids=lambda form: form.name)
def test_an_index_of_other_files_is_not_read(form: object, tmp_path: Path) -> None:
    plan = plan_of(form, sequence="2")
    write(form, tmp_path / "a", plan, THREE)
    write(form, tmp_path / "b", plan, THREE[:2])
    (tmp_path / "a/index.json").write_bytes((tmp_path / "b/index.json").read_bytes())
    with pytest.raises(ValueError, match=r"is not the|documents end elsewhere"):
        read(form, tmp_path / "a", plan)
