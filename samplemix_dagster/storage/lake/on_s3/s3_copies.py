"""What this machine keeps of a lake on S3: copies of objects, fetched whole."""

import uuid
from pathlib import Path

from samplemix_dagster.errors import LakeError
from samplemix_dagster.storage.corpus.home import make_folder
from samplemix_dagster.storage.lake.whole_files import digest_file
from samplemix_dagster.storage.s3.bucket import Bucket
from samplemix_dagster.storage.s3.etags import etag_of

WHOLE = ".whole"
"""The mark of a folder of which every object was fetched."""


class Copies:
    """Copies of the objects below a prefix, in a folder, by key."""

    def __init__(self, root: Path, bucket: Bucket, prefix: str) -> None:
        """Take the folder of the copies, and where the objects lie."""
        self.root = root
        self.bucket = bucket
        self.prefix = prefix

    def fetch(self, key: str) -> None:
        """Make a copy be the object's bytes; nothing travels where it is, and no object: no copy.

        An object's ETag is the MD5 of its bytes, or, if it was sent in parts or encrypted with a
        key, something else: then it travels.
        """
        copy = self.root / key
        known = etag_of(copy, None) if copy.is_file() else ""
        aside = copy.with_name(f".{copy.name}.{uuid.uuid4().hex[:12]}")
        make_folder(copy.parent)
        try:
            if self.bucket.fetch(self.prefix + key, aside, known) is None:
                self.remove(key)
            elif aside.exists():
                aside.replace(copy)
        except OSError as error:
            raise LakeError(
                f"{copy}, a copy of {self.bucket.url(self.prefix + key)}: {error.strerror}"
            ) from error
        finally:
            aside.unlink(missing_ok=True)

    def fetch_again(self, key: str) -> Path:
        """Return the copy of an object that can be replaced, made again unless it is the same."""
        copy = self.root / key
        mark = _etag_mark(copy)
        known = mark.read_text(encoding="utf-8") if copy.exists() and mark.exists() else ""
        aside = copy.with_name(f".{copy.name}.{uuid.uuid4().hex[:12]}")
        make_folder(copy.parent)
        try:
            etag = self.bucket.fetch(self.prefix + key, aside, known)
            if etag is None:
                self.remove(key)
            elif aside.exists():
                mark.unlink(missing_ok=True)
                aside.replace(copy)
                mark.write_text(etag, encoding="utf-8")
        except OSError as error:
            raise LakeError(
                f"{copy}, a copy of {self.bucket.url(self.prefix + key)}: {error.strerror}"
            ) from error
        finally:
            aside.unlink(missing_ok=True)
        return copy

    def mend(self, key: str) -> bool:
        """Fetch a copy again; whether there was one and it was not the object's bytes."""
        copy = self.root / key
        if not copy.exists():
            return False
        before = digest_file(copy)
        self.fetch(key)
        return copy.exists() and digest_file(copy) != before

    def remove(self, key: str) -> None:
        """Remove a copy, and the marks that speak of it."""
        copy = self.root / key
        copy.unlink(missing_ok=True)
        _etag_mark(copy).unlink(missing_ok=True)
        for folder in copy.relative_to(self.root).parents:
            (self.root / folder / WHOLE).unlink(missing_ok=True)


def _etag_mark(copy: Path) -> Path:
    return copy.with_name(f".{copy.name}.etag")
