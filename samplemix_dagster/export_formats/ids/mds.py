"""MDS: rows of exactly one sequence of ids, for MosaicML Streaming, Composer and LLM Foundry.

The documents stand one behind the other and are cut into rows, so that no tail of a long one is
lost. Each row says which documents it holds: ``spans`` has for each of them its id, which copy it
is, from where in the document the row has it, and how many ids of it. Trainers do not read it. The
last row of all is filled up; what fills it stands in no span.

The layout is that of ``streaming.base.format.mds``, version 2.
"""

import json
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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
from samplemix_dagster.export_formats.ids.arrays import flat_ids, lengths_of, little
from samplemix_dagster.export_formats.launch import Fragment, Launch

if TYPE_CHECKING:
    import pyarrow as pa

    from samplemix_dagster.export_formats.ids.arrays import Ids

_INDEX = "index.json"
_MOST_BYTES = (1 << 32) - 1
_DTYPE = "int32"
_SIZE_LIMIT = 1 << 26


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Ids of one draw that stand in one row."""

    doc_id: str
    copy: int
    begin: int
    """From where in the document."""
    length: int


class Mds(Format):
    """``mds``: ``sequence: 2048`` asks for rows of 2,048 ids, which is ``max_seq_len``."""

    name = "mds"
    unit = "tokens"
    endings = (".mds",)
    others = (_INDEX,)
    options = MappingProxyType({**options_of_ids(), "sequence": Option(default="2048")})
    needs_eos = True
    readings = (Reading(words="rows as written", by_file=False, pads=True),)
    joins_files = True
    stem = "shard."

    def fragments(self, launch: Launch) -> tuple[Fragment, ...]:
        """Return LLM Foundry's loader, and the library's dataset."""
        mark = (
            f"bos_token_id: {launch.bos_id}"
            if launch.eos_id is None
            else f"eos_token_id: {launch.eos_id}"
        )
        loader = (
            "train_loader:\n  name: text\n  dataset:\n"
            f"    local: {launch.quoted()}\n    split: null\n    shuffle: false\n"
            f"    max_seq_len: {launch.sequence}\n    token_encoding_type: int32\n    {mark}\n"
            "  drop_last: true"
        )
        dataset = f"StreamingDataset(local={launch.quoted()}, shuffle=False, batch_size=BATCH)"
        return (
            Fragment(trainer="LLM Foundry 0.22", language="yaml", text=loader),
            Fragment(trainer="Streaming 0.13", language="python", text=dataset),
        )

    def dtype(self, size: int) -> str:
        """Return ``int32``, which is what LLM Foundry's own converters write."""
        del size
        return _DTYPE

    def open(self, folder: Path, plan: FilePlan) -> Writer:
        """Return a writer of shards."""
        return _Shards(self, folder, plan)

    def read_back(self, folder: Path, plan: FilePlan) -> Iterator[ReadDraw]:
        """Yield each draw, put together from the rows that it stands in."""
        import numpy as np

        from samplemix_dagster.core.hashing import tokens_digest

        del plan
        pieces: list[Ids] = []
        place: tuple[Span, str, int] | None = None

        def whole() -> Iterator[ReadDraw]:
            if place is not None:
                found = np.concatenate(pieces)
                span, file, offset = place
                yield ReadDraw(
                    file=file,
                    offset=offset,
                    num_tokens=found.size,
                    digest=tokens_digest(found),
                    row={"doc_id": span.doc_id, "copy": span.copy},
                )

        for file, number, ids, spans in _read_rows(folder):
            at = 0
            for span in spans:
                if span.begin == 0:
                    yield from whole()
                    place, pieces = (span, file, number * ids.size + at), []
                pieces.append(ids[at : at + span.length])
                at += span.length
        yield from whole()


def _read_rows(folder: Path) -> Iterator[tuple[str, int, "Ids", list[Span]]]:
    """Yield file, number in it, ids and spans of each row.

    Raises:
        ValueError: The files are not of this form.
    """
    import numpy as np

    index = json.loads((folder / _INDEX).read_text(encoding="utf-8"))
    for entry in index["shards"]:
        name = entry["raw_data"]["basename"]
        content = np.memmap(folder / name, np.uint8, mode="r")
        [count] = np.frombuffer(content[:4], "<u4").tolist()
        if count != entry["samples"] or content.size != entry["raw_data"]["bytes"]:
            raise ValueError(f"{name} is not the shard that {_INDEX} describes")
        offsets = np.frombuffer(content[4 : 8 + 4 * count], "<u4").tolist()
        for number in range(count):
            sample = content[offsets[number] : offsets[number + 1]].tobytes()
            [size] = struct.unpack_from("<I", sample)
            spans = [
                Span(**dict(zip(_SPAN, one, strict=True))) for one in json.loads(sample[4:][:size])
            ]
            yield name, number, np.frombuffer(sample[4 + size :], little(_DTYPE)), spans


