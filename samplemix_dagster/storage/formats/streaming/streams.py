"""The bytes of a file, unpacked: gzip, zstd, bz2 and xz, of as many members as there are.

Members are unpacked one after the other, so that what stands between or behind them is seen. A
stream that breaks off, or that goes on with something else, ends with a :class:`Break`, which says
so; what came before it is handed out. Memory is a block, and the window that a zstd frame asks for.
"""

import codecs
import lzma
import struct
import zlib
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from typing import IO

import zstandard

from samplemix_dagster.storage.formats.base import BLOCK_BYTES
from samplemix_dagster.storage.formats.names import Compression
from samplemix_dagster.storage.formats.streaming.unpacking import (
    INPUT_BYTES,
    Bounded,
    Source,
    ZstdFrame,
)

_ZSTD_INPUT_BYTES = 1 << 10
"""A few packed bytes can stand for 128 kB, and zstd unpacks all that it is given."""
_FIRST_WINDOW_BYTES = 1 << 27
_PADDED = ("gzip", "xz")
"""Compressions whose own tools skip zero bytes behind a member."""
_BROKEN = (zlib.error, lzma.LZMAError, OSError, ValueError, EOFError, zstandard.ZstdError)
_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


@dataclass(frozen=True, slots=True)
class Break:
    """A stream that does not end as it should: why, and for which reason its end is rejected."""

    words: str
    problem: str = "truncated"


Blocks = Iterator[bytes | Break]


def packed_as(head: bytes) -> Compression | None:
    """Return the compression that the first bytes of a file show."""
    if head.startswith(b"\x1f\x8b"):
        return "gzip"
    if head.startswith(b"\x28\xb5\x2f\xfd") or _is_skippable(head):
        return "zstd"
    if head[:3] == b"BZh" and head[4:10] in {b"1AY&SY", b"\x17\x72\x45\x38\x50\x90"}:
        return "bz2"
    return "xz" if head.startswith(b"\xfd7zXZ\x00") else None


def _is_skippable(head: bytes) -> bool:
    """Whether a zstd frame begins that holds no data, as every file of pzstd does."""
    return len(head) >= 4 and struct.unpack("<I", head[:4])[0] >> 4 == 0x184D2A5


def needs_new_zstd(head: bytes) -> bool:
    """Whether zstd begins as the first version could not read it: no data, or a wide window."""
    if _is_skippable(head):
        return True
    try:
        return bool(zstandard.get_frame_parameters(head).window_size > _FIRST_WINDOW_BYTES)
    except zstandard.ZstdError:
        return False


class Stream:
    """Unpacked blocks whose beginning can be looked at before they are read."""

    def __init__(self, blocks: Blocks) -> None:
        self._blocks = blocks
        self._held: list[bytes | Break] = []

    def head(self, size: int) -> bytes:
        """Return at least so many of the first bytes, or all that there are."""
        found = b"".join(block for block in self._held if isinstance(block, bytes))
        while len(found) < size and not (self._held and isinstance(self._held[-1], Break)):
            block = next(self._blocks, None)
            if block is None:
                break
            self._held.append(block)
            if isinstance(block, bytes):
                found += block
        return found

    def __iter__(self) -> Blocks:
        while self._held:
            yield self._held.pop(0)
        yield from self._blocks


def stream_of(file: IO[bytes], compression: Compression | None) -> Stream:
    """Return the unpacked bytes of a file; a :class:`Break` comes last, if at all."""
    return Stream(_plain(file) if compression is None else _members(file, compression))


def _plain(file: IO[bytes]) -> Blocks:
    read = getattr(file, "read1", file.read)  # what is there already, without waiting for more
    while block := read(BLOCK_BYTES):
        yield block


def encoding_of(head: bytes) -> str:
    """Return the encoding that a byte order mark states; UTF-8 where there is none."""
    return next((name for mark, name in _MARKS if head.startswith(mark)), "utf-8")


def as_utf8(stream: Stream) -> Stream:
    """Return a stream without its byte order mark; UTF-16 and UTF-32 become UTF-8.

    Half a pair of surrogates stays one, so that its row is found not to be UTF-8.
    """
    head = stream.head(4)
    encoding = encoding_of(head)
    mark = next((mark for mark, name in _MARKS if head.startswith(mark)), b"")
    if not mark:
        return stream
    blocks = _without(iter(stream), len(mark))
    return Stream(blocks if encoding == "utf-8" else _recoded(blocks, encoding))


def _without(blocks: Blocks, size: int) -> Blocks:
    for block in blocks:
        if isinstance(block, Break) or not size:
            yield block
            continue
        if len(block) > size:
            yield block[size:]
        size = max(0, size - len(block))


def _recoded(blocks: Blocks, encoding: str) -> Blocks:
    decoder = codecs.getincrementaldecoder(encoding)("surrogatepass")
    for block in blocks:
        if isinstance(block, Break):
            yield block
            return
        try:
            text = decoder.decode(block)
        except UnicodeDecodeError as error:
            yield Break(f"it is no {encoding}: {error.reason}")
            return
        if text:
            yield text.encode("utf-8", "surrogatepass")
    if decoder.getstate()[0]:
        yield Break(f"it ends in the middle of a character of {encoding}")


def _members(file: IO[bytes], compression: Compression) -> Blocks:
    source = Source(file)
    is_first = True
    while source.peek(1):
        if not is_first:
            if compression in _PADDED and source.peek(1) == b"\0" and not source.skip_zeros():
                return
            if packed_as(source.peek(10)) != compression:
                yield Break(f"{source.count_rest()} bytes behind the last {compression} member")
                return
        is_first = False
        broken = yield from _member(source, compression)
        if broken is not None:
            yield broken
            return


def _member(source: Source, compression: Compression) -> Generator[bytes, None, Break | None]:
    """Unpack one member, and return how it broke off, if it did."""
    window = _window(source) if compression == "zstd" else ""
    unpacker = ZstdFrame() if compression == "zstd" else Bounded(compression)
    size = _ZSTD_INPUT_BYTES
    while not unpacker.eof:
        piece = source.read(size) if unpacker.needs_input else b""
        if unpacker.needs_input and not piece:
            return Break(f"it ends in the middle of a {compression} member")
        try:
            block = unpacker.unpack(piece)
        except MemoryError:
            return _too_little_memory(window or compression)
        except _BROKEN as error:
            words = str(error)
            if "emory" in words or "too much" in words:
                return _too_little_memory(window or compression)
            return Break(f"it is broken inside a {compression} member: {words}")
        if block:
            yield block
        if compression != "zstd":
            size = min(2 * size, INPUT_BYTES)
    source.give_back(len(unpacker.unused))
    return None


def _too_little_memory(needed: str) -> Break:
    return Break(f"there is too little memory for {needed}", "unreadable")


def _window(source: Source) -> str:
    """Say in words which window the next frame needs."""
    try:
        size = zstandard.get_frame_parameters(source.peek(18)).window_size
    except zstandard.ZstdError:
        return ""
    return f"zstd's window of {size / 2**20:,.0f} MiB"
