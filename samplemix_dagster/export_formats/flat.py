"""The flat family: the ids of a part in one array, and its documents' bounds as a trainer wants.

``olmo`` is read by OLMo-core, ``nanotron`` by nanotron and datatrove, ``torchtitan`` by a source of
memory-mapped arrays, ``nanogpt`` by llm.c, modded-nanogpt and what reads their shards. The arrays
differ in their type and their head alone, the bounds in the file that has them.
"""

import abc
import csv
import gzip
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from samplemix_dagster.errors import InputError
from samplemix_dagster.export_formats.arrays import (
    draws_between,
    lengths_of,
    little,
    mapped,
    smallest_unsigned,
    write_ids,
)
from samplemix_dagster.export_formats.format import (
    FilePlan,
    Format,
    ReadDraw,
    Reading,
    Vocabulary,
    Writer,
    options_of_ids,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from samplemix_dagster.export_formats.arrays import Integers


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

    def head(self, part_name: str, num_ids: int) -> bytes:
        """Return what stands before the ids of a part.

        Raises:
            InputError: The part has more ids than a head can say.
        """
        del part_name, num_ids
        return b""

    @abc.abstractmethod
    def write_bounds(self, part: Part) -> None:
        """Write the files of a part that stand beside its ids."""

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
            ids = mapped(folder / name, dtype, self.head_bytes)
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
        head = self.form.head(names[0], part.num_ids)
        write_ids(self.folder / names[0], draws, self.dtype, head)
        self.form.write_bounds(part)


class Olmo(Flat):
    """``olmo``: raw ``.npy`` without NumPy's head, and ``.csv.gz`` with a line for each document.

    A line is ``start,end,id,src,loc``, of which OLMo-core reads the first two; the others have the
    document's id, its source and which copy it is.
    """

    name = "olmo"
    readings = (Reading(words="each file cut"),)
    endings = (".npy", ".csv.gz")

    def dtype(self, size: int) -> str:
        """Return the narrowest type, as ``NumpyDatasetConfig.get_dtype`` chooses it."""
        return smallest_unsigned(size, (8, 16, 32))

    def write_bounds(self, part: Part) -> None:
        """Write a line for each document, without a time or a name in the archive."""
        bounds = zip(part.starts.tolist(), part.ends.tolist(), strict=True)
        columns = (part.draws.column(name).to_pylist() for name in ("doc_id", "source", "copy"))
        with (
            (part.folder / part.names[1]).open("wb") as file,
            gzip.GzipFile("", "wb", 6, file, 0) as packed,
            io.TextIOWrapper(packed, encoding="utf-8", newline="") as text,
        ):
            lines = csv.writer(text, lineterminator="\n")
            lines.writerows((*two, *of) for two, *of in zip(bounds, *columns, strict=True))

    def read_ends(self, folder: Path, number: int, num_ids: int) -> "Integers":
        """Return the second column, after a look at the first."""
        import numpy as np

        del num_ids
        name = self.file_names(number)[1]
        with gzip.open(folder / name, "rt", encoding="utf-8", newline="") as text:
            bounds = [(int(row[0]), int(row[1])) for row in csv.reader(text)]
        starts, ends = np.array(bounds, dtype=np.int64).reshape(-1, 2).T
        if not np.array_equal(starts[1:], ends[:-1]):
            raise ValueError(f"the documents of {name} do not follow each other")
        return ends


class Nanotron(Flat):
    """``nanotron``: ``.ds`` with ids, ``.ds.index`` with ends as uint64, ``.ds.metadata``."""

    name = "nanotron"
    readings = (Reading(words="each file cut", more=1, step_more=1, keeps_order=False),)
    endings = (".ds", ".ds.index", ".ds.metadata")

    def dtype(self, size: int) -> str:
        """Return ``uint16`` for a vocabulary of up to 65,536 ids, else ``uint32``."""
        return smallest_unsigned(size)

    def write_bounds(self, part: Part) -> None:
        """Write ends, and three lines: tokenizer and bytes of an id, ids, ids for people."""
        (part.folder / part.names[1]).write_bytes(part.ends.astype("<u8").tobytes())
        tokenizer = f"{part.vocabulary.tokenizer}|{little(part.dtype).itemsize}"
        lines = [tokenizer, str(part.num_ids), f"{part.num_ids:,} T"]
        (part.folder / part.names[2]).write_text("\n".join(lines), encoding="utf-8")

    def read_ends(self, folder: Path, number: int, num_ids: int) -> "Integers":
        """Return what stands in the index, after a look at the count beside."""
        import numpy as np

        _, index, metadata = self.file_names(number)
        _, count, _ = (folder / metadata).read_text(encoding="utf-8").split("\n")
        if int(count) != num_ids:
            raise ValueError(f"{metadata} says {count} ids, and there are {num_ids}")
        return np.frombuffer((folder / index).read_bytes(), "<u8").astype(np.int64)


class Torchtitan(Flat):
    """``torchtitan``: ``.bin`` as uint32, and ``.document_offsets.npy``, N + 1 of int64."""

    name = "torchtitan"
    readings = (Reading(words="documents joined, then cut", by_file=False),)
    endings = (".bin", ".document_offsets.npy")

    def dtype(self, size: int) -> str:
        """Return ``uint32``."""
        del size
        return "uint32"

    def write_bounds(self, part: Part) -> None:
        """Write an ordinary array of NumPy, from 0 to the end."""
        import numpy as np

        offsets = np.concatenate([[0], part.ends]).astype("<i8")
        np.save(part.folder / part.names[1], offsets, allow_pickle=False)

    def read_ends(self, folder: Path, number: int, num_ids: int) -> "Integers":
        """Return all offsets but the first, which is 0."""
        import numpy as np

        del num_ids
        name = self.file_names(number)[1]
        offsets = np.load(folder / name, allow_pickle=False)
        if offsets.size == 0 or offsets[0] != 0:
            raise ValueError(f"{name} does not begin at 0")
        return np.asarray(offsets[1:], dtype=np.int64)


_NANOGPT_MAGIC, _NANOGPT_VERSION = 20240520, 1
_NANOGPT_WORDS = 256
_MOST_NANOGPT_IDS = (1 << 31) - 1


class Nanogpt(Flat):
    """``nanogpt``: ``.bin`` of uint16 behind 256 words of head; ``.bos.idx`` with document starts.

    EOS stands before each document unless told otherwise, since these trainers begin a document
    with it.
    """

    name = "nanogpt"
    readings = (Reading(words="each file cut", more=1),)
    endings = (".bin", ".bos.idx")
    options = options_of_ids(eos="start")
    most_ids = 1 << 16
    head_bytes = 4 * _NANOGPT_WORDS
    stem = "samplemix_train_"
    digits = 6

    def dtype(self, size: int) -> str:
        """Return ``uint16``."""
        del size
        return "uint16"

    def head(self, part_name: str, num_ids: int) -> bytes:
        """Return magic number, version and number of ids, as int32."""
        import numpy as np

        if num_ids > _MOST_NANOGPT_IDS:
            raise InputError(
                f"{part_name} would have {num_ids:,} ids, and its head can say "
                f"{_MOST_NANOGPT_IDS:,}; export more files."
            )
        words = np.zeros(_NANOGPT_WORDS, "<i4")
        words[:3] = _NANOGPT_MAGIC, _NANOGPT_VERSION, num_ids
        return words.tobytes()

    def write_bounds(self, part: Part) -> None:
        """Write where each document begins, as int32."""
        (part.folder / part.names[1]).write_bytes(part.starts.astype("<i4").tobytes())

    def read_ends(self, folder: Path, number: int, num_ids: int) -> "Integers":
        """Return the starts but the first, and the end; after a look at the head."""
        import numpy as np

        ids_name, starts_name = self.file_names(number)
        with (folder / ids_name).open("rb") as file:
            words = np.frombuffer(file.read(self.head_bytes), "<i4")
        if words[:3].tolist() != [_NANOGPT_MAGIC, _NANOGPT_VERSION, num_ids]:
            raise ValueError(f"the head of {ids_name} is that of other ids")
        starts = np.frombuffer((folder / starts_name).read_bytes(), "<i4").astype(np.int64)
        return np.concatenate([starts[1:], [num_ids] if starts.size else []]).astype(np.int64)
