"""Objects of S3: list, look, read by ranges, write whole, remove; every failure is a sentence.

The client retries what can pass (throttling, 5xx, lost connections) with growing, random pauses;
what cannot pass (no access, no bucket, no credentials) is tried once. A body that is cut is asked
for again from where it broke off (``s3_file.py``). What the objects mean is the callers' business.
"""

import contextlib
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from samplemix_dagster.config import around as config_around
from samplemix_dagster.errors import ConfigError
from samplemix_dagster.storage.s3.errors import (
    FAILURES,
    MIB,
    Kind,
    failure,
    is_absent,
    is_unchanged,
)
from samplemix_dagster.storage.s3.etags import etag_of

SCHEME = "s3://"
_MULTIPART_BYTES = 64 * MIB
_PART_BYTES = 16 * MIB
_UPLOADS_AT_ONCE = 4
# At this level these libraries write requests with their headers, and so credentials.
_TALKATIVE = ("boto3", "botocore", "s3transfer", "urllib3")

ClientFactory = Callable[[config_around.S3], Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An object as a listing or a look shows it; ``etag`` is without quotes."""

    key: str
    size: int
    etag: str
    modified: float
    """Seconds since 1970."""


def make_client(settings: config_around.S3) -> Any:
    """Return a boto3 client: the one place where the section ``s3`` becomes settings of boto3.

    Credentials come from where boto3 looks for them: environment, profile, role.
    """
    import boto3
    from botocore.config import Config

    for name in _TALKATIVE:
        logger = logging.getLogger(name)
        if logger.level < logging.INFO:
            logger.setLevel(logging.INFO)
    # Servers that are not Amazon's need not know its newer checksums.
    checksums = "when_required" if settings.endpoint else "when_supported"
    return boto3.session.Session(profile_name=settings.profile).client(
        "s3",
        region_name=settings.region,
        endpoint_url=settings.endpoint,
        config=Config(
            retries={"total_max_attempts": settings.max_attempts, "mode": "standard"},
            s3={"addressing_style": settings.addressing},
            connect_timeout=10,
            read_timeout=60,
            max_pool_connections=16,
            request_checksum_calculation=checksums,
            response_checksum_validation=checksums,
        ),
    )


def split_url(url: str) -> tuple[str, str]:
    """Return (bucket, key or prefix) of an ``s3://`` URL.

    Raises:
        ConfigError: It names no bucket.
    """
    bucket, _, key = url.removeprefix(SCHEME).partition("/")
    if not url.startswith(SCHEME) or not bucket or any(c in bucket for c in "*?["):
        raise ConfigError(f"{url} names no bucket; write s3://bucket/prefix.")
    return bucket, key


class Connection:
    """One client for a project, made when it is first needed."""

    def __init__(self, settings: config_around.S3, factory: ClientFactory = make_client) -> None:
        self.settings = settings
        self._factory = factory
        self._client: Any = None

    def use(self, factory: ClientFactory) -> None:
        """Let another factory make the client, unless one has been made."""
        self._factory = factory

    @property
    def client(self) -> Any:
        """The boto3 client; it may be used by several threads."""
        if self._client is None:
            self._client = self._factory(self.settings)
        return self._client


class Bucket:
    """The objects of one bucket."""

    def __init__(
        self,
        connection: Connection,
        name: str,
        kind: Kind,
        *,
        multipart_bytes: int = _MULTIPART_BYTES,
        part_bytes: int = _PART_BYTES,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Name a bucket; nothing is asked for yet.

        Args:
            connection: How S3 is reached.
            name: The bucket.
            kind: As which errors failures are raised.
            multipart_bytes: From this size on, a file is sent in parts.
            part_bytes: Size of a part; S3 allows no part below 5 MiB but the last.
            sleep: Waits some seconds.
        """
        self.connection = connection
        self.name = name
        self.kind = kind
        self.sleep = sleep
        self._multipart_bytes = multipart_bytes
        self._part_bytes = part_bytes

    @property
    def max_attempts(self) -> int:
        """Tries of one request that fails for a reason that can pass."""
        return self.connection.settings.max_attempts

    def url(self, key: str) -> str:
        """Return what a key is called for people."""
        return f"{SCHEME}{self.name}/{key}"

    @contextlib.contextmanager
    def explained(self, key: str) -> Iterator[Any]:
        """Yield the client; what it raises becomes a sentence about a key.

        Nothing is chained: what boto3 raises may quote the request.
        """
        try:
            yield self.connection.client
        except FAILURES as error:
            raise failure(error, self.url(key), self.kind, self.max_attempts) from None

    def below(self, prefix: str, page: int = 1000) -> Iterator[Entry]:
        """Yield every object below a prefix, in order of key, a page of at most 1000 at a time."""
        with self.explained(prefix) as client:
            for found in self._pages(client, prefix, page):
                yield from map(_entry, found.get("Contents", ()))

    def children(self, prefix: str) -> tuple[list[Entry], list[str]]:
        """Return (objects, prefixes that end in a slash) directly below a prefix."""
        entries: list[Entry] = []
        folders: list[str] = []
        with self.explained(prefix) as client:
            for found in self._pages(client, prefix, 1000, Delimiter="/"):
                entries += map(_entry, found.get("Contents", ()))
                folders += [item["Prefix"] for item in found.get("CommonPrefixes", ())]
        return entries, folders

    def _pages(self, client: Any, prefix: str, page: int, **more: str) -> Iterator[dict[str, Any]]:
        pages = client.get_paginator("list_objects_v2").paginate(
            Bucket=self.name, Prefix=prefix, PaginationConfig={"PageSize": page}, **more
        )
        yield from pages

    def head(self, key: str) -> Entry | None:
        """Return what stands at a key; None when nothing does."""
        with self.explained(key) as client:
            try:
                found = client.head_object(Bucket=self.name, Key=key)
            except FAILURES as error:
                if is_absent(error):
                    return None
                raise
            return Entry(
                key=key,
                size=found["ContentLength"],
                etag=found["ETag"].strip('"'),
                modified=found["LastModified"].timestamp(),
            )

    def request(self, key: str, *, start: int = 0, end: int | None = None, etag: str = "") -> Any:
        """Return the response to a GET of bytes ``start`` to ``end``, that not included."""
        options: dict[str, str] = {}
        if start or end is not None:
            options["Range"] = f"bytes={start}-" + ("" if end is None else str(end - 1))
        if etag:
            options["IfMatch"] = f'"{etag}"'
        with self.explained(key) as client:
            return client.get_object(Bucket=self.name, Key=key, **options)

    def fetch(self, key: str, to: Path, known: str = "") -> str | None:
        """Write an object's bytes to a file; return its ETag, None when there is no object.

        Args:
            key: The object.
            to: The file, which is replaced; it is not touched when nothing is fetched.
            known: An ETag: while the object still has it, nothing is fetched.
        """
        from samplemix_dagster.storage.s3.object_file import S3File

        options = {"IfNoneMatch": f'"{known}"'} if known else {}
        with self.explained(key) as client:
            try:
                response = client.get_object(Bucket=self.name, Key=key, **options)
            except FAILURES as error:
                if is_unchanged(error):
                    return known
                if is_absent(error):
                    return None
                raise
        with S3File(self, key, response=response) as source, to.open("wb") as target:
            while block := source.read(MIB):
                target.write(block)
        return str(response["ETag"]).strip('"')

    def read(self, key: str) -> bytes | None:
        """Return an object's bytes; None when there is no object."""
        from samplemix_dagster.storage.s3.object_file import S3File

        with self.explained(key) as client:
            try:
                response = client.get_object(Bucket=self.name, Key=key)
            except FAILURES as error:
                if is_absent(error):
                    return None
                raise
        with S3File(self, key, response=response) as source:
            return source.read()

    def put(self, key: str, content: bytes) -> None:
        """Write an object in one request: it is there whole or not at all."""
        with self.explained(key) as client:
            client.put_object(Bucket=self.name, Key=key, Body=content)

    def upload(self, path: Path, key: str) -> None:
        """Write an object from a file: in one request, or in parts that are dropped on failure."""
        with path.open("rb") as file, self.explained(key) as client:
            client.upload_fileobj(file, self.name, key, Config=self._transfer)

    def copy(self, source: str, key: str) -> None:
        """Write an object from another of the bucket, on the server: no byte travels."""
        named = {"Bucket": self.name, "Key": source}
        with self.explained(key) as client:
            client.copy(named, self.name, key, Config=self._transfer)

    @property
    def _transfer(self) -> Any:
        from boto3.s3.transfer import TransferConfig

        return TransferConfig(
            multipart_threshold=self._multipart_bytes,
            multipart_chunksize=self._part_bytes,
            max_concurrency=_UPLOADS_AT_ONCE,
        )

    def holds(self, path: Path, key: str) -> bool:
        """Whether an object has the bytes of a file; no where its ETag does not tell."""
        found = self.head(key)
        if found is None or found.size != path.stat().st_size:
            return False
        is_in_parts = found.size >= self._multipart_bytes
        return found.etag == etag_of(path, self._part_bytes if is_in_parts else None)

    def delete(self, key: str) -> None:
        """Remove an object; nothing happens when there is none."""
        with self.explained(key) as client:
            client.delete_object(Bucket=self.name, Key=key)


def _entry(found: dict[str, Any]) -> Entry:
    return Entry(
        key=found["Key"],
        size=found["Size"],
        etag=found["ETag"].strip('"'),
        modified=found["LastModified"].timestamp(),
    )
