"""What fits read of the corpus: its sample, rows of it, and duplicates."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from samplemix_dagster.engine.foundation.corpus import CORPUS
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.shards.reading import read
from samplemix_dagster.engine.stages import NotFittedError, Stage

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes


def duplicate_rows(recipes: "Recipes") -> dict[tuple[str, str], npt.NDArray[np.int64]]:
    """Return the rows of each (source, shard digest) that are duplicates of an earlier one."""
    key = f"{recipes.fit_key(CORPUS)}/duplicates.parquet"
    found = recipes.lake.read_table(key)
    rows: dict[tuple[str, str], list[int]] = {}
    for item in found.to_pylist():
        rows.setdefault((item["source"], item["shard"]), []).append(item["row"])
    return {place: np.array(sorted(numbers)) for place, numbers in rows.items()}


def sample_of(recipes: "Recipes", size: int) -> pa.Table:
    """Return the first documents of the corpus's hash sample."""
    sample = recipes.lake.read_table(f"{recipes.fit_key(CORPUS)}/sample.parquet")
    return sample.slice(0, size)


def sample_rows(recipes: "Recipes", stage: Stage, sample: pa.Table, columns: list[str]) -> pa.Table:
    """Return the rows of a per-shard stage for the documents of a sample, in the sample's order."""
    by_place = {(shard.source, shard.digest): shard for shard in recipes.project.all_shards()}
    wanted: dict[tuple[str, str], list[int]] = {}
    items = sample.select(["source", "shard", "row"]).to_pylist()
    for index, item in enumerate(items):
        wanted.setdefault((item["source"], item["shard"]), []).append(index)
    parts, order = [], []
    for place in sorted(wanted):
        if place not in by_place:
            raise NotFittedError(CORPUS)
        shard = by_place[place]
        key = recipes.feature_key(DOCUMENTS, shard)
        rows = recipes.lake.read_table(key, ["row"]).column("row").to_numpy()
        positions = np.searchsorted(rows, [items[index]["row"] for index in wanted[place]])
        table = read(recipes, stage, shard, *columns)
        parts.append(table.take(pa.array(positions)))
        order += wanted[place]
    joined = pa.concat_tables(parts)
    return joined.take(pa.array(np.argsort(order, kind="stable")))
