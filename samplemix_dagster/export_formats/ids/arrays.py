"""Ids of documents, one behind the other in a file: what every format of flat arrays is made of."""

import abc
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samplemix_dagster.export_formats.format import (
    FilePlan,
    Format,
    ReadDraw,
    Vocabulary,
    Writer,
    options_of_ids,
)

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


def mapped(path: Path, dtype: str, head_bytes: int = 0, tail_bytes: int = 0) -> "Ids":
    """Return the ids of a file between its head and its tail, mapped into memory.

    Raises:
        ValueError: It is too short for both, or its ids end inside one.
    """
    import numpy as np

    width = little(dtype)
    num_bytes = path.stat().st_size - head_bytes - tail_bytes
    if num_bytes < 0 or num_bytes % width.itemsize:
        raise ValueError(f"{path.name} does not end where an id of {dtype} does")
    shape = (num_bytes // width.itemsize,)
    if num_bytes == 0:  # which cannot be mapped
        return np.empty(shape, width)
    return np.memmap(path, width, mode="r", offset=head_bytes, shape=shape)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part that was written: what its bounds are made of."""

    folder: Path
    names: list[str]
    """Of its files; the first has the ids."""
    draws: "pa.Table"
    ends: "Integers"
    """Where each document ends, in ids."""
    dtype: str
    vocabulary: Vocabulary

    @property
    def num_ids(self) -> int:
        """Ids of the part."""
        return int(self.ends[-1]) if self.ends.size else 0

    @property
    def starts(self) -> "Integers":
        """Where each document begins, in ids."""
        import numpy as np

        return self.ends - np.diff(self.ends, prepend=0)


class Flat(Format):
    """A format of arrays: what its head and its bounds are is each one's own."""

    unit = "tokens"
    options = options_of_ids()
    needs_eos = True
    head_bytes = 0
    """Bytes before the ids."""

    @abc.abstractmethod
    def dtype(self, size: int) -> str:
        """Return NumPy's name of the type of an id, for a vocabulary of some size."""

    def head(self, part_name: str, num_ids: int, dtype: str) -> bytes:
        """Return what stands before the ids of a part.

        Raises:
            InputError: The part has more ids than a head can say.
        """
        del part_name, num_ids, dtype
        return b""

    def map_ids(self, path: Path, dtype: str) -> "Ids":
        """Return the ids of a part's first file, mapped into memory.

        Raises:
            ValueError: It ends inside an id.
        """
        return mapped(path, dtype, self.head_bytes)

    @abc.abstractmethod
    def write_bounds(self, part: Part) -> None:
        """Write where the documents of a part lie, beside its ids or behind them."""

    @abc.abstractmethod
    def read_ends(self, folder: Path, number: int, num_ids: int) -> "Integers":
        """Return where the documents of a part end.

        Raises:
            ValueError: The files are not of this form.
        """

    def open(self, folder: Path, plan: FilePlan) -> Writer:
        """Return a writer of arrays."""
        if plan.vocabulary is None:
            raise ValueError("a format of ids needs a vocabulary")
        return _Arrays(self, folder, plan.vocabulary)

    def read_back(self, folder: Path, plan: FilePlan) -> Iterator[ReadDraw]:
        """Yield the ids between two bounds, as a trainer maps them."""
        if plan.vocabulary is None:
            raise ValueError("a format of ids needs a vocabulary")
        dtype = self.dtype(plan.vocabulary.size)
        for number in range(plan.num_files):
            name = self.file_names(number)[0]
            ids = self.map_ids(folder / name, dtype)
            yield from draws_between(name, ids, self.read_ends(folder, number, ids.size))


class _Arrays(Writer):
    def __init__(self, form: Flat, folder: Path, vocabulary: Vocabulary) -> None:
        self.form = form
        self.folder = folder
        self.vocabulary = vocabulary
        self.dtype = form.dtype(vocabulary.size)

    def add(self, number: int, draws: "pa.Table") -> None:
        import numpy as np

        names = self.form.file_names(number)
        ends = np.cumsum(lengths_of(draws), dtype=np.int64)
        part = Part(
            folder=self.folder,
            names=names,
            draws=draws,
            ends=ends,
            dtype=self.dtype,
            vocabulary=self.vocabulary,
        )
        head = self.form.head(names[0], part.num_ids, self.dtype)
        write_ids(self.folder / names[0], draws, self.dtype, head)
        self.form.write_bounds(part)
