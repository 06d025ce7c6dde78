"""How a shard is read, and was: its rules, its documents, its rejected rows in the lake.

What a lake holds of JSON lines and Parquet by the first version's readers stays current. So that
every later look at such a shard finds the same documents, it is read by the same rules.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.storage.corpus.rows import ReadRules
from samplemix_dagster.storage.corpus.shards import Document, read_shard

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes

_COUNT = "num_rows"


def rules_as_read(recipes: "Recipes", source: str, digest: str) -> ReadRules:
    """Return the rules by which a shard's stored documents were read, or are to be."""
    rules = recipes.project.rules(source)
    key = f"{recipes.feature_folder(DOCUMENTS, source)}/{digest}.rejected.parquet"
    is_former = recipes.lake.exists(key) and _COUNT not in recipes.lake.columns(key)
    return replace(rules, as_before=True) if is_former else rules


def is_read_otherwise(recipes: "Recipes", source: str) -> bool:
    """Whether a source's files have other readers today than when its documents were read."""
    readers = recipes.project.readers(source)
    today = fingerprint(recipes.project.rules(source).text_recipe(readers))
    return bool(recipes.recipe(DOCUMENTS, source)["text"] != today)


def read_documents(recipes: "Recipes", shard: PlacedShard) -> Iterator[Document]:
    """Yield the documents of a shard, in row order."""
    file = recipes.project.open_shard(shard.shard)
    for row in read_shard(file, rules_as_read(recipes, shard.source, shard.digest)):
        if isinstance(row, Document):
            yield row


def num_rejected(recipes: "Recipes", shard: PlacedShard) -> int:
    """Return how many rows of a shard were rejected."""
    return sum(rejected_by_reason(recipes, shard).values())


def rejected_by_reason(recipes: "Recipes", shard: PlacedShard) -> Counter[str]:
    """Return how many rows of a shard were rejected for each reason."""
    table = recipes.lake.read_table(recipes.rejections_key(shard))
    found: Counter[str] = Counter()
    for reason, count in zip(table.column("reason").to_pylist(), row_counts(table), strict=True):
        found[reason] += count
    return found


def row_counts(table: pa.Table) -> list[int]:
    """Return how many rows each entry stands for: one, in tables of the first version."""
    if _COUNT not in table.column_names:
        return [1] * table.num_rows
    return list(table.column(_COUNT).to_pylist())
