"""What S3 calls a content: its ETag, which tells without a transfer whether an object is a file.

The ETag of what was sent in one request is the MD5 of its bytes, and of what was sent in parts the
MD5 of their MD5s, with their number behind it. Where the server encrypts with a key of one's own
it is neither.
"""

import hashlib
from pathlib import Path
from typing import Any


def etag_of(path: Path, part_bytes: int | None) -> str:
    """Return the ETag of a file that is sent in parts of some size, or, with None, at once."""
    with path.open("rb") as file:
        if part_bytes is None:
            return hashlib.file_digest(file, _md5).hexdigest()
        parts = [_md5(part).digest() for part in iter(lambda: file.read(part_bytes), b"")]
    return f"{_md5(b''.join(parts)).hexdigest()}-{len(parts)}"


def _md5(content: bytes = b"") -> Any:
    return hashlib.md5(content, usedforsecurity=False)
