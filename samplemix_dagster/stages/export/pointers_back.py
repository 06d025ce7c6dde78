"""Read an export of pointers back: what each index points to, beside what was to be there.

Shape letters: D = draws of a file.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from samplemix_dagster.core.hashing import id_words, tokens_digest
from samplemix_dagster.errors import CheckFailedError
from samplemix_dagster.export_formats.arrays import little, mapped
from samplemix_dagster.export_formats.megatron import read_index
from samplemix_dagster.export_formats.wanted import PLACES
from samplemix_dagster.stages.export.reading import Found

_COLUMNS = ["doc_id", "num_tokens", "offset", "num_ids", "digest"]


def read_pointers_back(folder: Path, names: Iterable[Sequence[str]]) -> Found:
    """Compare what each index points to with what is said of its draws, draw by draw.

    Ids that many draws of a file point to are looked at once.

    Args:
        folder: Of the export.
        names: The array and the index of each part.

    Raises:
        CheckFailedError: A draw is not what is said of it.
    """
    found, path = Found(), folder / PLACES
    for ids_name, index_name in names:
        draws = pq.read_table(path, columns=_COLUMNS, filters=[("file", "==", ids_name)])
        differing = _differing(draws, folder / ids_name, folder / index_name)
        if differing.any():
            document = draws.column("doc_id")[int(np.argmax(differing))].as_py()
            raise CheckFailedError(f"exported tokens are not those of the document {document}")
        doc_ids = draws.column("doc_id").to_numpy().astype("S32")
        found.draws.add(id_words(doc_ids), np.ones(draws.num_rows, dtype=np.int64))
        found.num_tokens += int(draws.column("num_tokens").to_numpy().sum())
        found.num_ids += int(draws.column("num_ids").to_numpy().sum())
    if found.draws.num_draws != pq.read_metadata(path).num_rows:
        raise CheckFailedError("the files have another number of draws than were written")
    return found


def _differing(draws: pa.Table, array: Path, index: Path) -> npt.NDArray[np.bool_]:
    """Return which draws lie elsewhere than is said, or as other ids: shape (D,).

    Raises:
        CheckFailedError: The files cannot be read, or have another number of draws.
    """
    try:
        dtype, lengths_D, pointers_D = read_index(index)
        ids = np.asarray(mapped(array, dtype))
    except (ValueError, OSError) as error:
        raise CheckFailedError(f"the export cannot be read back: {error}") from error
    if lengths_D.size != draws.num_rows:
        raise CheckFailedError(f"{index.name} has another number of draws than were written")
    width = little(dtype).itemsize
    said_D2 = np.stack([draws.column(name).to_numpy() for name in ("offset", "num_ids")], axis=1)
    is_elsewhere_D = (said_D2 * [width, 1] != np.stack([pointers_D, lengths_D], axis=1)).any(axis=1)
    # A pointer outside of the array finds fewer ids, whose digest is another.
    places, of_D = np.unique(said_D2, axis=0, return_inverse=True)
    there = [tokens_digest(ids[start : start + length]) for start, length in places.tolist()]
    digests_D = draws.column("digest").to_numpy().astype("S32")
    is_other_D = np.array(there, dtype="S32")[of_D.reshape(-1)] != digests_D
    differing: npt.NDArray[np.bool_] = is_elsewhere_D | is_other_D
    return differing
