"""external: scores and labels that another tool gave, joined to documents by a key."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from samplemix_dagster.config.project import Config
from samplemix_dagster.config.scoring.signals import External
from samplemix_dagster.core.hashing import round_unit
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.shards.reading import read
from samplemix_dagster.engine.stages import Line, Maker, Member, Settings, Stage, Task
from samplemix_dagster.errors import InputError
from samplemix_dagster.stages.columns import lazily
from samplemix_dagster.stages.outside.joined import (
    COLUMNS,
    Key,
    cells,
    document_keys,
    joined_file,
    settings_of_stage,
    text_of,
)
from samplemix_dagster.table_contract import Column, Table
from samplemix_dagster.tables import DOC_ID

if TYPE_CHECKING:
    from collections.abc import Iterable

    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.engine.project import Project

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


class ExternalSignal(Stage):
    """One signal of quality, or component of diversity, that another tool gave."""

    version = 2
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

    def needs(self, project: "Project") -> tuple[str, ...]:
        """Return the documents."""
        del project
        return (DOCUMENTS.asset,)

    def reads_text(self, project: "Project") -> bool:
        """It reads a file from outside, which is as little in the lake as texts are."""
        del project
        return True

    def settings(self, recipes: "Recipes", source: str) -> Settings:
        """Return the documents, the file's digest, and how the two are joined."""
        return {
            "documents": recipes.fingerprint(DOCUMENTS, source),
            **settings_of_stage(recipes.project, self.name, self.external, self.where),
        }

    def work(self, recipes: "Recipes", partition: str) -> Task | Maker:
        """Return what joins the file to documents."""
        del partition
        return lazily(lambda: _maker(recipes, self))

    def check(self, project: "Project") -> None:
        """Read the file before anything is paid for.

        Raises:
            InputError: It is not there, cannot be read, or is not as the section says.
        """
        known_scores(joined_file(project, self.external, self.where), self.external, self.where)

    def columns(self) -> dict[str, str]:
        """Return the names that its columns have in the wide table."""
        return {"score": f"{self.signal}_score", "is_known": f"{self.signal}_is_known"}


def _maker(recipes: "Recipes", signal: ExternalSignal) -> Maker:
    external = signal.external
    file = joined_file(recipes.project, external, signal.where)
    known = known_scores(file, external, signal.where)
    missing = _inside(external.missing)

    def make(shard: PlacedShard) -> pa.Table:
        documents = read(recipes, DOCUMENTS, shard, *COLUMNS)
        found = [
            known.get(own, known.get(any_source))
            for own, any_source in document_keys(documents, shard.source, external.by)
        ]
        scores = np.array([missing if score is None else score for score in found])
        return EXTERNAL.make(
            doc_id=documents.column("doc_id"),
            score=round_unit(scores),
            is_known=[score is not None for score in found],
        )

    return make


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
    known: dict[Key, float] = {}
    for place, key, value in cells(file, external, where):
        score = score_of(value, external, place)
        if score is not None and known.setdefault(key, score) != score:
            raise InputError(f"{place}: {key[1]!r} has another score further up.")
    return known


def score_of(value: object, external: External, where: str) -> float | None:
    """Return a value's score inside (0, 1); None for one that says nothing.

    Raises:
        InputError: It is no number, and labels are not asked for.
    """
    if external.values:
        found = external.values.get(text_of(value, where))
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

    def members(self, project: "Project") -> "Iterable[Member]":
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
