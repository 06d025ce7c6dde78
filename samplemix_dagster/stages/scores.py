"""scores: every score of a document side by side, in one wide table."""

from typing import TYPE_CHECKING

import pyarrow as pa

from samplemix_dagster import tables
from samplemix_dagster.config.project import Config
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.shards.reading import read
from samplemix_dagster.engine.stages import Maker, Settings, Stage, Task
from samplemix_dagster.stages.columns import lazily
from samplemix_dagster.stages.diversity.diversity import DIVERSITY
from samplemix_dagster.stages.diversity.grams.ngrams import OWNERSHIP
from samplemix_dagster.stages.diversity.meaning.clusters import CLUSTERS
from samplemix_dagster.stages.diversity.topics import TOPICS
from samplemix_dagster.stages.flow import flow_stages
from samplemix_dagster.stages.outside.labels import labels_by
from samplemix_dagster.stages.quality.loss.perplexity import PERPLEXITY
from samplemix_dagster.stages.quality.quality import QUALITY
from samplemix_dagster.stages.quality.tokens import TOKENS
from samplemix_dagster.stages.signals import SIGNALS
from samplemix_dagster.table_contract import Column, Table

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.engine.project import Project

_FIRST = (DOCUMENTS, PERPLEXITY, TOKENS, QUALITY, CLUSTERS, OWNERSHIP, TOPICS)
"""Whose columns stand first, in this order; those of diversity stand last."""


def wide_stages(config: Config) -> tuple[Stage, ...]:
    """Return the stages whose columns are laid side by side, in the order of the columns."""
    named = {stage.name for stage in (*_FIRST, DIVERSITY)}
    every = {stage.name: stage for stage in flow_stages(config)}
    others = (stage for name, stage in every.items() if stage.is_wide and name not in named)
    # The flow has each as the configuration wants it: with the columns that windows give, perhaps.
    first = (every.get(stage.name, stage) for stage in _FIRST)
    return (*first, *others, DIVERSITY)


def scored_stages(config: Config) -> tuple[Stage, ...]:
    """Return the stages that give scores to the wide table, but for signals of a class."""
    own = {stage.name for stage in SIGNALS.stages(config)}
    wide = wide_stages(config)
    return tuple(s for s in wide if not s.lists_documents and s.name not in own)


class Scores(Stage):
    """The wide table: one row per document with every score."""

    name = "scores"
    asset = "document_scores"
    group = "beta"
    table = tables.scores_table()
    words = "One row per document with every score, side by side."
    feeds = True

    def needs(self, project: "Project") -> tuple[str, ...]:
        """Return what is laid side by side, but for what the rest of it is made from."""
        wide = wide_stages(project.config)
        below = {asset for stage in wide for asset in stage.needs(project)}
        return tuple(stage.asset for stage in wide if stage.asset not in below)

    def settings(self, recipes: "Recipes", source: str) -> Settings:
        """Return all that is laid side by side."""
        stages = wide_stages(recipes.config)
        return {stage.name: recipes.fingerprint(stage, source) for stage in stages}

    def work(self, recipes: "Recipes", partition: str) -> Task | Maker:
        """Return what lays every score of a document side by side."""
        del partition
        return lazily(lambda: _maker(recipes))

    def contract(self, config: Config, made: pa.Table | None = None) -> Table:
        """Return the contract of a table with the columns of all that a project computes."""
        del made
        columns = [column for stage in wide_stages(config) for column in _wide_columns(stage)]
        return Table(self.table.name, self.table.grain, (self.table.columns[0], *columns))


SCORES = Scores()


def _wide_columns(stage: Stage) -> list[Column]:
    names = stage.columns()
    of_stage = [column for column in stage.table.columns if column.name in names]
    return [
        Column(names[column.name], column.type, column.meaning, column.nullable)
        for column in of_stage
    ]


def _maker(recipes: "Recipes") -> Maker:
    contract = SCORES.contract(recipes.config)

    def make(shard: PlacedShard) -> pa.Table:
        ids = read(recipes, DOCUMENTS, shard, "doc_id").column("doc_id")
        arrays: dict[str, pa.ChunkedArray] = {"doc_id": ids}
        for stage in wide_stages(recipes.config):
            names = stage.columns()
            table = read(recipes, stage, shard, *names)
            arrays |= {wide: table.column(name) for name, wide in names.items()}
        return contract.make(**arrays)

    return make


def feature_stages(config: Config, mixture: str) -> tuple[Stage, ...]:
    """Return every per-shard stage that a mixture is made from."""
    every = (*flow_stages(config), SCORES)
    labels = {stage.name for stage in labels_by(config, mixture)}
    return tuple(stage for stage in every if stage.is_wide or stage.feeds or stage.name in labels)
