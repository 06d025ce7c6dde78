"""Files behind other URLs than S3's: ``hf://``, ``gs://``, ``az://`` and all that fsspec knows.

They are read and never written. What a server says of a file's content or time is the file's stamp;
one that says neither cannot be watched and is refused. Each failure is a sentence with the URL:
what the packages behind fsspec raise has no form in common. S3 has code of its own (``s3.py``).
"""

import abc
import datetime as dt
import functools
import io
from collections.abc import Callable, Mapping
from typing import IO, Any, TypeVar

from samplemix_dagster.errors import InputError, UnreachableInputError
from samplemix_dagster.storage.corpus.places.patterns import WILD, is_hidden, matches

Seen = tuple[int, str]
"""Size in bytes and stamp."""

_HASHES = ("etag", "ETag", "sha256", "md5Hash", "content_md5", "xet_hash", "blob_id", "oid")
_TIMES = ("mtime", "LastModified", "last_modified", "updated", "modified", "created")
_STAMPS = _HASHES + _TIMES
"""What servers say of a file that changes with its content; hashes before times."""
_LOCAL = ("file", "local")
_BUFFER_BYTES = 1 << 20
_LONGEST_WORDS = 300
_Found = TypeVar("_Found")


class FarPath(abc.ABC):
    """What a file behind any URL has of a path; its text is the URL."""

    @property
    def name(self) -> str:
        """The last part of its URL."""
        return str(self).rsplit("/", 1)[-1]

    @property
    def suffix(self) -> str:
        """Its ending, with the dot."""
        _, dot, ending = self.name.rpartition(".")
        return dot + ending if dot else ""

    def is_dir(self) -> bool:
        """A listing gives files alone."""
        return False

    def is_file(self) -> bool:
        """Whether there is such a file."""
        return self.look() is not None

    @abc.abstractmethod
    def look(self) -> Seen | None:
        """Return what the server says of it now; None when it is gone."""


class RemotePath(FarPath):
    """One file behind a URL, with the methods of a path that readers use."""

    def __init__(self, url: str, seen: Seen | None = None) -> None:
        """Name a file; with what a listing saw of it, it is opened as that or not at all."""
        self._url = url
        self._seen = seen

    def __str__(self) -> str:
        return self._url

    def look(self) -> Seen | None:
        """Return what the server says of it now; None when it is gone."""
        system, path = _system(self._url)
        system.invalidate_cache()
        info = _told(self._url, lambda: system.info(path))
        return None if info is None or info.get("type") == "directory" else _seen(self._url, info)

    def open(self, mode: Any = "rb") -> IO[Any]:
        """Open it for reading bytes.

        Raises:
            InputError: It is gone, it changed since it was listed, or it may not be read.
        """
        del mode
        now = self.look()
        if now is None:
            raise InputError(f"{self._url} is gone; run again, or correct `path`.")
        if self._seen not in (None, now):
            raise InputError(f"{self._url} changed since it was listed; run again.")
        system, path = _system(self._url)
        file = _told(self._url, lambda: system.open(path, "rb"))
        if file is None:
            raise InputError(f"{self._url} is gone; run again, or correct `path`.")
        return io.BufferedReader(_Explained(self._url, file), _BUFFER_BYTES)


class _Explained(io.RawIOBase):
    """A file whose failures are sentences."""

    def __init__(self, url: str, file: Any) -> None:
        super().__init__()
        self._url = url
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return int(self._file.tell())

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return int(self._file.seek(offset, whence))

    def readinto(self, buffer: Any) -> int:
        found = _told(self._url, lambda: self._file.read(len(buffer)))
        if found is None:
            raise InputError(f"{self._url} went while it was read; run again.")
        buffer[: len(found)] = found
        return len(found)

    def close(self) -> None:
        if not self.closed:
            self._file.close()
        super().close()


def matching(pattern: str) -> dict[str, Seen]:
    """Return the files that a URL names, by URL: one file, those below a folder, or of a pattern.

    Raises:
        InputError: They cannot be listed.
    """
    wild = WILD.search(pattern)
    if wild is None:
        return _named(pattern)
    fixed = pattern[: wild.start()].rpartition("/")[0]
    if fixed.endswith((":", "/")):
        raise InputError(f"{pattern} names no bucket or repository before its first wildcard.")
    depth = None if "**" in pattern else pattern.count("/") - fixed.count("/")
    found = _below(fixed, depth)
    if pattern in found:  # a name may look like a pattern: it is meant letter by letter
        return {pattern: found[pattern]}
    return {url: seen for url, seen in found.items() if matches(_inner(url), _inner(pattern))}


