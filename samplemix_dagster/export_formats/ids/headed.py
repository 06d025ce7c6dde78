"""Arrays behind a head that says how many ids follow, of the flat family.

``nanogpt`` is read by llm.c, modded-nanogpt and what reads their shards, ``modalities`` by
Modalities, which keeps the places of documents in the same file, as a pickle. A pickle can run code
where it is loaded, so none is loaded here: the one that is written is a list of pairs of numbers,
of the same width each, and is compared byte by byte when it is read back.
"""

import struct
from pathlib import Path
from typing import TYPE_CHECKING

from samplemix_dagster.errors import InputError
from samplemix_dagster.export_formats.format import Reading, options_of_ids
from samplemix_dagster.export_formats.ids.arrays import (
    Flat,
    Part,
    little,
    mapped,
    smallest_unsigned,
)
from samplemix_dagster.export_formats.launch import Fragment, Launch

if TYPE_CHECKING:
    from samplemix_dagster.export_formats.ids.arrays import Ids, Integers

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

    def fragments(self, launch: Launch) -> tuple[Fragment, ...]:
        """Return the pattern of files for llm.c and modded-nanogpt."""
        pattern = f"{self.stem}*.bin"
        return (
            Fragment(
                trainer="modded-nanogpt",
                language="python",
                text=f"train_files = {launch.quoted(pattern)}  # in Hyperparameters",
            ),
            Fragment(
                trainer="llm.c",
                language="sh",
                text=f"./train_gpt2cu -i {launch.shell(pattern)} -t {launch.sequence}",
                order="its loader permutes shards and windows while it trains",
            ),
        )

    def dtype(self, size: int) -> str:
        """Return ``uint16``."""
        del size
        return "uint16"

    def head(self, part_name: str, num_ids: int, dtype: str) -> bytes:
        """Return magic number, version and number of ids, as int32."""
        import numpy as np

        del dtype
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


_PBIN_HEAD = "<QI"
"""Bytes of the ids, bytes of one."""
_LIST = b"\x80\x04](", b"e."
"""Around the pairs: protocol 4, an empty list, a mark; appended to it, the end."""
_NUMBER, _PAIR = 0x088A, 0x86
"""A number of 8 bytes follows; the last two are a pair."""
_ENTRY = (("a", "<u2"), ("start", "<i8"), ("b", "<u2"), ("length", "<i8"), ("pair", "u1"))


class Modalities(Flat):
    """``modalities``: ``.pbin`` with a head of 12 bytes, ids, and where documents lie, in bytes."""

    name = "modalities"
    readings = (Reading(words="each file cut", more=1),)
    endings = (".pbin",)
    head_bytes = struct.calcsize(_PBIN_HEAD)

    def fragments(self, launch: Launch) -> tuple[Fragment, ...]:
        """Return the components of a configuration, for each file."""
        datasets = "\n".join(
            f"{'train_dataset' if len(launch.files) == 1 else f'train_dataset_{number}'}:\n"
            "  component_key: dataset\n"
            "  variant_key: packed_mem_map_dataset_continuous\n"
            "  config:\n"
            f"    raw_data_path: {launch.quoted(name)}\n"
            f"    sequence_length: {launch.sequence}\n"
            "    sample_key: input_ids\n"
            "    reuse_last_target: true"
            for number, name in enumerate(launch.files)
        )
        text = f"{datasets}\n# of its sampler (resumable_distributed_sampler): shuffle: false"
        return (Fragment(trainer="Modalities 0.5", language="yaml", text=text),)

    def dtype(self, size: int) -> str:
        """Return the narrowest of one, two and four bytes."""
        return smallest_unsigned(size, (8, 16, 32))

    def head(self, part_name: str, num_ids: int, dtype: str) -> bytes:
        """Return how many bytes the ids have, and how many one has."""
        del part_name
        width = little(dtype).itemsize
        return struct.pack(_PBIN_HEAD, num_ids * width, width)

    def map_ids(self, path: Path, dtype: str) -> "Ids":
        """Return as many ids as the head says.

        Raises:
            ValueError: The head is that of another type, or the file is shorter.
        """
        with path.open("rb") as file:
            head = file.read(self.head_bytes)
        if len(head) < self.head_bytes:
            raise ValueError(f"{path.name} is too short for a head")
        num_bytes, width = struct.unpack(_PBIN_HEAD, head)
        tail_bytes = path.stat().st_size - self.head_bytes - num_bytes
        if width != little(dtype).itemsize or tail_bytes < 0:
            raise ValueError(f"the head of {path.name} is that of other ids")
        return mapped(path, dtype, self.head_bytes, tail_bytes)

    def write_bounds(self, part: Part) -> None:
        """Write the list of places behind the ids."""
        with (part.folder / part.names[0]).open("ab") as file:
            file.write(_places(part.ends, little(part.dtype).itemsize))

    def read_ends(self, folder: Path, number: int, num_ids: int) -> "Integers":
        """Return where the pairs say that documents end, if they are pairs as they are written."""
        import numpy as np

        del num_ids
        [name] = self.file_names(number)
        with (folder / name).open("rb") as file:
            num_bytes, width = struct.unpack(_PBIN_HEAD, file.read(self.head_bytes))
            file.seek(num_bytes, 1)
            found = file.read()
        head, tail = _LIST
        pairs = found[len(head) : len(found) - len(tail)]
        if len(pairs) % np.dtype(list(_ENTRY)).itemsize:
            raise ValueError(f"{name} does not end in a list of places")
        lengths = np.frombuffer(pairs, list(_ENTRY))["length"]
        ends: Integers = np.cumsum(lengths, dtype=np.int64) // width
        if found != _places(ends, width):
            raise ValueError(f"the places of {name} are not those of its documents")
        return ends


def _places(ends: "Integers", width: int) -> bytes:
    """Return the pickle of ``[(start, length), ...]``, in bytes of ids of some width."""
    import numpy as np

    pairs = np.empty(ends.size, list(_ENTRY))
    pairs["a"] = pairs["b"] = _NUMBER
    pairs["pair"] = _PAIR
    pairs["length"] = np.diff(ends, prepend=0) * width
    pairs["start"] = ends * width - pairs["length"]
    return pairs.tobytes().join(_LIST)
