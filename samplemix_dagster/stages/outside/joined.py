"""joined: files that another tool gave, joined to documents by a key."""

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from samplemix_dagster.config.scoring.signals import Joined
from samplemix_dagster.core.values import spelt
from samplemix_dagster.engine.stages import Settings
from samplemix_dagster.errors import InputError
from samplemix_dagster.storage.lake.whole_files import digest_file
from samplemix_dagster.storage.outside_tables import table_of

if TYPE_CHECKING:
    from samplemix_dagster.engine.project import Project

Key = tuple[str, str]
"""Source (empty where the file has none) and name of a document."""
_NAMES = ("id", "doc_id")
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)
COLUMNS = ("doc_id", "id", "metadata")
"""The columns of documents by which a file can be joined to them."""


def joined_file(project: "Project", joined: Joined, where: str) -> Path:
    """Return where a file lies.

    Args:
        project: Whose file it is.
        joined: The section that names it.
        where: What the configuration calls the section, for messages.

    Raises:
        InputError: It is not there.
    """
    file = project.root / joined.file
    name = where.rpartition(".")[2]
    if _URL.match(joined.file):
        raise InputError(
            f"{where}: {joined.file} is a URL, and a file of this machine is read here. Copy it "
            f"beside the configuration, or take {name!r} out."
        )
    if not file.is_file():
        raise InputError(f"{where}: there is no file {file}. Name one, or take {name!r} out.")
    return file


def joined_settings(file: Path, joined: Joined) -> Settings:
    """Return what of a section and its file belongs to a recipe: not where the file lies."""
    settings = joined.for_recipe()
    del settings["file"]
    seen = file.stat()
    return {"file": _digest(file, seen.st_size, seen.st_mtime_ns), **settings}


def settings_of_stage(project: "Project", stage: str, joined: Joined, where: str) -> Settings:
    """Return what of a section and its file belongs to a stage's recipe.

    A state of before says itself which bytes the file had, whatever lies there now.

    Args:
        project: Whose file it is.
        stage: The stage that joins it, by name.
        joined: The section that names it.
        where: What the configuration calls the section, for messages.

    Raises:
        InputError: The file is not there.
    """
    stated = project.stated_files(stage)
    if stated is None:
        return joined_settings(joined_file(project, joined, where), joined)
    return {**joined.for_recipe(), "file": stated[0]}


@lru_cache(maxsize=64)
def _digest(file: Path, size: int, changed: int) -> str:
    """Return a file's digest; one whose size and time are as they were is not read again."""
    del size, changed
    return digest_file(file)


def cells(file: Path, joined: Joined, where: str) -> Iterator[tuple[str, Key, object]]:
    """Yield each row of a file that names a document: its place, the name, and its value.

    A name is spelt as text is; an empty one names nothing.

    Args:
        file: What another tool gave.
        joined: How it is read.
        where: What the configuration calls it; places begin with it, for messages.

    Raises:
        InputError: It cannot be read, or a column is not there.
    """
    table = table_of(file, {joined.key, "source"})
    where = f"{where}: {file}"
    for name in (joined.key, joined.column):
        if name not in table.column_names:
            raise InputError(f"{where} has no column {name!r}; there are {table.column_names}.")
    names = table.column(joined.key).to_pylist()
    has_source = joined.by == "id" and "source" in table.column_names
    sources = table.column("source").to_pylist() if has_source else [""] * len(names)
    values = table.column(joined.column).to_pylist()
    for row, (source, name, value) in enumerate(zip(sources, names, values, strict=True), 1):
        place = f"{where}, row {row}"
        key = (text_of(source, place), text_of(name, place))
        if key[1]:
            yield place, (key[0], key[1].lower() if joined.by == "doc_id" else key[1]), value


def text_of(value: object, place: str) -> str:
    """Return a name or a label as text; empty where it says nothing.

    Raises:
        InputError: It is a list, say.
    """
    try:
        return spelt(value)
    except ValueError as error:
        raise InputError(f"{place}: {error}.") from None


def document_keys(documents: pa.Table, source: str, by: str) -> Iterator[tuple[Key, Key]]:
    """Yield the two keys that may name each document: in its source, and in any.

    Args:
        documents: Their :data:`COLUMNS`.
        source: The source that they are of.
        by: What a file names them by.
    """
    for name in _document_names(documents, by):
        # A document without a name is named by nothing: no row of a file has an empty one.
        yield (source, name), ("", name)


def _document_names(documents: pa.Table, by: str) -> Iterator[str]:
    if by in _NAMES:
        yield from (name or "" for name in documents.column(by).to_pylist())
        return
    for metadata in documents.column("metadata").to_pylist():
        found = json.loads(metadata or "{}").get(by)
        yield "" if isinstance(found, list | dict) else spelt(found)
