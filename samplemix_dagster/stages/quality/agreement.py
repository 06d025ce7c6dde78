"""How scores stand beside one another: one that cost little, and those of two references."""

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.core.quality.students.agreement import explained, spearman
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.shards.reading import read
from samplemix_dagster.engine.stages import Facts, NotFittedError
from samplemix_dagster.errors import LakeError
from samplemix_dagster.stages.columns import floats, strings
from samplemix_dagster.stages.quality.loss.other_references import OtherPerplexity
from samplemix_dagster.stages.quality.loss.perplexity import PERPLEXITY

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes

NOT_COMPARED = (
    "not known here: the whole scores are not in the lake. `samplemix run --select quality` once "
    "without quality.tokens_per_document makes them"
)
NOT_YET = "not known yet: the reference that scores has not scored these documents"
_FEWEST_OF_LANGUAGE = 20


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


def beside_main_reference(
    recipes: "Recipes", stage: OtherPerplexity, partition: str
) -> list[Facts]:
    """Return how bits per byte under two references agree: in a partition, and by language.

    Where both say the same, a text's quality is no matter of which one is asked.

    Returns:
        Rows with ``group`` (``all``, or a language of at least 20 documents), ``documents``,
        ``spearman``, and ``difference``: how many bits per byte more the other one needs. None
        where the reference that scores has not scored them all.
    """
    main, other, languages = [], [], []
    try:
        for shard in recipes.project.shards(partition):
            main.append(floats(read(recipes, PERPLEXITY, shard, "bits_per_byte"), "bits_per_byte"))
            other.append(floats(read(recipes, stage, shard, "bits_per_byte"), "bits_per_byte"))
            languages.append(strings(read(recipes, DOCUMENTS, shard, "language"), "language"))
    except (LakeError, NotFittedError):
        return []
    if not main:
        return []
    own_N, other_N = np.concatenate(main), np.concatenate(other)
    names_N = np.concatenate(languages)
    names, counts = np.unique(names_N, return_counts=True)
    groups = [("all", np.ones(own_N.size, dtype=np.bool_))]
    kept = names[counts >= _FEWEST_OF_LANGUAGE]
    groups += [(str(name), names_N == name) for name in kept]
    return [
        {
            "group": name,
            "documents": int(chosen.sum()),
            "spearman": _rounded(spearman(other_N[chosen], own_N[chosen])),
            "difference": _rounded(float((other_N[chosen] - own_N[chosen]).mean())),
        }
        for name, chosen in groups
        if chosen.any()
    ]


def _whole(recipes: "Recipes", key: str) -> pa.Table:
    return recipes.lake.read_table(key, ["bits_per_byte"])


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
