"""Ids of documents, one behind the other in a file: what every format of flat arrays is made of."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samplemix_dagster.export_formats.format import ReadDraw

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    Integers = npt.NDArray[np.int64]
    Ids = npt.NDArray[np.integer[Any]]

_DRAWS_AT_ONCE = 256


def little(dtype: str) -> "np.dtype[Any]":
    """Return a type of ids as it lies in files: little endian."""
    import numpy as np

    return np.dtype(dtype).newbyteorder("<")


def smallest_unsigned(size: int, widths: tuple[int, ...] = (16, 32)) -> str:
    """Return the narrowest unsigned type of some widths that holds ids below a size.

    Args:
        size: Number of ids.
        widths: Bits, from narrow to wide; the last is taken if none holds them.
    """
    return next((f"uint{bits}" for bits in widths if size <= 1 << bits), f"uint{widths[-1]}")


def lengths_of(draws: "pa.Table") -> "Integers":
    """Return how many ids each of the draws has."""
    import numpy as np

    parts = [np.diff(chunk.offsets.to_numpy()) for chunk in draws.column("tokens").chunks]
    return np.concatenate([np.zeros(0, np.int64), *parts])


def flat_ids(draws: "pa.Table", dtype: str) -> "Ids":
    """Return the ids of all draws, one behind the other."""
    import numpy as np

    chunks = (chunk.flatten().to_numpy() for chunk in draws.column("tokens").chunks)
    return np.concatenate([np.empty(0, np.uint32), *chunks]).astype(little(dtype))


def write_ids(path: Path, draws: "pa.Table", dtype: str, head: bytes = b"") -> None:
    """Write the ids of all draws behind a head."""
    with path.open("wb") as file:
        file.write(head)
        for batch in draws.select(["tokens"]).to_batches(max_chunksize=_DRAWS_AT_ONCE):
            file.write(batch.column(0).flatten().to_numpy().astype(little(dtype)).tobytes())


def mapped(path: Path, dtype: str, head_bytes: int = 0) -> "Ids":
    """Return the ids of a file, mapped into memory.

    Raises:
        ValueError: It is too short for its head, or ends inside an id.
    """
    import numpy as np

    width = little(dtype)
    num_bytes = path.stat().st_size - head_bytes
    if num_bytes < 0 or num_bytes % width.itemsize:
        raise ValueError(f"{path.name} does not end where an id of {dtype} does")
    if num_bytes == 0:  # which cannot be mapped
        return np.empty(0, width)
    return np.memmap(path, width, mode="r", offset=head_bytes)


def draws_between(name: str, ids: "Ids", ends: "Integers") -> Iterator[ReadDraw]:
    """Yield the draws of a file, each of which begins where the one before ends.

    Raises:
        ValueError: The last does not end where the ids do.
    """
    import numpy as np

    if (int(ends[-1]) if ends.size else 0) != ids.size:
        raise ValueError(f"{name} has {ids.size:,} ids, and its documents end elsewhere")
    lengths = np.diff(ends, prepend=0)
    yield from draws_at(name, ids, ends - lengths, lengths)


def draws_at(name: str, ids: "Ids", starts: "Integers", lengths: "Integers") -> Iterator[ReadDraw]:
    """Yield draws that lie anywhere in a file.

    Raises:
        ValueError: One lies outside.
    """
    if starts.size and (int(starts.min()) < 0 or int((starts + lengths).max()) > ids.size):
        raise ValueError(f"a document lies outside of {name}")
    from samplemix_dagster.core.hashing import tokens_digest

    for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
        found = ids[start : start + length]
        yield ReadDraw(file=name, offset=start, num_tokens=length, digest=tokens_digest(found))
