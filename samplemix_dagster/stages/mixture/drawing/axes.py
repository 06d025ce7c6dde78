"""What a mixture's shares are shares of, and the group of each document.

The ledger of a version that holds shares by something other than sources names the group of each
row, so that whoever reads it needs neither the tables of clusters nor those of labels.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa

from samplemix_dagster.config.mixtures import SOURCE, Mixture
from samplemix_dagster.core.mixture.groups import Groups, groups_of
from samplemix_dagster.core.mixture.shares import SOURCES
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.shards.reading import read
from samplemix_dagster.stages.columns import strings
from samplemix_dagster.stages.outside.labels import labels_by
from samplemix_dagster.table_contract import Column, Table

SHARE_GROUP = "share_group"
_COLUMN = Column(SHARE_GROUP, pa.string(), "the group of which shares are held")
MOST_GROUPS = 1000
"""Groups of which shares are held at most; each has a scale of its own and a row in the report."""


class Axes:
    """What groups documents for the shares of one mixture."""

    def __init__(self, recipes: Recipes, mixture: str) -> None:
        self.recipes = recipes
        self.settings: Mixture = recipes.config.mixtures[mixture]
        self.labels = {stage.label: stage for stage in labels_by(recipes.config, mixture)}

    def groups(self, shard: PlacedShard, table: pa.Table) -> Groups:
        """Return the groups of a shard's N documents.

        Args:
            shard: The shard.
            table: Its scores, with the columns of language, cluster and topic.
        """
        if self.settings.is_by_source:
            return Groups.whole(shard.source, table.num_rows)
        return groups_of(list(self._columns(shard, table)))

    def _columns(self, shard: PlacedShard, table: pa.Table) -> Iterator[list[str]]:
        for word in self.settings.axes:
            if word in self.labels:
                yield read(self.recipes, self.labels[word], shard, "label")["label"].to_pylist()
            elif word == SOURCE:
                yield [shard.source] * table.num_rows
            else:
                yield strings(table, word).tolist()

    @property
    def what(self) -> str:
        """What the groups are, for messages."""
        return (
            SOURCES
            if self.settings.is_by_source
            else f"groups by {axes_in_words(self.settings.options)}"
        )


def axes_in_words(settings: Mapping[str, Any]) -> str:
    """Return what a group is one of, ``language`` or ``source/language``, by a version's settings.

    Args:
        settings: Settings of a mixture, as its manifest has them.
    """
    named = settings.get("shares_by", SOURCE)
    return named if isinstance(named, str) else "/".join(named)


def group_of(ledger_row: Mapping[str, Any]) -> str:
    """Return the group of a row of a ledger: its source, where the ledger names no other."""
    return str(ledger_row.get(SHARE_GROUP) or ledger_row["source"])


def and_group(ledger: Table) -> Table:
    """Return the contract of a ledger that says of which group each document is."""
    return replace(ledger, columns=(*ledger.columns, _COLUMN))


def group_column(groups: Groups) -> pa.Array:
    """Return the name of each document's group as a column."""
    return pa.array(np.asarray(groups.of_documents).tolist(), pa.string())
