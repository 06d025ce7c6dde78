"""Packed bytes and what unpacks one member of them, a block at a time."""

import bz2
import lzma
import zlib
from typing import IO, Any

import zstandard

from samplemix_dagster.storage.formats.base import BLOCK_BYTES
from samplemix_dagster.storage.formats.names import Compression

INPUT_BYTES = 1 << 16


_OUTPUT_BYTES = 1 << 16
_WINDOW_BYTES = 1 << 31
"""The largest window of a zstd frame that there is."""


class Source:
    """Packed bytes, of which an unpacker can give back what it did not need."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._buffer = b""
        self._at = 0

    def read(self, size: int) -> bytes:
        """Return the next bytes, so many at most."""
        if self._at == len(self._buffer):
            self._buffer, self._at = self._file.read(INPUT_BYTES), 0
        piece = self._buffer[self._at : self._at + size]
        self._at += len(piece)
        return piece

    def give_back(self, size: int) -> None:
        """Take back the end of the piece that was read last."""
        self._at -= size

    def peek(self, size: int) -> bytes:
        """Return the next bytes without taking them."""
        while len(self._buffer) - self._at < size:
            block = self._file.read(INPUT_BYTES)
            if not block:
                break
            self._buffer, self._at = self._buffer[self._at :] + block, 0
        return self._buffer[self._at : self._at + size]

    def skip_zeros(self) -> bool:
        """Skip zero bytes; return whether anything stands behind them."""
        while head := self.peek(INPUT_BYTES):
            kept = head.lstrip(b"\0")
            self._at += len(head) - len(kept)
            if kept:
                return True
        return False

    def count_rest(self) -> int:
        """Return how many bytes are left, and take them."""
        total = len(self._buffer) - self._at
        while block := self._file.read(BLOCK_BYTES):
            total += len(block)
        return total


class Bounded:
    """One member of gzip, bz2 or xz, unpacked a block at a time."""

    def __init__(self, compression: Compression) -> None:
        self._is_gzip = compression == "gzip"
        makers: dict[str, Any] = {
            "gzip": lambda: zlib.decompressobj(31),
            "bz2": bz2.BZ2Decompressor,
            "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ),
        }
        self._member = makers[compression]()
        self._is_full = False

    @property
    def eof(self) -> bool:
        """Whether the member is at its end."""
        return bool(self._member.eof)

    @property
    def unused(self) -> bytes:
        """What was given beyond its end."""
        return bytes(self._member.unused_data)

    @property
    def needs_input(self) -> bool:
        """Whether it can give no more without more packed bytes."""
        if self._is_gzip:
            return not self._member.unconsumed_tail and not self._is_full
        return bool(self._member.needs_input)

    def unpack(self, piece: bytes) -> bytes:
        """Return what a piece of packed bytes stands for."""
        given = piece or self._member.unconsumed_tail if self._is_gzip else piece
        block = self._member.decompress(given, _OUTPUT_BYTES)
        self._is_full = len(block) == _OUTPUT_BYTES
        return bytes(block)


class ZstdFrame:
    """One frame of zstd; what a piece of it stands for comes at once."""

    needs_input = True

    def __init__(self) -> None:
        self._frame = zstandard.ZstdDecompressor(max_window_size=_WINDOW_BYTES).decompressobj()

    @property
    def eof(self) -> bool:
        """Whether the member is at its end."""
        return bool(self._frame.eof)

    @property
    def unused(self) -> bytes:
        """What was given beyond its end."""
        return bytes(self._frame.unused_data)

    def unpack(self, piece: bytes) -> bytes:
        """Return what a piece of packed bytes stands for."""
        return bytes(self._frame.decompress(piece))
