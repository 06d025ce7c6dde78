"""Megatron's pair: the index byte for byte, one text for many copies, and what is no index."""

from pathlib import Path

import numpy as np
import pytest

from samplemix_dagster.export_formats.ids.megatron import index_bytes, read_index
from samplemix_dagster.export_formats.table import FORMATS
from tests.export_formats.written import EOS, THREE, plan_of, read, write

MEGATRON = FORMATS["megatron"]
HEAD = (
    "4d4d494449445800000100000000000000"  # the magic bytes, version 1
    "08"  # uint16
    "0300000000000000"  # sequences
    "0400000000000000"  # bounds of documents
)
LENGTHS = "040000000200000003000000"
POINTERS = "000000000000000008000000000000000c00000000000000"
BOUNDS = "0000000000000000010000000000000002000000000000000300000000000000"


def test_an_index_of_three_documents_is_these_bytes(tmp_path: Path) -> None:
    write(MEGATRON, tmp_path, plan_of(MEGATRON), THREE)
    index = (tmp_path / "part-00000.idx").read_bytes()
    assert index.hex() == HEAD + LENGTHS + POINTERS + BOUNDS
    assert len(index) == 42 + 20 * 3
    ids = np.frombuffer((tmp_path / "part-00000.bin").read_bytes(), "<u2")
    assert ids.tolist() == [1, 2, 3, 9, 4, 9, 5, 6, 9]


def test_a_copy_costs_20_bytes_and_no_id(tmp_path: Path) -> None:
    plan = plan_of(MEGATRON)
    write(MEGATRON, tmp_path / "once", plan, THREE)
    write(MEGATRON, tmp_path / "twice", plan, [*THREE, THREE[1], THREE[0]])
    sizes = [
        [(tmp_path / folder / f"part-00000.{end}").stat().st_size for end in ("bin", "idx")]
        for folder in ("once", "twice")
    ]
    assert sizes == [[18, 102], [18, 142]]
    assert [one.offset for one in read(MEGATRON, tmp_path / "twice", plan)] == [0, 4, 6, 4, 0]


def test_materialised_pointers_follow_each_other(tmp_path: Path) -> None:
    plan = plan_of(MEGATRON, materialise="true")
    write(MEGATRON, tmp_path, plan, [*THREE, THREE[1], THREE[0]])
    _, lengths, pointers = read_index(tmp_path / "part-00000.idx")
    assert pointers.tolist() == (2 * (np.cumsum(lengths) - lengths)).tolist()


def test_large_vocabularies_have_ids_of_four_bytes(tmp_path: Path) -> None:
    write(MEGATRON, tmp_path, plan_of(MEGATRON, size=65_500), [[65_499, EOS], [1, EOS]])
    dtype, _, pointers = read_index(tmp_path / "part-00000.idx")
    assert (dtype, pointers.tolist()) == ("int32", [0, 8])


def test_a_document_longer_than_an_int32_has_no_place() -> None:
    with pytest.raises(ValueError, match="2,147,483,648 ids has no place"):
        index_bytes("uint16", np.array([1 << 31]), np.array([0]))


@pytest.mark.parametrize(
    ("head", "says"),
    [
        ("00" + HEAD[2:], "no index of Megatron"),
        (HEAD[:18] + "02" + HEAD[20:], "another version"),
        (HEAD[:34] + "06" + HEAD[36:], "another type"),
        (HEAD[:36] + "04" + HEAD[38:], "another length"),
        (HEAD[:20], "no index of Megatron"),
    ],
)
def test_what_is_no_index_is_not_read(head: str, says: str, tmp_path: Path) -> None:
    path = tmp_path / "x.idx"
    path.write_bytes(bytes.fromhex(head + LENGTHS + POINTERS + BOUNDS if len(head) > 20 else head))
    with pytest.raises(ValueError, match=says):
        read_index(path)


def test_a_pointer_outside_of_the_ids_is_not_read(tmp_path: Path) -> None:
    plan = plan_of(MEGATRON)
    write(MEGATRON, tmp_path, plan, THREE)
    (tmp_path / "part-00000.idx").write_bytes(
        index_bytes("uint16", np.array([4, 2]), np.array([0, 16]))
    )
    with pytest.raises(ValueError, match="lies outside"):
        read(MEGATRON, tmp_path, plan)
