"""Flat arrays: the layouts byte for byte, the types at their bounds, and what is no such file."""

import gzip
import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samplemix_dagster.core.hashing import tokens_digest
from samplemix_dagster.errors import InputError
from samplemix_dagster.export_formats.flat import Nanogpt
from samplemix_dagster.export_formats.format import Vocabulary
from samplemix_dagster.export_formats.table import FORMATS
from tests.export_formats.written import EOS, THREE, plan_of, read, write

OF_IDS = [name for name, form in FORMATS.items() if form.unit == "tokens"]
documents = st.lists(st.lists(st.integers(0, 299), max_size=20), max_size=12)


# -- every format of ids ---------------------------------------------------------------------------


@pytest.mark.parametrize("name", OF_IDS)
@given(parts=st.tuples(documents, documents))
def test_what_is_read_is_what_was_written_in_its_order(
    name: str, parts: tuple[list[list[int]], ...], tmp_path_factory: pytest.TempPathFactory
) -> None:
    form = FORMATS[name]
    folder, plan = tmp_path_factory.mktemp("x"), plan_of(form, num_files=2)
    write(form, folder, plan, *parts)
    wanted = [(tokens_digest(np.array(ids)), len(ids)) for ids in itertools.chain(*parts)]
    assert [(one.digest, one.num_tokens) for one in read(form, folder, plan)] == wanted


@pytest.mark.parametrize("name", OF_IDS)
def test_the_same_draws_give_the_same_bytes(name: str, tmp_path: Path) -> None:
    form = FORMATS[name]
    plan = plan_of(form)
    for folder in ("a", "b"):
        write(form, tmp_path / folder, plan, THREE)
    first = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    assert {path.name: path.read_bytes() for path in (tmp_path / "b").iterdir()} == first
    assert set(first) == {*form.file_names(0), *form.others}


@pytest.mark.parametrize("name", OF_IDS)
def test_ids_that_are_cut_off_are_not_read(name: str, tmp_path: Path) -> None:
    form = FORMATS[name]
    plan = plan_of(form)
    write(form, tmp_path, plan, THREE)
    path = tmp_path / form.file_names(0)[0]
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ValueError, match=path.stem.split(".")[0]):
        read(form, tmp_path, plan)


@pytest.mark.parametrize(
    ("name", "size", "dtype"),
    [
        ("tokens", 65_536, "uint16"),
        ("tokens", 65_537, "uint32"),
        ("megatron", 65_499, "uint16"),
        ("megatron", 65_500, "int32"),
        ("megatron", 65_536, "int32"),
        ("olmo", 255, "uint8"),
        ("olmo", 256, "uint8"),
        ("olmo", 257, "uint16"),
        ("olmo", 65_536, "uint16"),
        ("olmo", 65_537, "uint32"),
        ("nanotron", 65_536, "uint16"),
        ("nanotron", 65_537, "uint32"),
        ("torchtitan", 257, "uint32"),
        ("nanogpt", 65_536, "uint16"),
        ("litdata", 65_536, "uint16"),
        ("litdata", 65_537, "int32"),
    ],
)
def test_the_highest_id_is_written_in_the_type_that_its_trainer_takes(
    name: str, size: int, dtype: str, tmp_path: Path
) -> None:
    form = FORMATS[name]
    plan = plan_of(form, size=size)
    write(form, tmp_path, plan, [[size - 1, EOS]])
    content = (tmp_path / form.file_names(0)[0]).read_bytes()
    ids = np.frombuffer(content[-2 * np.dtype(dtype).itemsize :], dtype)
    assert form.dtype(size) == dtype
    assert ids.tolist() == [size - 1, EOS]


def vocabulary(size: int, eos: str = "end", eos_id: int | None = EOS) -> Vocabulary:
    return Vocabulary(size=size, tokenizer="0" * 32, eos=eos, eos_id=eos_id)


def test_a_vocabulary_beyond_the_type_is_refused() -> None:
    assert FORMATS["nanogpt"].refusal(vocabulary(65_536)) == ""
    assert "below 65,536, and the tokenizer has 65,537" in FORMATS["nanogpt"].refusal(
        vocabulary(65_537)
    )


