"""external: scores and labels that another tool gave, joined to documents by a key."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from samplemix_dagster.config.project import Config
from samplemix_dagster.config.signals import External
from samplemix_dagster.core.hashing import round_unit
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.project import PlacedShard, Project
from samplemix_dagster.engine.shards.reading import read
from samplemix_dagster.engine.stages import Line, Maker, Member, Settings, Stage, Task
from samplemix_dagster.errors import InputError
from samplemix_dagster.stages.columns import lazily
from samplemix_dagster.storage.lake.whole_files import digest_file
from samplemix_dagster.storage.outside_tables import table_of
from samplemix_dagster.tables import DOC_ID, Column, Table

if TYPE_CHECKING:
    from collections.abc import Iterable

    from samplemix_dagster.engine.addresses.recipes import Recipes

EXTERNAL = Table(
    "external",
    "One row per document of a shard: a score that another tool gave.",
    (
        DOC_ID,
        Column("score", pa.float64(), "the score, brought into (0, 1), high = good"),
        Column("is_known", pa.bool_(), "whether the file names the document"),
    ),
)

_KINDS = {
    "quality": ("signal", "Signal of quality"),
    "diversity": ("metric", "Component of diversity"),
}
"""What it is called, by the coordinate that it belongs to."""
_LEAST = 1e-3
"""How near to 0 and to 1 a score comes: a tool that says never has been wrong before."""
Key = tuple[str, str]
"""Source (empty where the file has none) and name of a document."""


class ExternalSignal(Stage):
    """One signal of quality, or component of diversity, that another tool gave."""

    table = EXTERNAL
    is_wide = True

    def __init__(self, coordinate: str, name: str, external: External) -> None:
        """Take the coordinate that it belongs to, its name, and where it comes from."""
        self.external = external
        self.signal = name
        self.group = coordinate
        kind, what = _KINDS[coordinate]
        self.name, self.asset = f"{kind}-{name}", f"{kind}_{name}"
        self.words = (
            f"{what} {name!r}, in (0, 1), from {external.file}: column "
            f"{external.column!r}, joined by {external.by}."
        )
        self.where = f"{coordinate}.external.{name}"
        """Where a person finds it in the configuration."""

    def needs(self, project: Project) -> tuple[str, ...]:
        """Return the documents."""
        del project
        return (DOCUMENTS.asset,)

    def reads_text(self, project: Project) -> bool:
        """It reads a file from outside, which is as little in the lake as texts are."""
        del project
        return True

    def settings(self, recipes: "Recipes", source: str) -> Settings:
        """Return the documents, the file's digest, and how the two are joined."""
        joined = self.external.for_recipe()
        del joined["file"]
        file = self.file(recipes.project)
        seen = file.stat()
        return {
            "documents": recipes.fingerprint(DOCUMENTS, source),
            "file": _digest(file, seen.st_size, seen.st_mtime_ns),
            **joined,
        }

    def file(self, project: Project) -> Path:
        """Return where the file lies.

        Raises:
            InputError: It is not there.
        """
        file = project.root / self.external.file
        if not file.is_file():
            raise InputError(
                f"{self.where}: there is no file {file}. Name one, or take {self.signal!r} out."
            )
        return file

    def work(self, recipes: "Recipes", partition: str) -> Task | Maker:
        """Return what joins the file to documents."""
        del partition
        return lazily(lambda: _maker(recipes, self))

    def columns(self) -> dict[str, str]:
        """Return the names that its columns have in the wide table."""
        return {"score": f"{self.signal}_score", "is_known": f"{self.signal}_is_known"}


_NAMES = ("id", "doc_id")


@lru_cache(maxsize=64)
def _digest(file: Path, size: int, changed: int) -> str:
    """Return a file's digest; one whose size and time are as they were is not read again."""
    del size, changed
    return digest_file(file)


