"""How a score that cost little stands beside the one that it stands in for."""

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.core.quality.agreement import explained, spearman
from samplemix_dagster.engine.shards.reading import read
from samplemix_dagster.engine.stages import Facts
from samplemix_dagster.stages.columns import floats
from samplemix_dagster.stages.quality.perplexity import PERPLEXITY

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes

NOT_COMPARED = (
    "not known here: the whole scores are not in the lake. `samplemix run --select quality` once "
    "without quality.tokens_per_document makes them"
)


def windows_beside_whole(recipes: "Recipes", partition: str) -> Facts:
    """Return how losses from windows agree with the whole ones, where a partition has both.

    The whole ones are in the lake where the same reference scored a shard without windows. The
    documents that were scored whole either way are not counted.

    Returns:
        ``documents``, and over them ``spearman``, ``r2`` and ``mean_difference`` (bits per byte
        that windows make dearer); nothing where no document can be compared.
    """
    some, whole = [], []
    for shard in recipes.project.shards(partition):
        recipe = dict(recipes.recipe(PERPLEXITY, shard.source))
        recipe.pop("tokens_per_document", None)
        folder = PERPLEXITY.lake_folder(fingerprint(recipe))
        if f"{shard.digest}.parquet" in recipes.lake.names(folder):
            found = read(recipes, PERPLEXITY, shard)
            is_cut = floats(found, "bits_per_byte_error") > 0
            key = f"{folder}/{shard.digest}.parquet"
            some.append(floats(found, "bits_per_byte")[is_cut])
            whole.append(floats(_whole(recipes, key), "bits_per_byte")[is_cut])
    if not some or not sum(part.size for part in some):
        return {}
    found_N, wanted_N = np.concatenate(some), np.concatenate(whole)
    return {
        "documents": int(found_N.size),
        "spearman": _rounded(spearman(found_N, wanted_N)),
        "r2": _rounded(explained(found_N, wanted_N)),
        "mean_difference": _rounded(float((found_N - wanted_N).mean())),
    }


def _whole(recipes: "Recipes", key: str) -> pa.Table:
    return recipes.lake.read_table(key, ["bits_per_byte"])


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
