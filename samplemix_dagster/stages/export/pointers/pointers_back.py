"""Read an export of pointers back: what each index points to, beside what was to be there.

Shape letters: D = draws of a file.
"""

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from samplemix_dagster.core.hashing import id_words, tokens_digest
from samplemix_dagster.errors import CheckFailedError
from samplemix_dagster.export_formats.ids.arrays import little, mapped
from samplemix_dagster.export_formats.ids.megatron import read_index
from samplemix_dagster.export_formats.wanted import PLACES
from samplemix_dagster.stages.export.reading import Found

_DIGEST = "S32"
_COLUMNS = ["file", "doc_id", "num_tokens", "offset", "num_ids", "digest"]
_DRAWS_AT_ONCE = 1 << 17


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """An array and the index into it."""

    name: str
    ids: npt.NDArray[np.integer[Any]]
    places_D2: npt.NDArray[np.int64]
    """Where each draw begins, in bytes, and how many ids it has."""
    num_bytes_of_an_id: int


def read_pointers_back(folder: Path, names: Sequence[list[str]]) -> Found:
    """Compare what each index points to with what is said of its draws, draw by draw.

    So many draws are in memory at once, and of these ids that many point to are looked at once.

    Args:
        folder: Of the export.
        names: The array and the index of each part, in the order of the draws.

    Raises:
        CheckFailedError: A draw is not what is said of it.
    """
    found, indices = Found(), dict(names)
    with pq.ParquetFile(folder / PLACES) as places:
        said = (
            draws
            for batch in places.iter_batches(_DRAWS_AT_ONCE, columns=_COLUMNS)
            for draws in _by_part(batch)
        )
        for name, stretches in itertools.groupby(said, lambda one: one.column("file")[0].as_py()):
            if name not in indices:
                raise CheckFailedError(f"draws are said to lie in {name}, which is no file of them")
            _compare_part(_opened(folder, name, indices.pop(name)), stretches, found)
    for name, index in indices.items():
        _compare_part(_opened(folder, name, index), (), found)
    return found


def _by_part(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    files = batch.column("file")
    for name in files.unique():
        yield batch.filter(pc.equal(files, name))


def _opened(folder: Path, array: str, index: str) -> _Part:
    """Return a part.

    Raises:
        CheckFailedError: Its files cannot be read.
    """
    try:
        dtype, lengths_D, pointers_D = read_index(folder / index)
        ids = np.asarray(mapped(folder / array, dtype))
    except (ValueError, OSError) as error:
        raise CheckFailedError(f"the export cannot be read back: {error}") from error
    return _Part(
        name=index,
        ids=ids,
        places_D2=np.stack([pointers_D, lengths_D], axis=1),
        num_bytes_of_an_id=little(dtype).itemsize,
    )


def _compare_part(part: _Part, stretches: Iterable[pa.RecordBatch], found: Found) -> None:
    """Compare a part with what is said of its draws, and count them.

    Raises:
        CheckFailedError: One is another, or there are more or fewer.
    """
    first = 0
    for draws in stretches:
        places_D2 = part.places_D2[first : first + draws.num_rows]
        first += draws.num_rows
        if len(places_D2) < draws.num_rows:
            break
        differing = _differing(part, draws, places_D2)
        if differing.any():
            document = draws.column("doc_id")[int(np.argmax(differing))].as_py()
            raise CheckFailedError(f"exported tokens are not those of the document {document}")
        doc_ids = _as_bytes(draws, "doc_id")
        found.draws.add(id_words(doc_ids), np.ones(draws.num_rows, dtype=np.int64))
        found.num_tokens += int(draws.column("num_tokens").to_numpy().sum())
        found.num_ids += int(draws.column("num_ids").to_numpy().sum())
    if first != len(part.places_D2):
        raise CheckFailedError(f"{part.name} has another number of draws than were written")


def _differing(
    part: _Part, draws: pa.RecordBatch, places_D2: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Return which draws lie elsewhere than is said, or as other ids: shape (D,)."""
    said_D2 = np.stack([draws.column(name).to_numpy() for name in ("offset", "num_ids")], axis=1)
    is_elsewhere_D = (said_D2 * [part.num_bytes_of_an_id, 1] != places_D2).any(axis=1)
    # A pointer outside of the array finds fewer ids, whose digest is another.
    distinct, of_D = np.unique(said_D2, axis=0, return_inverse=True)
    there = [tokens_digest(part.ids[start : start + count]) for start, count in distinct.tolist()]
    is_other_D = np.array(there, dtype=_DIGEST)[of_D.reshape(-1)] != _as_bytes(draws, "digest")
    differing: npt.NDArray[np.bool_] = is_elsewhere_D | is_other_D
    return differing


def _as_bytes(draws: pa.RecordBatch, name: str) -> npt.NDArray[np.bytes_]:
    found: npt.NDArray[np.bytes_] = (
        draws.column(name).to_numpy(zero_copy_only=False).astype(_DIGEST)
    )
    return found
