"""Packed files: every member is read, and what is none of them is said."""

import bz2
import gzip
import io
import lzma
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from samplemix_dagster.storage.corpus.shards import Rejection
from samplemix_dagster.storage.formats.streaming import streams
from tests.storage.test_shards import DOC, PAIR, outcomes, read

Pack = Callable[[bytes], bytes]
PACKS: dict[str, Pack] = {
    "gz": gzip.compress,
    "zst": zstandard.ZstdCompressor().compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
}
SKIPPED = struct.pack("<II", 0x184D2A50, 4) + b"\0" * 4
each = pytest.mark.parametrize("ending", PACKS)


@each
def test_every_member_is_read_and_empty_ones_do_no_harm(ending: str, tmp_path: Path) -> None:
    pack = PACKS[ending]
    content = pack(b"") + pack(PAIR) + pack(b"") + pack(PAIR)
    assert outcomes(read(tmp_path, f"a.jsonl.{ending}", content)) == [DOC] * 4


@each
def test_what_stands_behind_the_last_member_is_one_rejected_row(
    ending: str, tmp_path: Path
) -> None:
    found = read(tmp_path, f"a.jsonl.{ending}", PACKS[ending](PAIR) + b"no member")
    assert outcomes(found) == [DOC, DOC, "truncated"]
    assert isinstance(found[2], Rejection)
    assert "9 bytes behind the last" in found[2].excerpt


@each
def test_a_member_that_breaks_off_says_so(ending: str, tmp_path: Path) -> None:
    [*_, last] = read(tmp_path, f"a.jsonl.{ending}", PACKS[ending](PAIR)[:-2])
    assert isinstance(last, Rejection)
    assert last.excerpt.startswith("it ends in the middle of a")


@each
def test_a_name_in_capitals_is_the_same_name(ending: str, tmp_path: Path) -> None:
    assert outcomes(read(tmp_path, f"A.JSONL.{ending.upper()}", PACKS[ending](PAIR))) == [DOC, DOC]


@pytest.mark.parametrize("ending", ["gz", "xz"])
def test_zeros_behind_a_member_are_padding(ending: str, tmp_path: Path) -> None:
    content = PACKS[ending](PAIR) + b"\0" * 512 + PACKS[ending](PAIR) + b"\0" * 4
    assert outcomes(read(tmp_path, f"a.jsonl.{ending}", content)) == [DOC] * 4


def test_zstd_frames_without_data_are_skipped(tmp_path: Path) -> None:
    frame = PACKS["zst"](PAIR)
    content = SKIPPED + frame + SKIPPED + SKIPPED + frame + SKIPPED
    assert outcomes(read(tmp_path, "a.jsonl.zst", content)) == [DOC] * 4


def wide_frame(content: bytes, window_log: int) -> bytes:
    """A frame that asks for a window and holds its content unpacked."""
    block = struct.pack("<I", 1 | len(content) << 3)[:3] + content
    return b"\x28\xb5\x2f\xfd\x00" + bytes([(window_log - 10) << 3]) + block


@pytest.mark.parametrize("window_log", [20, 27, 28, 31])
def test_zstd_is_read_whatever_window_it_asks_for(window_log: int, tmp_path: Path) -> None:
    assert outcomes(read(tmp_path, "a.jsonl.zst", wide_frame(PAIR, window_log))) == [DOC, DOC]


def test_a_window_that_memory_forbids_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Small:
        needs_input, eof = True, False

        def unpack(self, _piece: bytes) -> bytes:
            raise zstandard.ZstdError("Allocation error : not enough memory")

    monkeypatch.setattr(streams, "ZstdFrame", Small)
    [found] = streams.stream_of(io.BytesIO(wide_frame(PAIR, 31)), "zstd")
    assert found == streams.Break(
        "there is too little memory for zstd's window of 2,048 MiB", "unreadable"
    )


@each
def test_what_is_packed_twice_is_one_rejected_row(ending: str, tmp_path: Path) -> None:
    pack = PACKS[ending]
    [row] = read(tmp_path, f"a.jsonl.{ending}", pack(pack(PAIR)))
    assert isinstance(row, Rejection)
    assert row.excerpt.endswith("unpack it once")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32", "utf-8-sig"])
@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_a_mark_at_the_beginning_says_the_encoding(
    encoding: str, name: str, tmp_path: Path
) -> None:
    content = PAIR.decode().encode(encoding)
    packed = gzip.compress(content) if name.endswith("gz") else content
    assert outcomes(read(tmp_path, name, packed)) == [DOC, DOC]
