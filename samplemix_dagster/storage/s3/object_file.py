"""An object of S3 as a file: seekable, read by ranges, read on after a cut connection.

A read elsewhere asks for little more than was wanted, so that a Parquet file's footer and the
columns that are read are all that travels. Reads that follow on from each other ask for ever longer
ranges, which stream: memory holds one block. Every range but the first is bound to the object's
ETag, so that no file is put together from two objects.
"""

import io
from typing import TYPE_CHECKING, Any

from botocore.exceptions import IncompleteReadError

from samplemix_dagster.storage.s3.errors import MIB, body_failures, failure, pause

if TYPE_CHECKING:
    from samplemix_dagster.storage.s3.bucket import Bucket

_BLOCK_BYTES = 1 << 16
_LONGEST_RANGE = 64 * MIB
_GROWTH = 4
_SLICE_BYTES = 1 << 18  # what a cut connection loses at most


class S3File(io.RawIOBase):
    """Bytes of one object. Errors of S3 are the bucket's sentences, never an ``OSError``."""

    def __init__(
        self, bucket: "Bucket", key: str, *, size: int = 0, etag: str = "", response: Any = None
    ) -> None:
        """Open an object.

        Args:
            bucket: Where it lies.
            key: Its key.
            size: Its size in bytes, as listed; that of the response where one is given.
            etag: Its ETag, as listed.
            response: A response to a GET of the whole object that has not been read yet.
        """
        super().__init__()
        self._bucket = bucket
        self._key = key
        self._size, self._etag = size, etag
        self._position = 0
        self._body: Any = None
        self._body_at, self._range_end = 0, 0
        self._range_bytes = _BLOCK_BYTES
        self._block, self._block_at = b"", 0
        if response is not None:
            self._size, self._etag = response["ContentLength"], response["ETag"].strip('"')
            self._body, self._range_end = response["Body"], self._size

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def tell(self) -> int:
        """Return where the next read begins."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to an offset from the start, from here, or from the end; nothing is asked for."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._size}[whence]
        self._position = max(0, base + offset)
        return self._position

    def read(self, size: int | None = -1) -> bytes:
        """Return so many bytes, fewer at the end only; all that is left by default."""
        left = self._size - self._position
        left = max(0, left if size is None or size < 0 else min(size, left))
        pieces = []
        while left > 0:
            piece = self.read1(left)
            pieces.append(piece)
            left -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def read1(self, size: int = -1) -> bytes:
        """Return at least one byte, and at most so many; none at the end."""
        left = self._size - self._position
        size = left if size < 0 else min(size, left)
        if size <= 0:
            return b""
        inside = self._position - self._block_at
        if not 0 <= inside < len(self._block):
            self._block, self._block_at, inside = self._next(size), self._position, 0
        piece = self._block[inside : inside + size]
        self._position += len(piece)
        return piece

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer as far as one piece goes; return how many bytes that was."""
        piece = self.read1(len(buffer))
        buffer[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        """Drop the connection of a range that was not read to its end."""
        self._drop()
        self._block = b""
        super().close()

    def _next(self, wanted: int) -> bytes:
        """Return the next bytes at the position from S3, asking again when the body is cut."""
        failures = 0
        while True:
            if self._body is None or self._body_at != self._position:
                self._ask(wanted)
            left = self._range_end - self._body_at
            try:
                block: bytes = self._body.read(min(_SLICE_BYTES, left))
                if not block:
                    raise IncompleteReadError(actual_bytes=0, expected_bytes=left)
            except body_failures() as error:
                self._drop()
                failures += 1
                if failures >= self._bucket.max_attempts:
                    url, kind = self._bucket.url(self._key), self._bucket.kind
                    raise failure(error, url, kind, failures) from None
                self._bucket.sleep(pause(failures))
                continue
            self._body_at += len(block)
            if self._body_at == self._range_end:
                self._body = None  # read to its end: the connection is free again
            return block

    def _ask(self, wanted: int) -> None:
        self._drop()
        follows = self._position == self._range_end and self._position > 0
        longer = min(self._range_bytes * _GROWTH, _LONGEST_RANGE)
        self._range_bytes = longer if follows else _BLOCK_BYTES
        end = min(self._size, self._position + max(wanted, self._range_bytes))
        response = self._bucket.request(self._key, start=self._position, end=end, etag=self._etag)
        self._body, self._body_at, self._range_end = response["Body"], self._position, end

    def _drop(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None
