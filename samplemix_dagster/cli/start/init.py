"""Look into a folder of text and find the sources in it: what was guessed is said.

Each folder directly below becomes a source; files beside them become one of their own, and so do
folders whose names are ``key=value``. Formats, text and id fields are read off the first rows.
What lies there and is not read is told. A URL is looked into as a folder is: it is listed, and of
the first objects of each source the beginning is read.
"""

import glob
import itertools
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from samplemix_dagster.cli.start.first_rows import SHORTEST, fields_of
from samplemix_dagster.config.around import S3
from samplemix_dagster.config.corpus import MAX_PARTITIONS
from samplemix_dagster.errors import InputError
from samplemix_dagster.storage.corpus.places.files import Files, Listing, Seen, Unread
from samplemix_dagster.storage.corpus.places.hive import keys_of
from samplemix_dagster.storage.corpus.places.patterns import WILD
from samplemix_dagster.storage.corpus.scan import unread_words
from samplemix_dagster.storage.formats.names import COMPRESSIONS, named
from samplemix_dagster.storage.s3.bucket import Connection

_TEXT_FILES = ".jsonl, .parquet, .csv, .txt, .arrow, .tar, .warc, also .gz, .zst, .bz2 and .xz"
_TOO_SHORT = f"nothing in the first rows has the {SHORTEST} characters of a document"
_HIVE = re.compile(r"[^=/]+=[^/]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundSource:
    """A source as it was guessed."""

    name: str
    folder: str
    """The folder that it stands for."""
    paths: tuple[str, ...]
    """Patterns, in which the names that were found are taken letter by letter."""
    format: str
    text: str
    id: str | None
    num_files: int
    num_bytes: int
    bytes_per_document: float = 0.0
    """Of text, in the rows that were looked at."""
    has_text: bool = True
    """Whether a row that was looked at is as long as a document has to be."""
    files: frozenset[str] = frozenset()
    """What the patterns have to match."""
    keys: tuple[str, ...] = ()
    """Keys of its folders ``key=value``, sorted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What lies in a folder or below a prefix."""

    sources: tuple[FoundSource, ...]
    unread: tuple[Unread, ...]


def describe(place: str, base: Path) -> Found:
    """Return the sources in a folder or below a URL, and what is not read.

    Args:
        place: A folder or a URL.
        base: Folder of the configuration: paths are relative to it where they lie below it.

    Raises:
        InputError: There is no such folder or bucket, or nothing in it can be read.
    """
    files = Files(base, Connection(S3()))
    if "://" in place:
        root = place.rstrip("/") + "/"
        listing = files.matching([root])
        inner = {path: path.removeprefix(root) for path in listing.files}
    else:
        folder = Path(place)
        if not folder.is_dir():
            raise InputError(f"{place} is no folder; `samplemix init FOLDER` looks into one.")
        root = _shown(folder.resolve(), base)
        listing = files.matching([str(folder.resolve())])
        inner = {
            path: (base / path).relative_to(folder.resolve()).as_posix() for path in listing.files
        }
    return _found(place, root, listing, inner, files)


def describe_files(pattern: str, base: Path) -> Found:
    """Return the sources among the files that a glob matches, or that of one file.

    Sources are the folders below the last folder that the glob names without a wildcard.

    Raises:
        InputError: Nothing matches that can be read.
    """
    files = Files(base, Connection(S3()))
    path = Path(os.path.abspath(base / pattern))  # noqa: PTH100 - a link stays as it is named
    fixed = [*itertools.takewhile(lambda part: not WILD.search(part), path.parts)]
    folder = path.parent if path.exists() else Path(*fixed)
    listing = files.matching([str(path)])
    inner = {found: (base / found).relative_to(folder).as_posix() for found in listing.files}
    return _found(pattern, _shown(folder, base), listing, inner, files)


def _found(
    place: str, root: str, listing: Listing, inner: Mapping[str, str], files: Files
) -> Found:
    """Return the sources of a listing.

    Args:
        place: What was looked into, for messages.
        root: The folder that all of it lies in, as paths begin.
        listing: The files.
        inner: Their paths from there on.
        files: Where they lie.
    """
    if not listing.files:
        lost = f" Not read: {unread_words(listing.unread)}." if listing.unread else ""
        raise InputError(f"{place} has no file that looks like text ({_TEXT_FILES}).{lost}")
    sizes = {path: (seen or files.look(path) or (0, "")) for path, seen in listing.files.items()}
    groups = _groups(inner)
    if len(groups) > MAX_PARTITIONS:
        raise InputError(
            f"{place} has {len(groups):,} folders of text, and a corpus has at most "
            f"{MAX_PARTITIONS} sources: look into some of them alone, or write one source for all, "
            f"`path: {place}`."
        )
    sources = [_source(key, group, root, sizes, files) for key, group in groups.items()]
    return Found(sources=tuple(_with_names(sources)), unread=listing.unread)


def only_texts(found: Found, place: str) -> Found:
    """Return the sources that have text; the files of others are among what is not read.

    Args:
        found: What lies in a folder or below a prefix.
        place: What was looked into, for messages.

    Raises:
        InputError: None has text.
    """
    texts = tuple(source for source in found.sources if source.has_text)
    others = tuple(
        Unread(path=path, why=_TOO_SHORT, num_bytes=0)
        for source in found.sources
        for path in sorted(source.files)
        if not source.has_text
    )
    if not texts:
        raise InputError(f"{place} has no text. Not read: {unread_words(others)}.")
    return Found(sources=texts, unread=(*found.unread, *others))


def _shown(folder: Path, base: Path) -> str:
    """Return a folder as it is written: relative to the configuration where it lies below it."""
    inside = folder.is_relative_to(base)
    words = folder.relative_to(base).as_posix() if inside else folder.as_posix()
    return "" if words == "." else f"{words.rstrip('/')}/"


def _groups(inner: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Return the files of each source: by first folder, those of ``key=value`` together."""
    groups: dict[str, dict[str, str]] = {}
    for path, own in sorted(inner.items(), key=lambda item: item[1]):
        head, slash, _ = own.partition("/")
        key = "" if not slash else "*=*" if _HIVE.fullmatch(head) else head
        groups.setdefault(key, {})[path] = own
    return groups


def _source(
    key: str, group: Mapping[str, str], root: str, sizes: Mapping[str, Seen], files: Files
) -> FoundSource:
    depth = 1 if key else 0
    is_deep = any(own.count("/") > depth for own in group.values())
    folder = root + (f"{key}/" if key and key != "*=*" else "")
    start = glob.escape(folder) + ("*=*/" if key == "*=*" else "") + ("**/" if is_deep else "")
    endings = sorted({_ending(own.rsplit("/", 1)[-1]) for own in group.values()})
    fields = fields_of([files.at(path, _listed(path, sizes)) for path in sorted(group)])
    return FoundSource(
        name=key if key != "*=*" else "",
        folder=folder or "./",
        paths=tuple(f"{start}*{ending}" for ending in endings),
        format=", ".join(sorted({ending.lower().lstrip(".") for ending in endings})),
        text=fields.text,
        id=fields.id,
        num_files=len(group),
        num_bytes=sum(sizes[path][0] for path in group),
        bytes_per_document=fields.mean_bytes,
        has_text=fields.longest >= SHORTEST,
        files=frozenset(group),
        keys=tuple(sorted({key for path in group for key in _keys(path, folder)})),
    )


def _keys(path: str, folder: str) -> Mapping[str, str]:
    """Return what the folders below a source's own folder say, by key."""
    return keys_of(path.removeprefix(folder).split("/")[:-1])


def _listed(path: str, sizes: Mapping[str, Seen]) -> Seen | None:
    return sizes[path] if "://" in path else None


def _ending(name: str) -> str:
    """Return the ending that says format and compression, as it is spelled: ``.JSONL.GZ``."""
    meaning = named(name)
    packing = next((e for e in COMPRESSIONS if name.lower().endswith(e)), "")
    cut = len(packing) if meaning.compression else 0
    stem = name[: len(name) - cut]
    if not stem.lower().endswith(meaning.ending):  # .tgz stands for two endings
        return "." + name.rpartition(".")[2]
    return name[len(stem) - len(meaning.ending) :]


def _with_names(sources: list[FoundSource]) -> Iterator[FoundSource]:
    """Yield the sources, each with a name of its own that a configuration takes."""
    taken: set[str] = set()
    for source in sources:
        own = source.name or source.folder.rstrip("/").rsplit("/", 1)[-1]
        name = _identifier(own)
        first = 1 if name == "source" else 2
        numbered = (f"{name}_{number}" for number in itertools.count(first))
        choices = itertools.chain([name] if name != "source" else [], numbered)
        chosen = next(choice for choice in choices if choice not in taken)
        taken.add(chosen)
        yield replace(source, name=chosen)


def _identifier(name: str) -> str:
    """Return a folder's name in letters that a source's name may have; ``source`` without any."""
    kept = re.sub(r"[^A-Za-z0-9_-]+", "_", name).strip("_-")
    if not re.search(r"[A-Za-z0-9]", kept):
        return "source"
    return (kept if kept[:1].isalpha() else f"source_{kept}")[:80]
