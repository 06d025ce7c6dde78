"""How a shard is read, and was: its rules and its documents.

What a lake holds of JSON lines and Parquet by the first version's readers stays current. So that
every later look at such a shard finds the same documents, it is read by the same rules.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.shards.rejected import NUM_ROWS
from samplemix_dagster.storage.corpus.shards import Document, read_shard
from samplemix_dagster.storage.formats.base import ReadRules

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes


def rules_as_read(recipes: "Recipes", source: str, digest: str) -> ReadRules:
    """Return the rules by which a shard's stored documents were read, or are to be."""
    rules = recipes.project.rules(source)
    key = f"{recipes.feature_folder(DOCUMENTS, source)}/{digest}.rejected.parquet"
    is_former = recipes.lake.exists(key) and NUM_ROWS not in recipes.lake.columns(key)
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