@pytest.mark.parametrize("name", sorted({*OF_IDS} - {"tokens"}))
def test_a_tokenizer_without_eos_is_refused_unless_none_is_asked_for(name: str) -> None:
    assert "names no EOS" in FORMATS[name].refusal(vocabulary(300, eos_id=None))
    assert FORMATS[name].refusal(vocabulary(300, "none", None)) == ""


# -- byte for byte ---------------------------------------------------------------------------------


def test_olmo_has_bare_ids_and_a_line_for_each_document(tmp_path: Path) -> None:
    write(FORMATS["olmo"], tmp_path, plan_of(FORMATS["olmo"], size=256), THREE)
    assert (tmp_path / "part-00000.npy").read_bytes() == bytes([1, 2, 3, 9, 4, 9, 5, 6, 9])
    lines = gzip.decompress((tmp_path / "part-00000.csv.gz").read_bytes()).decode().splitlines()
    assert [line.split(",")[:2] for line in lines] == [["0", "4"], ["4", "6"], ["6", "9"]]
    assert {tuple(line.split(",")[3:]) for line in lines} == {("web", "0")}


def test_nanotron_has_bare_ids_ends_and_three_lines(tmp_path: Path) -> None:
    write(FORMATS["nanotron"], tmp_path, plan_of(FORMATS["nanotron"]), THREE)
    assert (tmp_path / "part-00000.ds").read_bytes() == b"".join(
        bytes([one, 0]) for one in (1, 2, 3, 9, 4, 9, 5, 6, 9)
    )
    ends = b"".join(bytes([one, *[0] * 7]) for one in (4, 6, 9))
    assert (tmp_path / "part-00000.ds.index").read_bytes() == ends
    assert (tmp_path / "part-00000.ds.metadata").read_text() == f"{'0' * 32}|2\n9\n9 T"


def test_torchtitan_has_ids_of_32_bits_and_offsets_from_0(tmp_path: Path) -> None:
    write(FORMATS["torchtitan"], tmp_path, plan_of(FORMATS["torchtitan"]), THREE)
    assert (tmp_path / "part-00000.bin").read_bytes()[:8] == b"\1\0\0\0\2\0\0\0"
    offsets = np.load(tmp_path / "part-00000.document_offsets.npy")
    assert (offsets.dtype.str, offsets.tolist()) == ("<i8", [0, 4, 6, 9])


def test_nanogpt_has_a_head_of_1024_bytes_and_eos_in_front(tmp_path: Path) -> None:
    form = FORMATS["nanogpt"]
    write(form, tmp_path, plan_of(form), [[EOS, 1], [EOS, 2, 3]])
    content = (tmp_path / "samplemix_train_000000.bin").read_bytes()
    assert content[:12].hex() == "88d834010100000005000000"
    assert content[12:1024] == bytes(1012)
    assert content[1024:].hex() == "0900010009000200" + "0300"
    starts = (tmp_path / "samplemix_train_000000.bos.idx").read_bytes()
    assert starts.hex() == "0000000002000000"
    assert form.options["eos"].default == "start"


def test_a_head_of_nanogpt_that_cannot_say_its_ids_asks_for_more_files() -> None:
    assert len(Nanogpt().head("part", (1 << 31) - 1)) == 1024
    with pytest.raises(InputError, match=r"part would have 2,147,483,648 ids.*more files"):
        Nanogpt().head("part", 1 << 31)


# -- what is no such file --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "file", "content"),
    [
        ("olmo", "part-00000.csv.gz", gzip.compress(b"0,4\n5,9\n", mtime=0)),
        ("nanotron", "part-00000.ds.metadata", f"{'0' * 32}|2\n8\n8 T".encode()),
        ("torchtitan", "part-00000.document_offsets.npy", b""),
        ("nanogpt", "samplemix_train_000000.bos.idx", b"\0\0\0"),
    ],
)
def test_bounds_of_something_else_are_not_read(
    name: str, file: str, content: bytes, tmp_path: Path
) -> None:
    form = FORMATS[name]
    plan = plan_of(form)
    write(form, tmp_path, plan, THREE)
    (tmp_path / file).write_bytes(content)
    with pytest.raises((ValueError, EOFError)):
        read(form, tmp_path, plan)
