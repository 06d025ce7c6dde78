"""The texts that a reference is made from: the documents with the smallest hashes for that purpose.

So the same corpus gives the same reference, and one that is made from fewer tokens has read the
first of those that one of more has.
"""

from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from samplemix_dagster.engine.fitting.hash_sample import HashSample
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.shards.shard_rows import read_documents
from samplemix_dagster.errors import InputError

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes

_BYTES_PER_TOKEN = 6
_SAMPLE_LIMIT = 2_000_000


def sample_texts(
    recipes: "Recipes", tokens: int, wanted: Collection[str] | None, *, more: int
) -> tuple[list[str], list[str], list[str]]:
    """Return ids, sources and texts that have so many tokens at least, smallest hash first.

    Args:
        recipes: The recipes of a project whose documents were read.
        tokens: Tokens to read, of at most 6 bytes each in the mean; less where there is no more.
        wanted: The sources to read; None: all of them.
        more: Documents beyond these, to test on.

    Raises:
        InputError: The sources have no document.
    """
    gathered = HashSample(_SAMPLE_LIMIT, "reference")
    for shard in recipes.project.all_shards():
        if wanted is None or shard.source in wanted:
            key = recipes.feature_key(DOCUMENTS, shard)
            gathered.add(shard, recipes.lake.read_table(key, ["doc_id", "row", "num_bytes"]))
    sample = gathered.table()
    if sample.num_rows == 0:
        raise InputError("a reference cannot be trained: the sources it names have no document.")
    total = np.cumsum(sample.column("num_bytes").to_numpy())
    needed = int(np.searchsorted(total, tokens * _BYTES_PER_TOKEN)) + 1
    return read_sample(recipes, sample.slice(0, needed + more))


def read_sample(recipes: "Recipes", sample: pa.Table) -> tuple[list[str], list[str], list[str]]:
    """Return ids, sources and texts of the documents of a sample, in its order."""
    place = {
        (item["source"], item["shard"], item["row"]): index
        for index, item in enumerate(sample.to_pylist())
    }
    texts = dict(_texts(recipes, place))
    ids, sources = (sample.column(name).to_pylist() for name in ("doc_id", "source"))
    return ids, sources, [texts[index] for index in range(len(texts))]


def _texts(recipes: "Recipes", place: dict[tuple[str, str, int], int]) -> Iterator[tuple[int, str]]:
    wanted = {(source, shard) for source, shard, _ in place}
    for shard in recipes.project.all_shards():
        if (shard.source, shard.digest) not in wanted:
            continue
        for document in read_documents(recipes, shard):
            index = place.get((shard.source, shard.digest, document.row))
            if index is not None:
                yield index, document.text
