"""Columns of tables as arrays, and what opens its fits when the first shard asks for them."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.stages import Maker


def lazily(opened: Callable[[], Maker]) -> Maker:
    """Return what opens something made, when the first shard asks for it: none may."""
    made: list[Maker] = []

    def make(shard: PlacedShard) -> pa.Table:
        if not made:
            made.append(opened())
        return made[0](shard)

    return make


def floats(table: pa.Table, column: str) -> npt.NDArray[np.float64]:
    """Return a column as float64."""
    return np.asarray(table.column(column).to_numpy(), dtype=np.float64)


def strings(table: pa.Table, column: str) -> npt.NDArray[np.str_]:
    """Return a column as an array of text."""
    return np.asarray(table.column(column).to_numpy(zero_copy_only=False), dtype=np.str_)