_SPAN = ("doc_id", "copy", "begin", "length")


class _Shards(Writer):
    def __init__(self, form: Mds, folder: Path, plan: FilePlan) -> None:
        import numpy as np

        eos_id = None if plan.vocabulary is None else plan.vocabulary.eos_id
        self.form = form
        self.folder = folder
        self.last = plan.num_files - 1
        self.sequence = int(plan.options["sequence"])
        self.filling = 0 if eos_id is None else eos_id
        self.columns = {
            "column_encodings": ["json", f"ndarray:{_DTYPE}:{self.sequence}"],
            "column_names": ["spans", "tokens"],
            "column_sizes": [None, self.sequence * little(_DTYPE).itemsize],
            "compression": None,
            "format": "mds",
            "hashes": [],
            "size_limit": _SIZE_LIMIT,
            "version": 2,
        }
        self.rest: Ids = np.empty(0, little(_DTYPE))
        self.pending: list[Span] = []
        self.shards: list[Mapping[str, Any]] = []

    def add(self, number: int, draws: "pa.Table") -> None:
        import numpy as np

        ids = np.concatenate([self.rest, flat_ids(draws, _DTYPE)])
        lengths = lengths_of(draws).tolist()
        names = (draws.column(name).to_pylist() for name in ("doc_id", "copy"))
        self.pending += [
            Span(doc_id=one, copy=copy, begin=0, length=length)
            for one, copy, length in zip(*names, lengths, strict=True)
        ]
        num_rows = ids.size // self.sequence
        if number == self.last and (ids.size % self.sequence or (self.pending and not num_rows)):
            num_rows += 1
            filling = np.full(num_rows * self.sequence - ids.size, self.filling, ids.dtype)
            ids = np.concatenate([ids, filling])
        rows = ids[: num_rows * self.sequence].reshape(num_rows, self.sequence)
        self.rest = ids[num_rows * self.sequence :].copy()
        spans = self._spans(num_rows, is_end=number == self.last)
        [name] = self.form.file_names(number)
        self._write(name, [_sample(row, of) for row, of in zip(rows, spans, strict=True)])

    def _spans(self, num_rows: int, *, is_end: bool) -> list[list[Span]]:
        """Take what stands in the next rows out of what is pending, and cut it where rows end."""
        found: list[list[Span]] = []
        pending = iter(self.pending)
        span = next(pending, None)
        for _ in range(num_rows):
            row: list[Span] = []
            room = self.sequence
            while span is not None and (room or not span.length):
                taken, after = _cut(span, room)
                row.append(taken)
                room -= taken.length
                span = after or next(pending, None)
            found.append(row)
        self.pending = [] if span is None else [span, *pending]
        if is_end and found:
            found[-1] += self.pending
        return found

    def _write(self, name: str, samples: list[bytes]) -> None:
        import numpy as np

        config = json.dumps(self.columns, sort_keys=True).encode()
        begin = 4 + 4 * (len(samples) + 1) + len(config)
        offsets = np.cumsum([begin, *map(len, samples)], dtype=np.int64)
        if int(offsets[-1]) > _MOST_BYTES:
            raise InputError(
                f"{name} would have {int(offsets[-1]):,} bytes, and a shard can have "
                f"{_MOST_BYTES:,}; export more files."
            )
        head = struct.pack("<I", len(samples)) + offsets.astype("<u4").tobytes() + config
        (self.folder / name).write_bytes(head + b"".join(samples))
        if samples:
            raw = {"basename": name, "bytes": int(offsets[-1]), "hashes": {}}
            entry = {**self.columns, "raw_data": raw, "samples": len(samples), "zip_data": None}
            self.shards.append(entry)

    def close(self) -> None:
        text = json.dumps({"shards": self.shards, "version": 2}, sort_keys=True)
        (self.folder / _INDEX).write_text(text, encoding="utf-8")


def _cut(span: Span, room: int) -> tuple[Span, Span | None]:
    """Return what of a span has room in a row, and what is left of it."""
    if span.length <= room:
        return span, None
    taken = Span(doc_id=span.doc_id, copy=span.copy, begin=span.begin, length=room)
    begin, left = span.begin + room, span.length - room
    return taken, Span(doc_id=span.doc_id, copy=span.copy, begin=begin, length=left)


def _sample(ids: "Ids", spans: list[Span]) -> bytes:
    """Return a row: the size of what varies, then each column in the order of their names."""
    words = json.dumps([[getattr(span, name) for name in _SPAN] for span in spans]).encode()
    return struct.pack("<I", len(words)) + words + ids.tobytes()
