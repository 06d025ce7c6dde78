"""The hash sample: the documents of a corpus with the smallest hashes, a text once."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from samplemix_dagster import tables
from samplemix_dagster.core.hashing import id_words, uniforms

if TYPE_CHECKING:
    from samplemix_dagster.engine.placed_shard import PlacedShard

_LEAST_PENDING = 1 << 16


def sample_luck(ids: pa.ChunkedArray, purpose: str = "sample") -> npt.NDArray[np.float64]:
    """Return each document's luck for being in a sample: N numbers in (0, 1)."""
    return uniforms(id_words(ids.to_numpy(zero_copy_only=False).astype("S32")), 0, purpose)


class HashSample:
    """Gathers a sample shard by shard, in any order; memory is that of two samples.

    Args:
        size: Most documents in the sample.
        purpose: Names the luck: samples for two purposes have nothing to do with one another.
    """

    def __init__(self, size: int, purpose: str = "sample") -> None:
        self._size = size
        self._purpose = purpose
        self._bound = np.inf
        self._parts = [tables.SAMPLE.schema.empty_table()]
        self._num_pending = 0

    def add(self, shard: "PlacedShard", documents: pa.Table) -> None:
        """Take in a shard's documents: columns ``doc_id``, ``row`` and ``num_bytes``."""
        is_near = sample_luck(documents.column("doc_id"), self._purpose) <= self._bound
        near = documents.filter(pa.array(is_near))
        self._parts.append(
            tables.SAMPLE.make(
                doc_id=near.column("doc_id"),
                source=[shard.source] * near.num_rows,
                shard=[shard.digest] * near.num_rows,
                row=near.column("row"),
                num_bytes=near.column("num_bytes"),
            )
        )
        self._num_pending += near.num_rows
        # Merging costs a sort of the whole sample, so it waits for as many documents as that has.
        if self._num_pending > max(self._size, _LEAST_PENDING):
            self._merge()

    def table(self) -> pa.Table:
        """Return the sample, smallest hash first.

        Of a text that stands in many places, the first by source, shard digest and row is taken.
        """
        return self._merge()

    def _merge(self) -> pa.Table:
        joined = pa.concat_tables(self._parts)
        luck = sample_luck(joined.column("doc_id"), self._purpose)
        places = (_ranks(joined.column("shard")), _ranks(joined.column("source")))
        order = np.lexsort((joined.column("row").to_numpy(), *places, luck))
        ids = joined.column("doc_id").to_numpy(zero_copy_only=False).astype("S32")[order]
        is_first = np.ones(order.size, dtype=bool)
        is_first[1:] = ids[1:] != ids[:-1]
        chosen = order[is_first][: self._size]
        merged = joined.take(pa.array(chosen))
        if chosen.size == self._size:
            self._bound = luck[chosen[-1]] if self._size else -np.inf
        self._parts, self._num_pending = [merged], 0
        return merged


def _ranks(column: pa.ChunkedArray) -> npt.NDArray[np.int64]:
    """Return numbers that stand in the order of the names."""
    encoded = column.combine_chunks().dictionary_encode()
    names = np.asarray(encoded.dictionary.to_numpy(zero_copy_only=False), dtype=np.str_)
    rank = np.empty(names.size, dtype=np.int64)
    rank[np.argsort(names)] = np.arange(names.size)
    ranks: npt.NDArray[np.int64] = rank[encoded.indices.to_numpy()]
    return ranks
