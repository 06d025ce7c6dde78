"""LitData: chunks of ids in whole blocks, and ``index.json``; for litgpt and PyTorch Lightning.

A chunk is a small head (how many items, where they lie) and ids. ``TokensLoader(block_size)`` takes
block after block out of a chunk and drops what is left over, so a chunk ends where a block does: a
document may go on in the next. What fills no block at the very end stands in the last chunk, and is
the one thing that the reader drops. ``ends.npy`` says where documents end in the whole.

The layout is that of ``litdata.streaming.writer`` for one tensor without a head.
"""

import json
import struct
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from samplemix_dagster.errors import InputError
from samplemix_dagster.export_formats.format import (
    FilePlan,
    Format,
    Option,
    ReadDraw,
    Reading,
    Writer,
    options_of_ids,
)
from samplemix_dagster.export_formats.ids.arrays import flat_ids, lengths_of, little, mapped
from samplemix_dagster.export_formats.launch import Fragment, Launch

if TYPE_CHECKING:
    import pyarrow as pa

    from samplemix_dagster.export_formats.ids.arrays import Ids

_INDEX, _ENDS = "index.json", "ends.npy"
_CODES = {"uint16": 20, "int32": 16}
_HEAD = "<III"
"""Items, where the first begins, where it ends, from the file's beginning."""
_MOST_BYTES = (1 << 32) - 1
_TENSOR = '[1, {"type": null, "context": null, "children_spec": []}]'
"""What LitData writes of the structure of an item that is a tensor."""


class LitData(Format):
    """``litdata``: ``sequence: 2048`` asks for blocks of 2,049 ids, as litgpt takes them."""

    name = "litdata"
    unit = "tokens"
    endings = (".bin",)
    others = (_INDEX, _ENDS)
    options = MappingProxyType({**options_of_ids(), "sequence": Option(default="2048")})
    needs_eos = True
    readings = (Reading(words="each chunk cut", more=1, step_more=1, by_file=False),)
    joins_files = True
    stem = "chunk-0-"
    digits = 1

    def fragments(self, launch: Launch) -> tuple[Fragment, ...]:
        """Return LitData's dataset, in order, and litgpt's command, whose module shuffles."""
        ordered = (
            f"StreamingDataset({launch.quoted()}, shuffle=False,\n"
            f"                 item_loader=TokensLoader(block_size={launch.sequence + 1}))"
        )
        command = (
            f"litgpt pretrain MODEL --data LitData --data.data_path {launch.shell()} \\\n"
            f"  --train.max_seq_length {launch.sequence}"
        )
        return (
            Fragment(trainer="LitData 0.2", language="python", text=ordered),
            Fragment(
                trainer="litgpt 0.5",
                language="sh",
                text=command,
                order="its module LitData shuffles blocks while it trains",
            ),
        )

    def dtype(self, size: int) -> str:
        """Return ``uint16`` for a vocabulary of up to 65,536 ids, else ``int32``."""
        return "uint16" if size <= 1 << 16 else "int32"

    def open(self, folder: Path, plan: FilePlan) -> Writer:
        """Return a writer of chunks."""
        if plan.vocabulary is None:
            raise ValueError("a format of ids needs a vocabulary")
        return _Chunks(self, folder, plan, self.dtype(plan.vocabulary.size))

    def read_back(self, folder: Path, plan: FilePlan) -> Iterator[ReadDraw]:
        """Yield what stands between two ends, out of one chunk or of several."""
        import numpy as np

        from samplemix_dagster.core.hashing import tokens_digest

        del plan
        index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
        entries, dtype = index["chunks"], _dtype_of(index)
        names = [entry["filename"] for entry in entries]
        bounds = np.cumsum([0, *(entry["dim"] for entry in entries)])
        # A chunk that is mapped is a file that is open; draws go through them one by one.
        chunk = lru_cache(maxsize=8)(lambda number: _read_chunk(folder, entries[number], dtype))
        ends = np.load(folder / _ENDS, allow_pickle=False)
        if (int(ends[-1]) if ends.size else 0) != bounds[-1]:
            raise ValueError(f"{_INDEX} has {bounds[-1]:,} ids, and its documents end elsewhere")
        starts = ends - np.diff(ends, prepend=0)
        firsts = np.searchsorted(bounds[1:-1], starts, "right")
        lasts = np.searchsorted(bounds[1:-1], ends, "left")
        for start, end, first, last in zip(
            *(array.tolist() for array in (starts, ends, firsts, lasts)), strict=True
        ):
            pieces = [
                chunk(number)[max(0, start - low) : end - low]
                for number, low in enumerate(bounds[first : last + 1].tolist(), first)
                if number < len(entries)
            ]
            yield ReadDraw(
                file=names[first] if names else self.file_names(0)[0],
                offset=start - int(bounds[first]),
                num_tokens=end - start,
                digest=tokens_digest(np.concatenate([np.empty(0, np.uint16), *pieces])),
            )


