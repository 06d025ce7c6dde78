"""Megatron: a ``.bin`` of ids and an ``.idx`` that says where each document lies in it.

The index is read document by document, so a document may be pointed to more than once: each copy of
a draw costs 20 bytes, and its ids stand in the ``.bin`` once a part. Tools that slice over several
documents read one run of bytes instead; for them ``materialise: true`` writes each copy out.

The layout is that of ``megatron.core.datasets.indexed_dataset``, version 1.
"""

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from samplemix_dagster.export_formats.format import (
    FilePlan,
    Format,
    Option,
    ReadDraw,
    Reading,
    Writer,
    options_of_ids,
)
from samplemix_dagster.export_formats.ids.arrays import (
    draws_at,
    lengths_of,
    little,
    mapped,
    write_ids,
)
from samplemix_dagster.export_formats.launch import Fragment, Launch

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

    from samplemix_dagster.export_formats.ids.arrays import Integers

_MAGIC = b"MMIDIDX\x00\x00"
_VERSION = 1
_CODES = {"int32": 4, "uint16": 8}
_LEAST_OF_INT32 = 65_500
_HEAD = "<QBQQ"
"""Version, type of ids, sequences, bounds of documents."""
_LONGEST = (1 << 31) - 1


class Megatron(Format):
    """``megatron``: for Megatron-LM, Megatron-Bridge, NeMo, and what reads their pairs."""

    name = "megatron"
    unit = "tokens"
    endings = (".bin", ".idx")
    options = MappingProxyType(
        {
            **options_of_ids(),
            "materialise": Option(default="false", values=("false", "true"), is_named=False),
            "array": Option(default="own", values=("own", "corpus"), is_named=False),
        }
    )
    needs_eos = True
    readings = (Reading(words="each pair cut", more=1, keeps_order=False),)

    def conflict(self, options: Mapping[str, str]) -> str:
        """Say why an index into the corpus cannot be had with another option."""
        if (found := super().conflict(options)) or options["array"] == "own":
            return found
        if options["materialise"] == "true":
            return (
                "`materialise: true` writes ids out, and `array: corpus` points to those there; "
                "leave one of the two out"
            )
        if options["eos_inside"] == "escape":
            return (
                "`eos_inside: escape` changes ids, and `array: corpus` points to those there; "
                "leave one of the two out"
            )
        return ""

    def fragments(self, launch: Launch) -> tuple[Fragment, ...]:
        """Return the arguments that Megatron-LM takes of its data."""
        prefixes = " ".join(launch.shell(name.removesuffix(".bin")) for name in launch.files)
        text = (
            f"--data-path {prefixes} \\\n  --split 100,0,0 --seq-length {launch.sequence} \\\n"
            "  --data-cache-path CACHE"
        )
        order = (
            "it shuffles documents and samples, whatever one says; `samplemix trace EXPORT "
            "--step N --batch B --cache CACHE` follows it"
        )
        return (Fragment(trainer="Megatron-LM", language="sh", text=text, order=order),)

    def points_into_corpus(self, options: Mapping[str, str]) -> bool:
        """Whether its index points to the ids of the whole corpus."""
        return options["array"] == "corpus"

    def dtype(self, size: int) -> str:
        """Return ``uint16`` for a vocabulary below 65,500 ids, else ``int32``, as Megatron does."""
        return "uint16" if size < _LEAST_OF_INT32 else "int32"

    def open(self, folder: Path, plan: FilePlan) -> Writer:
        """Return a writer of pairs."""
        if plan.vocabulary is None:
            raise ValueError("a format of ids needs a vocabulary")
        dtype = self.dtype(plan.vocabulary.size)
        return _Pairs(self, folder, dtype, is_whole=plan.options.get("materialise") == "true")

    def read_back(self, folder: Path, plan: FilePlan) -> Iterator[ReadDraw]:
        """Yield what each entry of an index points to."""
        for number in range(plan.num_files):
            ids_name, index_name = self.file_names(number)
            dtype, lengths, pointers = read_index(folder / index_name)
            ids = mapped(folder / ids_name, dtype)
            yield from draws_at(ids_name, ids, pointers // little(dtype).itemsize, lengths)


class _Pairs(Writer):
    def __init__(self, form: Megatron, folder: Path, dtype: str, *, is_whole: bool) -> None:
        self.form = form
        self.folder = folder
        self.dtype = dtype
        self.is_whole = is_whole

    def add(self, number: int, draws: "pa.Table") -> None:
        import numpy as np
        import pyarrow as pa

        ids_name, index_name = self.form.file_names(number)
        lengths = lengths_of(draws)
        is_first, of = np.ones(lengths.size, dtype=np.bool_), np.arange(lengths.size)
        if not self.is_whole:
            is_first, of = first_of_each(draws.column("doc_id").to_numpy())
        write_ids(self.folder / ids_name, draws.filter(pa.array(is_first)), self.dtype)
        own = np.where(is_first, lengths, 0)
        pointers = (np.cumsum(own) - own)[of] * little(self.dtype).itemsize
        (self.folder / index_name).write_bytes(index_bytes(self.dtype, lengths, pointers))


def first_of_each(names: "npt.NDArray[np.object_]") -> "tuple[npt.NDArray[np.bool_], Integers]":
    """Return which of some names comes first of its like, and where that one stands, for each."""
    import numpy as np

    _, first, inverse = np.unique(names.astype("S"), return_index=True, return_inverse=True)
    is_first = np.zeros(names.size, dtype=np.bool_)
    is_first[first] = True
    return is_first, first[inverse]


def index_bytes(dtype: str, lengths: "Integers", pointers: "Integers") -> bytes:
    """Return an ``.idx``: 42 bytes, and 20 for each document.

    Args:
        dtype: Of the ids.
        lengths: Ids of each document.
        pointers: Where each begins in the ``.bin``, in bytes.

    Raises:
        ValueError: A document has more ids than an int32 can say.
    """
    import numpy as np

    if lengths.size and int(lengths.max()) > _LONGEST:
        raise ValueError(f"a document of {int(lengths.max()):,} ids has no place in an index")
    head = struct.pack(_HEAD, _VERSION, _CODES[dtype], lengths.size, lengths.size + 1)
    # Each document is one sequence, so the bounds of documents are 0, 1, 2, ...
    bounds = np.arange(lengths.size + 1, dtype="<i8")
    parts = (lengths.astype("<i4"), pointers.astype("<i8"), bounds)
    return _MAGIC + head + b"".join(part.tobytes() for part in parts)


def read_index(path: Path) -> "tuple[str, Integers, Integers]":
    """Return the type of ids, the length of each document and its pointer in bytes.

    Raises:
        ValueError: It is no such index, or not of documents of one sequence each.
    """
    import numpy as np

    content = path.read_bytes()
    at = len(_MAGIC) + struct.calcsize(_HEAD)
    if not content.startswith(_MAGIC) or len(content) < at:
        raise ValueError(f"{path.name} is no index of Megatron")
    version, code, count, num_bounds = struct.unpack_from(_HEAD, content, len(_MAGIC))
    types = {code: dtype for dtype, code in _CODES.items()}
    if version != _VERSION or code not in types:
        raise ValueError(f"{path.name} is of another version, or of another type of ids")
    if len(content) != at + 20 * count + 8 or num_bounds != count + 1:
        raise ValueError(f"{path.name} has another length than {count:,} documents have")
    lengths = np.frombuffer(content, "<i4", count, at).astype(np.int64)
    pointers = np.frombuffer(content, "<i8", count, at + 4 * count)
    bounds = np.frombuffer(content, "<i8", count + 1, at + 12 * count)
    if not np.array_equal(bounds, np.arange(count + 1)):
        raise ValueError(f"a document of {path.name} is not one sequence")
    return types[code], lengths, pointers.astype(np.int64)
