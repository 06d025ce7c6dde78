"""Read a stage's table of a shard, and only if it is that shard's.

A table says in its footer where it belongs. One that an older version wrote does not, so the first
reader compares its documents with those of the shard's first reading.
"""

from typing import TYPE_CHECKING

import pyarrow as pa

from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.stages import Stage
from samplemix_dagster.errors import DamagedError
from samplemix_dagster.storage.lake.table_files import is_named

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes


def read(recipes: "Recipes", stage: Stage, shard: PlacedShard, *columns: str) -> pa.Table:
    """Return some columns of a stage's table for a shard.

    Raises:
        DamagedError: It is not what was written, or not of this shard.
    """
    key = recipes.feature_key(stage, shard)
    table = recipes.lake.read_table(key, list(columns) or None)
    if not stage.lists_documents and not is_named(table):
        compare_documents(recipes, stage, shard)
    return table


def compare_documents(recipes: "Recipes", stage: Stage, shard: PlacedShard) -> None:
    """Compare the documents of an older version's table with the shard's, once for a lake opened.

    Raises:
        DamagedError: They differ.
    """
    lake, key = recipes.lake, recipes.feature_key(stage, shard)
    if key in lake.checked:
        return
    documents = recipes.feature_key(DOCUMENTS, shard)
    ids, rows = (lake.read_table(one, ["doc_id"]).column(0) for one in (documents, key))
    if not ids.equals(rows):
        raise not_of_this_shard(recipes, stage, shard)
    lake.checked.add(key)


def not_of_this_shard(recipes: "Recipes", stage: Stage, shard: PlacedShard) -> DamagedError:
    """Note that a table does not go with the shard's documents: both of them are made again."""
    documents, key = (recipes.feature_key(one, shard) for one in (DOCUMENTS, stage))
    recipes.lake.damage(documents, f"its rows are not those of {key}")
    return recipes.lake.damage(key, f"its rows are not those of {documents}")
