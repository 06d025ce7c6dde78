"""labels: names that another tool gave documents, joined by a key; shares can be held by them.

They are no score: no weight depends on them, so they do not stand in the wide table, and only a
mixture that holds shares by one of them is made from it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from samplemix_dagster.config.project import Config
from samplemix_dagster.config.scoring import signals
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
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.table_contract import Column, Table
from samplemix_dagster.tables import DOC_ID

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.engine.project import Project

LABEL = Table(
    "label",
    "One row per document of a shard: a label that another tool gave.",
    (
        DOC_ID,
        Column("row", pa.int64(), "row within the shard, from 0"),
        Column("label", pa.string(), "the label, or the name of those that have none"),
    ),
)


class LabelStage(Stage):
    """One label of documents."""

    version = 2
    table = LABEL
    group = "shards"

    def __init__(self, label: str, joined: signals.Labels) -> None:
        """Take its name, and where it comes from."""
        self.label, self.joined = label, joined
        self.name, self.asset = f"{keys.LABEL_STAGE}{label}", f"label_{label}"
        self.where = f"labels.{label}"
        """Where a person finds it in the configuration."""
        self.words = (
            f"The label {label!r} of each document, from {joined.file}: column "
            f"{joined.column!r}, joined by {joined.by}."
        )

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
            **settings_of_stage(recipes.project, self.name, self.joined, self.where),
        }

    def work(self, recipes: "Recipes", partition: str) -> Task | Maker:
        """Return what joins the file to documents."""
        del partition
        return lazily(lambda: self._maker(recipes))

    def check(self, project: "Project") -> None:
        """Read the file before anything is paid for.

        Raises:
            InputError: It is not there, cannot be read, or is not as the section says.
        """
        self._known(project)

    def _file(self, project: "Project") -> Path:
        return joined_file(project, self.joined, self.where)

    def _known(self, project: "Project") -> Mapping[Key, str]:
        return known_labels(self._file(project), self.joined, self.where)

    def _maker(self, recipes: "Recipes") -> Maker:
        known = self._known(recipes.project)

        def make(shard: PlacedShard) -> pa.Table:
            documents = read(recipes, DOCUMENTS, shard, "row", *COLUMNS)
            named = document_keys(documents, shard.source, self.joined.by)
            unknown = self.joined.unknown
            found = [known.get(own, known.get(any_source, unknown)) for own, any_source in named]
            return LABEL.make(
                doc_id=documents.column("doc_id"), row=documents.column("row"), label=found
            )

        return make


def known_labels(file: Path, joined: signals.Labels, where: str) -> Mapping[Key, str]:
    """Return the labels of a file, by source and name of the document.

    A row without a name or without a label is left out.

    Args:
        file: What another tool gave.
        joined: How it is read.
        where: What the configuration calls it, for messages.

    Raises:
        InputError: A column is not there, or a document has two labels.
    """
    known: dict[Key, str] = {}
    for place, key, value in cells(file, joined, where):
        label = text_of(value, place)
        if label and known.setdefault(key, label) != label:
            raise InputError(
                f"{place}: {key[1]!r} is {label!r:.40}, and {known[key]!r:.40} further up."
            )
    return known


@dataclass(frozen=True, slots=True)
class LabelLine(Line):
    """Every label that a project names."""

    def stages(self, config: Config) -> tuple[Stage, ...]:
        """Return the stages of a project's labels."""
        return label_stages(config)

    def members(self, project: "Project") -> Iterable[Member]:
        """Return the same."""
        return tuple((stage, "") for stage in self.stages(project.config))


LABELS = LabelLine()


def label_stages(config: Config) -> tuple[LabelStage, ...]:
    """Return the stages of a project's labels."""
    return tuple(LabelStage(name, joined) for name, joined in config.labels.items())


def labels_by(config: Config, mixture: str) -> Iterator[LabelStage]:
    """Yield the labels that a mixture holds shares by."""
    for word in config.mixtures[mixture].axes:
        if word in config.labels:
            yield LabelStage(word, config.labels[word])
