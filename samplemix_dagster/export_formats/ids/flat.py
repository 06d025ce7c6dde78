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

from samplemix_dagster.export_formats.format import Reading
from samplemix_dagster.export_formats.ids.arrays import Flat, Part, little, smallest_unsigned
from samplemix_dagster.export_formats.launch import Fragment, Launch

if TYPE_CHECKING:
    from samplemix_dagster.export_formats.ids.arrays import Integers


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

    def fragments(self, launch: Launch) -> tuple[Fragment, ...]:
        """Return a dataset and a loader of OLMo-core."""
        bos = "" if launch.bos_id is None else f", bos_token_id={launch.bos_id}"
        text = (
            "dataset = NumpyFSLDatasetConfig(\n"
            f"    paths=[\n{launch.paths('        ')}\n    ],\n"
            f"    sequence_length={launch.sequence},\n"
            f"    tokenizer=TokenizerConfig({launch.vocabulary_size}, "
            f"eos_token_id={launch.eos_id}, pad_token_id={launch.eos_id}{bos}),\n"
            f"    dtype=NumpyDatasetDType.uint{8 * launch.bytes_of_an_id},\n"
            "    work_dir=WORK,\n"
            ").build()\n"
            "loader = NumpyDataLoaderConfig(global_batch_size=TOKENS_OF_A_STEP, seed=0)"
            ".build(dataset)\n"
            "loader.shuffle = False  # before reshuffle(): the order of the export"
        )
        return (Fragment(trainer="OLMo-core 3.0", language="python", text=text),)

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

    def fragments(self, launch: Launch) -> tuple[Fragment, ...]:
        """Return datatrove's dataset, which reads in order, and nanotron's, which does not."""
        size = launch.bytes_of_an_id
        ordered = (
            "ConcatDataset([\n"
            f"    DatatroveFileDataset(path, {launch.sequence}, {size}) for path in [\n"
            f"{launch.paths('        ')}\n    ]\n])"
        )
        nanoset = (
            f"Nanoset(dataset_folders=[{launch.quoted()}], sequence_length={launch.sequence},\n"
            f"        token_size={size}, train_split_num_samples=SEQUENCES)"
        )
        return (
            Fragment(trainer="datatrove 0.10", language="python", text=ordered),
            Fragment(
                trainer="nanotron",
                language="python",
                text=nanoset,
                order="Nanoset shuffles its windows",
            ),
        )

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

    def fragments(self, launch: Launch) -> tuple[Fragment, ...]:
        """Return what a source of torchtitan's maps into memory."""
        stems = (name.removesuffix(self.endings[0]) for name in launch.files)
        text = "\n".join(
            f'tokens = np.memmap({launch.quoted(f"{stem}.bin")}, np.uint32, "r")\n'
            f"offsets = np.load({launch.quoted(f'{stem}.document_offsets.npy')})"
            for stem in stems
        )
        text += "\n# document i is tokens[offsets[i]:offsets[i + 1]]; of the data: shuffle=False"
        return (Fragment(trainer="torchtitan", language="python", text=text),)

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