def _named(url: str) -> dict[str, Seen]:
    seen = None if url.endswith("/") else RemotePath(url).look()
    if seen is not None:
        return {url: seen}
    folder = url.rstrip("/")
    return {
        found: seen
        for found, seen in _below(folder, None).items()
        if not is_hidden(found.removeprefix(f"{folder}/"))
    }


def _below(folder: str, depth: int | None) -> dict[str, Seen]:
    """Return every file below a folder, by URL; the folder is spelled as it was given."""
    system, path = _system(folder)
    system.invalidate_cache()
    start = path.rstrip("/") + "/"
    found: dict[str, Seen] = {}
    pending = [(path, 1)]
    while pending:
        place, level = pending.pop()
        # `find` would pass over a folder that cannot be listed, without a word.
        for info in _told(folder, functools.partial(system.ls, place, detail=True)) or ():
            name = str(info["name"]).rstrip("/")
            if not name.startswith(start):
                continue  # what is asked for is a file, or the folder itself
            if info.get("type") == "directory":
                if name != place and (depth is None or level < depth):
                    pending.append((name, level + 1))
            else:
                url = f"{folder}/{name.removeprefix(start)}"
                found[url] = _seen(url, info)
    return dict(sorted(found.items()))


def _inner(url: str) -> str:
    return url.partition("://")[2]


def _seen(url: str, info: Mapping[str, Any]) -> Seen:
    """Return size and stamp of a file.

    Raises:
        InputError: The server says too little of it.
    """
    name = next((name for name in _STAMPS if info.get(name) is not None), None)
    size = info.get("size")
    if name is None or size is None:
        what = "size" if size is None else "hash and no time"
        raise InputError(
            f"{url}: the server tells no {what} of it, so that a change would not be noticed; copy "
            "it to a folder or to S3."
        )
    return int(size), f"{name}={_stamp(info[name])}"


def _stamp(value: Any) -> str:
    """Return a hash or a time as text: a listing and a look may spell one time in two ways."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dt.datetime):
        value = value.timestamp()
    return f"{value:.6f}" if isinstance(value, float) else str(value)


def _system(url: str) -> tuple[Any, str]:
    """Return fsspec's file system of a URL, and what the URL is called there.

    Raises:
        InputError: There is none, or it lacks its package.
    """
    from fsspec.core import url_to_fs

    protocol = url.partition("://")[0]
    if "::" in url:
        raise InputError(f"{url}: a path is one URL; unpack or copy what lies inside of another.")
    if protocol in _LOCAL:
        raise InputError(f"{url}: write a path of this machine without {protocol}://.")
    if protocol == "s3a":
        raise InputError(f"{url}: write s3:// instead of s3a://.")
    try:
        system, path = url_to_fs(url)
    except ImportError as error:
        raise InputError(_missing(url, protocol, error)) from error
    except ValueError as error:
        if "rotocol not known" not in str(error):
            raise InputError(f"{url}: {_words(error)}") from error
        raise InputError(
            f"{url}: no package here knows {protocol}://; a path is on this machine, or begins "
            "with s3://, hf://, gs://, az:// or what else fsspec knows."
        ) from error
    except Exception as error:
        raise InputError(f"{url} cannot be reached: {_words(error)}") from error
    return system, str(path)


def _missing(url: str, protocol: str, error: ImportError) -> str:
    from fsspec.registry import known_implementations

    known = known_implementations.get(protocol, {})
    package = str(known.get("class", "")).partition(".")[0]
    if package in {"", "fsspec"}:
        return f"{url}: {known.get('err') or _words(error)}"
    return (
        f"{url}: {protocol}:// is read by the package {package}, which is not installed: "
        f"`pip install {package}`, and run again."
    )


def _told(url: str, ask: Callable[[], _Found]) -> _Found | None:
    """Return an answer; None where there is no such file.

    Raises:
        InputError: It cannot be had.
    """
    try:
        return ask()
    except FileNotFoundError:
        return None
    except InputError:
        raise
    except (TimeoutError, ConnectionError) as error:
        raise UnreachableInputError(f"{url} cannot be reached: {_words(error)}") from error
    except Exception as error:
        raise InputError(f"{url} cannot be read: {_words(error)}") from error


def _words(error: BaseException) -> str:
    words = " ".join(str(error).split())
    return f"{type(error).__name__}: {words}"[:_LONGEST_WORDS]
