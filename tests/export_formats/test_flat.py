"""Flat arrays: the layouts byte for byte, the types at their bounds, and what is no such file."""

import gzip
import itertools
import json
import pickletools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samplemix_dagster.core.hashing import tokens_digest
from samplemix_dagster.errors import ConfigError, InputError
from samplemix_dagster.export_formats.format import Vocabulary
from samplemix_dagster.export_formats.ids.headed import Nanogpt
from samplemix_dagster.export_formats.table import FORMATS
from samplemix_dagster.export_formats.wanted import Wanted
from tests.export_formats.written import EOS, THREE, plan_of, read, write

OF_IDS = [name for name, form in FORMATS.items() if form.unit == "tokens"]
BOS = 7
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


U8, U16, U32, I32 = "uint8", "uint16", "uint32", "int32"
TYPES = {
    "tokens": [(0, U16), (65_537, U32)],
    "megatron": [(0, U16), (65_500, I32)],
    "olmo": [(0, U8), (257, U16), (65_537, U32)],
    "nanotron": [(0, U16), (65_537, U32)],
    "torchtitan": [(0, U32)],
    "nanogpt": [(0, U16)],
    "modalities": [(0, U8), (257, U16), (65_537, U32)],
    "litdata": [(0, U16), (65_537, I32)],
    "mds": [(0, I32)],
}
"""From which size of a vocabulary on each trainer takes which type."""
BEHIND = {"modalities": 27}
"""Bytes behind the ids of one document."""
SIZES = (255, 256, 257, 65_499, 65_500, 65_535, 65_536, 65_537)
HELD = [(name, size) for name in OF_IDS for size in SIZES if (name, size) != ("nanogpt", 65_537)]


@pytest.mark.parametrize(("name", "size"), HELD)
def test_the_highest_id_is_written_in_the_type_that_its_trainer_takes(
    name: str, size: int, tmp_path: Path
) -> None:
    form = FORMATS[name]
    dtype = [one for least, one in TYPES[name] if least <= size][-1]
    plan = plan_of(form, size=size, sequence="2")
    write(form, tmp_path, plan, [[size - 1, EOS]])
    content = (tmp_path / form.file_names(0)[0]).read_bytes()
    end = len(content) - BEHIND.get(name, 0)
    ids = np.frombuffer(content[end - 2 * np.dtype(dtype).itemsize : end], dtype)
    assert form.dtype(size) == dtype
    assert ids.tolist() == [size - 1, EOS]
    [found] = read(form, tmp_path, plan)
    assert found.digest == tokens_digest(np.array([size - 1, EOS]))


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


# -- EOS and BOS -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("bos", "eos", "laid"),
    [
        ("none", "none", [1, 2]),
        ("none", "end", [1, 2, EOS]),
        ("none", "start", [EOS, 1, 2]),
        ("start", "none", [BOS, 1, 2]),
        ("start", "end", [BOS, 1, 2, EOS]),
    ],
)
def test_bos_stands_first_and_eos_where_it_is_asked_for(
    bos: str, eos: str, laid: list[int]
) -> None:
    found = replace(vocabulary(300, eos), bos=bos, bos_id=BOS)
    assert found.laid([1, 2]).tolist() == laid
    assert found.laid([]).tolist() == [one for one in laid if one in {BOS, EOS}]
    assert ("BOS" in found.marks) == (bos == "start")


@pytest.mark.parametrize("name", OF_IDS)
def test_two_marks_cannot_both_stand_first(name: str) -> None:
    with pytest.raises(ConfigError, match="both stand first; say `eos: end` or `eos: none`"):
        Wanted.of(name, 2, {"bos": "start", "eos": "start"})


@pytest.mark.parametrize("name", OF_IDS)
def test_a_tokenizer_without_bos_is_refused_where_it_is_asked_for(name: str) -> None:
    asked = replace(vocabulary(300), bos="start")
    assert "names no BOS" in FORMATS[name].refusal(asked)
    assert FORMATS[name].refusal(replace(asked, bos_id=BOS)) == ""


@pytest.mark.parametrize("name", OF_IDS)
def test_without_bos_a_folder_is_called_as_it_was(name: str) -> None:
    said = {"eos": "end", "sequence": "8"}
    asked = Wanted.of(name, 2, {**said, "bos": "start"})
    assert asked.folder == Wanted.of(name, 2, said).folder.replace("-end", "-end-start")
    assert Wanted.of_folder(asked.folder) == asked


def test_olmo_does_not_take_bos_alone_for_a_beginning() -> None:
    with pytest.raises(ConfigError, match="only behind EOS; leave `eos: none` out"):
        Wanted.of("olmo", 1, {"bos": "start", "eos": "none"})


def test_contents_of_arrays_say_where_bos_stands_only_if_it_does(tmp_path: Path) -> None:
    form = FORMATS["tokens"]
    for folder, bos in (("a", "none"), ("b", "start")):
        plan = plan_of(form)
        assert plan.vocabulary is not None
        own = replace(plan.vocabulary, bos=bos, bos_id=BOS)
        write(form, tmp_path / folder, replace(plan, vocabulary=own), THREE)
    without, with_bos = (
        json.loads((tmp_path / folder / "contents.json").read_text()) for folder in ("a", "b")
    )
    assert with_bos == {**without, "bos": "start", "bos_id": BOS}


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


def test_modalities_has_a_head_of_12_bytes_ids_and_a_list_of_pairs(tmp_path: Path) -> None:
    form = FORMATS["modalities"]
    write(form, tmp_path, plan_of(form), [[1, 2, EOS], [3, EOS]])
    content = (tmp_path / "part-00000.pbin").read_bytes()
    assert content[:12].hex() == "0a00000000000000" + "02000000"
    assert content[12:22].hex() == "01000200090003000900"
    # A trainer loads this list; it is a list of pairs of whole numbers and of nothing else.
    names = [op.name for op, *_ in pickletools.genops(content[22:])]
    pair = ["LONG1", "LONG1", "TUPLE2"]
    assert names == ["PROTO", "EMPTY_LIST", "MARK", *pair, *pair, "APPENDS", "STOP"]
    numbers = [value for op, value, _ in pickletools.genops(content[22:]) if op.name == "LONG1"]
    assert numbers == [0, 6, 6, 4]


@pytest.mark.parametrize("at", [0, 8, 12, 22, 26, 30, -1])
def test_a_file_of_modalities_with_a_flipped_bit_is_never_the_same_draws(
    at: int, tmp_path: Path
) -> None:
    form = FORMATS["modalities"]
    plan = plan_of(form)
    write(form, tmp_path, plan, [[1, 2, EOS], [3, EOS]])
    before = read(form, tmp_path, plan)
    path = tmp_path / "part-00000.pbin"
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)
    try:
        found = read(form, tmp_path, plan)
    except ValueError:
        return
    assert [one.digest for one in found] != [one.digest for one in before]


def test_a_head_of_nanogpt_that_cannot_say_its_ids_asks_for_more_files() -> None:
    assert len(Nanogpt().head("part", (1 << 31) - 1, "uint16")) == 1024
    with pytest.raises(InputError, match=r"part would have 2,147,483,648 ids.*more files"):
        Nanogpt().head("part", 1 << 31, "uint16")


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
