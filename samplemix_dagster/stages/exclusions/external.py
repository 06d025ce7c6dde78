"""external: documents that another tool's label or score keeps out."""

from collections.abc import Container, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from samplemix_dagster.config.exclude import Outside
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.shards.reading import read
from samplemix_dagster.engine.stages import Settings
from samplemix_dagster.errors import InputError
from samplemix_dagster.stages.exclusions.exclusion import Exclusion, Found, Look
from samplemix_dagster.stages.outside.joined import (
    COLUMNS,
    Key,
    cells,
    document_keys,
    joined_file,
    joined_settings,
    text_of,
)

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.engine.project import Project


_READING = 2
"""Of a file's names and labels: raised where the same file says another thing than before."""


class KeptOut(Exclusion):
    """What a file from outside says must not be drawn."""

    reason = "external"

    def is_asked(self, project: "Project") -> bool:
        """Whether a file is named."""
        return bool(project.config.exclude.external)

    def needs(self, project: "Project") -> tuple[str, ...]:
        """Return the documents."""
        del project
        return (DOCUMENTS.asset,)

    def settings(self, recipes: "Recipes") -> Settings:
        """Return the documents, the digest of each file, and which of its values keep out.

        Raises:
            InputError: A file is not there.
        """
        project, every = recipes.project, recipes.config.exclude.external
        return {
            "documents": recipes.by_source(DOCUMENTS),
            "files": {
                name: joined_settings(_file(project, name), outside)
                for name, outside in every.items()
            },
            "reading": _READING,
        }

    def sets(self, project: "Project") -> tuple[str, ...]:
        """Return the files."""
        return tuple(project.config.exclude.external)

    def check(self, project: "Project") -> None:
        """Read the files before anything is paid for.

        Raises:
            InputError: One is not there, cannot be read, or is not as its section says.
        """
        _kept_out(project)

    def looks(self, recipes: "Recipes", out: Container[str]) -> Look:
        """Return what yields the documents that a value keeps out, with the file's name and it."""
        del out
        project = recipes.project
        named = _kept_out(project)

        def look(shard: PlacedShard) -> Iterator[Found]:
            documents = read(recipes, DOCUMENTS, shard, *COLUMNS)
            ids = documents.column("doc_id").to_pylist()
            for name, outside in project.config.exclude.external.items():
                keys = document_keys(documents, shard.source, outside.by)
                for doc_id, (own, any_source) in zip(ids, keys, strict=True):
                    value = named[name].get(own, named[name].get(any_source))
                    if value is not None:
                        yield doc_id, f"{name}: {value}"

        return look


KEPT_OUT = KeptOut()


def _where(name: str) -> str:
    return f"exclude.external.{name}"


def _file(project: "Project", name: str) -> Path:
    return joined_file(project, project.config.exclude.external[name], _where(name))


def _kept_out(project: "Project") -> dict[str, Mapping[Key, str]]:
    """Return what each file keeps out, by its name."""
    return {
        name: kept_out(_file(project, name), outside, _where(name))
        for name, outside in project.config.exclude.external.items()
    }


def kept_out(file: Path, outside: Outside, where: str) -> Mapping[Key, str]:
    """Return the documents that a file keeps out, by source and name, each with its value.

    A document of several rows is kept out if one of them says so, and has the value of the first
    that does. A row without a value says nothing.

    Args:
        file: What another tool gave.
        outside: How it is read, and which values keep out.
        where: What the configuration calls it, for messages.

    Raises:
        InputError: A column is not there, or a score is no number.
    """
    found: dict[Key, str] = {}
    for place, key, value in cells(file, outside, where):
        if value is not None and _keeps_out(value, outside, place):
            found.setdefault(
                key, f"{value:g}" if isinstance(value, float) else text_of(value, place)
            )
    return found


def _keeps_out(value: object, outside: Outside, place: str) -> bool:
    if outside.values:
        return text_of(value, place) in outside.values
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(
            f"{place}: {outside.column!r} is {value!r:.40}, no number. Name the labels that keep a "
            "document out in `values`."
        )
    is_below = outside.below is not None and value < outside.below
    return is_below or (outside.above is not None and value > outside.above)