def _dtype_of(index: Mapping[str, Any]) -> str:
    """Return the type of the ids.

    Raises:
        ValueError: It is none of ours.
    """
    types = {f"no_header_tensor:{code}": dtype for dtype, code in _CODES.items()}
    [form] = index["config"]["data_format"]
    if form not in types:
        raise ValueError(f"{_INDEX} has items of the form {form!r}")
    return types[form]


def _read_chunk(folder: Path, entry: Mapping[str, Any], dtype: str) -> "Ids":
    """Return the ids of a chunk, after a look at its head.

    Raises:
        ValueError: Its head or its length is that of other ids.
    """
    path = folder / entry["filename"]
    head = struct.calcsize(_HEAD)
    ids = mapped(path, dtype, head)
    with path.open("rb") as file:
        found = struct.unpack(_HEAD, file.read(head))
    size = path.stat().st_size
    if found != (1, head, size) or ids.size != entry["dim"] or size != entry["chunk_bytes"]:
        raise ValueError(f"{path.name} is not the chunk that {_INDEX} describes")
    return ids


class _Chunks(Writer):
    def __init__(self, form: LitData, folder: Path, plan: FilePlan, dtype: str) -> None:
        import numpy as np

        self.form = form
        self.folder = folder
        self.last = plan.num_files - 1
        self.block = int(plan.options["sequence"]) + 1
        self.dtype = dtype
        self.rest: Ids = np.empty(0, little(dtype))
        self.lengths = [np.zeros(0, np.int64)]
        self.chunks: list[Mapping[str, Any]] = []

    def add(self, number: int, draws: "pa.Table") -> None:
        import numpy as np

        self.lengths.append(lengths_of(draws))
        ids = np.concatenate([self.rest, flat_ids(draws, self.dtype)])
        kept = ids.size if number == self.last else ids.size // self.block * self.block
        self.rest = ids[kept:].copy()
        [name] = self.form.file_names(number)
        self._write(name, ids[:kept])

    def _write(self, name: str, ids: "Ids") -> None:
        head = struct.calcsize(_HEAD)
        size = head + ids.nbytes
        if size > _MOST_BYTES:
            raise InputError(
                f"{name} would have {size:,} bytes, and a chunk can have {_MOST_BYTES:,}; export "
                "more files."
            )
        (self.folder / name).write_bytes(struct.pack(_HEAD, 1, head, size) + ids.tobytes())
        if ids.size:  # a reader maps what an index names, and nothing cannot be mapped
            entry = {"chunk_bytes": size, "chunk_size": 1, "dim": int(ids.size), "filename": name}
            self.chunks.append(entry)

    def close(self) -> None:
        import numpy as np

        ends = np.cumsum(np.concatenate(self.lengths), dtype="<i8")
        np.save(self.folder / _ENDS, ends, allow_pickle=False)
        config = {
            "chunk_bytes": max((entry["chunk_bytes"] for entry in self.chunks), default=0),
            "chunk_size": None,
            "compression": None,
            "data_format": [f"no_header_tensor:{_CODES[self.dtype]}"],
            "data_spec": _TENSOR,
            "encryption": None,
            "item_loader": "TokensLoader",
        }
        text = json.dumps({"chunks": self.chunks, "config": config}, sort_keys=True)
        (self.folder / _INDEX).write_text(text, encoding="utf-8")
