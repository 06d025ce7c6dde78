"""The flat family: the ids of a part in one array, and its documents' bounds as a trainer wants.

``olmo`` is read by OLMo-core, ``nanotron`` by nanotron and datatrove, ``torchtitan`` by a source of
memory-mapped arrays. The arrays differ in their type alone, the bounds in the file that has them.
"""

import csv
import gzip
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from samplemix_dagster.export_formats.arrays import Flat, Part, little, smallest_unsigned
from samplemix_dagster.export_formats.format import Reading

if TYPE_CHECKING:
    from samplemix_dagster.export_formats.arrays import Integers


class Olmo(Flat):
    """``olmo``: raw ``.npy`` without NumPy's head, and ``.csv.gz`` with a line for each document.

    A line is ``start,end,id,src,loc``, of which OLMo-core reads the first two; the others have the
    document's id, its source and which copy it is.
    """

    name = "olmo"
    readings = (Reading(words="each file cut"),)
    endings = (".npy", ".csv.gz")

    def conflict(self, options: Mapping[str, str]) -> str:
        """Say that documents with BOS alone cannot be told apart."""
        if options["bos"] == "start" and options["eos"] == "none":
            return "OLMo-core takes BOS for a beginning only behind EOS; leave `eos: none` out"
        return super().conflict(options)

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