def _maker(recipes: "Recipes", signal: ExternalSignal) -> Maker:
    external = signal.external
    known = known_scores(signal.file(recipes.project), external, signal.where)
    missing = _inside(external.missing)

    def make(shard: PlacedShard) -> pa.Table:
        documents = read(recipes, DOCUMENTS, shard, "doc_id", "id", "metadata")
        found = [
            known.get((shard.source, name), known.get(("", name)))
            for name in document_names(documents, external.by)
        ]
        scores = np.array([missing if score is None else score for score in found])
        return EXTERNAL.make(
            doc_id=documents.column("doc_id"),
            score=round_unit(scores),
            is_known=[score is not None for score in found],
        )

    return make


def document_names(documents: pa.Table, by: str) -> Iterator[str]:
    """Yield the name of each document by which it is joined; empty where it has none."""
    if by in _NAMES:
        yield from (name or "" for name in documents.column(by).to_pylist())
        return
    for metadata in documents.column("metadata").to_pylist():
        found = json.loads(metadata or "{}").get(by)
        yield "" if found is None else str(found)


def known_scores(file: Path, external: External, where: str) -> Mapping[Key, float]:
    """Return the scores of a file, inside (0, 1), by source and name.

    A row without a name, without a score, or with a label that is not asked for, is left out.

    Args:
        file: What another tool gave.
        external: How it is read.
        where: What the configuration calls it, for messages.

    Raises:
        InputError: A column is not there, a score is no number, or a document has two scores.
    """
    table = table_of(file)
    where = f"{where}: {file}"
    for name in (external.key, external.column):
        if name not in table.column_names:
            raise InputError(f"{where} has no column {name!r}; there are {table.column_names}.")
    names = table.column(external.key).to_pylist()
    has_source = external.by == "id" and "source" in table.column_names
    sources = table.column("source").to_pylist() if has_source else [""] * len(names)
    values = table.column(external.column).to_pylist()
    known: dict[Key, float] = {}
    for row, (source, name, value) in enumerate(zip(sources, names, values, strict=True), 1):
        score = score_of(value, external, f"{where}, row {row}")
        if name is None or score is None:
            continue
        key = (str(source or ""), str(name))
        if known.setdefault(key, score) != score:
            raise InputError(f"{where}, row {row}: {name!r} has another score further up.")
    return known


def score_of(value: object, external: External, where: str) -> float | None:
    """Return a value's score inside (0, 1); None for one that says nothing.

    Raises:
        InputError: It is no number, and labels are not asked for.
    """
    if external.values:
        found = external.values.get(str(value))
        return None if found is None else _inside(found)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(
            f"{where}: {external.column!r} is {value!r:.40}, no number. Name what labels are worth "
            "in `values`."
        )
    if not np.isfinite(value):
        return None
    return _inside((value - external.low) / (external.high - external.low))


def _inside(score: float) -> float:
    return min(1.0 - _LEAST, max(_LEAST, score))


@dataclass(frozen=True, slots=True)
class Externals(Line):
    """Every signal that another tool gave and that counts."""

    def stages(self, config: Config) -> tuple[Stage, ...]:
        """Return the stages of a project's external signals."""
        return (*external_signals(config).values(), *external_components(config).values())

    def members(self, project: Project) -> "Iterable[Member]":
        """Return the same."""
        return tuple((stage, "") for stage in self.stages(project.config))


EXTERNALS = Externals()


def external_signals(config: Config) -> dict[str, ExternalSignal]:
    """Return the external signals that count, by name."""
    every = config.quality.external
    return {
        name: ExternalSignal("quality", name, every[name])
        for name in config.quality.used
        if name in every
    }


def external_components(config: Config) -> dict[str, ExternalSignal]:
    """Return the external components of diversity that count, by name."""
    every = config.diversity.external
    return {
        name: ExternalSignal("diversity", name, external)
        for name, external in every.items()
        if config.diversity.counts(name)
    }
