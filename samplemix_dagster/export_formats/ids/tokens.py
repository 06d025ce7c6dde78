"""Flat arrays of token ids, which ``numpy.memmap`` reads, and the ends of documents in them.

``part-00000.bin`` has nothing but ids, little endian; ``part-00000.ends.npy`` has for each document
where it ends, as an ordinary NumPy array of int64; ``contents.json`` says how to read them.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samplemix_dagster.export_formats.format import (
    FilePlan,
    Format,
    ReadDraw,
    Reading,
    Vocabulary,
    Writer,
    options_of_ids,
)
from samplemix_dagster.export_formats.ids.arrays import (
    draws_between,
    lengths_of,
    mapped,
    smallest_unsigned,
    write_ids,
)
from samplemix_dagster.export_formats.launch import Fragment, Launch

if TYPE_CHECKING:
    import pyarrow as pa

_CONTENTS = "contents.json"


class Tokens(Format):
    """``tokens``: raw arrays, for trainers that map them into memory."""

    name = "tokens"
    unit = "tokens"
    endings = (".bin", ".ends.npy")
    others = (_CONTENTS,)
    options = options_of_ids(inside="keep")
    readings = (Reading(words="each file cut"),)

    def fragments(self, launch: Launch) -> tuple[Fragment, ...]:
        """Return how the ids and the documents' ends are mapped into memory."""
        dtype = f"np.uint{8 * launch.bytes_of_an_id}"
        text = "\n".join(
            f'ids = np.memmap({launch.quoted(name)}, {dtype}, "r")  # ends beside it'
            for name in launch.files
        )
        return (Fragment(trainer="NumPy", language="python", text=text),)

    def dtype(self, size: int) -> str:
        """Return ``uint16`` for a vocabulary of up to 65,536 ids, else ``uint32``."""
        return smallest_unsigned(size)

    def open(self, folder: Path, plan: FilePlan) -> Writer:
        """Return a writer of arrays."""
        if plan.vocabulary is None:
            raise ValueError("a format of ids needs a vocabulary")
        return _Arrays(self, folder, plan.vocabulary)

    def read_back(self, folder: Path, plan: FilePlan) -> Iterator[ReadDraw]:
        """Yield the ids between two ends; how wide they are is read from the contents."""
        contents = json.loads((folder / _CONTENTS).read_text(encoding="utf-8"))
        if len(contents["files"]) != plan.num_files:
            raise ValueError(f"{_CONTENTS} names {len(contents['files'])} files")
        for entry in contents["files"]:
            yield from _read_part(folder, entry, contents["dtype"])


def _read_part(folder: Path, entry: Mapping[str, Any], dtype: str) -> Iterator[ReadDraw]:
    import numpy as np

    ids = mapped(folder / entry["file"], dtype)
    ends = np.load(folder / entry["ends"], mmap_mode="r" if ids.size else None)
    yield from draws_between(entry["file"], ids, ends)


class _Arrays(Writer):
    def __init__(self, form: Tokens, folder: Path, vocabulary: Vocabulary) -> None:
        self.form = form
        self.folder = folder
        self.vocabulary = vocabulary
        self.dtype = form.dtype(vocabulary.size)
        self.files: list[Mapping[str, Any]] = []

    def add(self, number: int, draws: "pa.Table") -> None:
        import numpy as np

        ids_name, ends_name = self.form.file_names(number)
        write_ids(self.folder / ids_name, draws, self.dtype)
        ends = np.cumsum(lengths_of(draws), dtype="<i8")
        np.save(self.folder / ends_name, ends, allow_pickle=False)
        self.files.append(
            {
                "file": ids_name,
                "ends": ends_name,
                "num_documents": int(ends.size),
                "num_ids": int(ends[-1]) if ends.size else 0,
            }
        )

    def close(self) -> None:
        contents: dict[str, object] = {
            "schema": 1,
            "dtype": self.dtype,
            "byte_order": "little",
            "vocabulary_size": self.vocabulary.size,
            "tokenizer": self.vocabulary.tokenizer,
            "eos": self.vocabulary.eos,
            "eos_id": self.vocabulary.eos_id,
        }
        if self.vocabulary.bos != "none":
            contents |= {"bos": self.vocabulary.bos, "bos_id": self.vocabulary.bos_id}
        contents["files"] = self.files
        text = json.dumps(contents, indent=1) + "\n"
        (self.folder / _CONTENTS).write_text(text, encoding="utf-8")
