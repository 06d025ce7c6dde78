"""JSON lines: one draw a line, compressed or not."""

import contextlib
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from samplemix_dagster.export_formats.format import (
    FilePlan,
    Format,
    ReadDraw,
    Writer,
    readings_of_texts,
)
from samplemix_dagster.export_formats.launch import Fragment, Launch

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import pyarrow as pa

Compression = Literal["", "gz", "zst"]
_ROWS_AT_ONCE = 256


class JsonLines(Format):
    """``jsonl``, ``jsonl.gz`` and ``jsonl.zst``."""

    unit = "text"
    readings = readings_of_texts()

    def __init__(self, compression: Compression = "") -> None:
        self.compression: Compression = compression
        self.name = f"jsonl.{compression}" if compression else "jsonl"
        self.endings = (f".{self.name}",)

    def fragments(self, launch: Launch) -> tuple[Fragment, ...]:
        """Return how ``datasets`` loads the lines, in their order."""
        text = (
            f'load_dataset("json", data_files=[\n{launch.paths("    ")}\n], '
            'split="train", streaming=True)'
        )
        return (Fragment(trainer="datasets, and what reads by it", language="python", text=text),)

    def open(self, folder: Path, plan: FilePlan) -> Writer:
        """Return a writer of lines."""
        del plan
        return _Lines(self, folder)

    def read_back(self, folder: Path, plan: FilePlan) -> Iterator[ReadDraw]:
        """Yield the draw of each line."""
        from samplemix_dagster.core.hashing import doc_id

        for number in range(plan.num_files):
            name = self.file_names(number)[0]
            with _reading(folder / name, self.compression) as stream:
                for offset, line in enumerate(_lines(stream)):
                    row = json.loads(line)
                    yield ReadDraw(
                        file=name,
                        offset=offset,
                        num_tokens=row["num_tokens"],
                        digest=doc_id(row["text"]),
                        row=row,
                    )


_OFFSETS = ".offsets.npy"


class IndexedLines(JsonLines):
    """``jsonl.indexed``: plain lines, and beside them where each begins, in bytes.

    Readers at random places (torchtitan's ``IndexedJsonlSource``) would else scan every file for
    line ends, in each process.
    """

    def fragments(self, launch: Launch) -> tuple[Fragment, ...]:
        """Return torchtitan's source of lines, in their order."""
        text = "\n".join(
            f"IndexedJsonlSource({launch.quoted(name)})  # of the data: shuffle=False"
            for name in launch.files
        )
        return (Fragment(trainer="torchtitan", language="python", text=text),)

    def __init__(self) -> None:
        super().__init__()
        self.name = "jsonl.indexed"
        self.endings = (".jsonl", f".jsonl{_OFFSETS}")

    def open(self, folder: Path, plan: FilePlan) -> Writer:
        """Return a writer of lines and of their places."""
        del plan
        return _Placed(self, folder)

    def read_back(self, folder: Path, plan: FilePlan) -> Iterator[ReadDraw]:
        """Yield the draw of each line, after a look at whether lines begin where it is said."""
        import numpy as np

        for number in range(plan.num_files):
            name, offsets = self.file_names(number)
            if not np.array_equal(np.load(folder / offsets), _line_offsets(folder / name)):
                raise ValueError(f"the lines of {name} do not begin where {offsets} says")
        yield from super().read_back(folder, plan)


class _Lines(Writer):
    def __init__(self, form: JsonLines, folder: Path) -> None:
        self.form = form
        self.folder = folder

    def add(self, number: int, draws: "pa.Table") -> None:
        name = self.form.file_names(number)[0]
        with _writing(self.folder / name, self.form.compression) as stream:
            for batch in draws.to_batches(max_chunksize=_ROWS_AT_ONCE):
                lines = [json.dumps(row, ensure_ascii=False) for row in batch.to_pylist()]
                stream.write(("\n".join(lines) + "\n").encode())


class _Placed(_Lines):
    def add(self, number: int, draws: "pa.Table") -> None:
        import numpy as np

        super().add(number, draws)
        name, offsets = self.form.file_names(number)
        np.save(self.folder / offsets, _line_offsets(self.folder / name), allow_pickle=False)


def _line_offsets(path: Path) -> "npt.NDArray[np.int64]":
    """Return where each line of a file begins, and where the last one ends, in bytes."""
    import numpy as np

    with path.open("rb") as file:
        return np.cumsum([0, *(len(line) for line in file)], dtype="<i8")


@contextlib.contextmanager
def _writing(path: Path, compression: Compression) -> Iterator[Any]:
    if compression == "zst":
        import pyarrow as pa

        with pa.CompressedOutputStream(str(path), "zstd") as stream:
            yield stream
    elif compression == "gz":
        # Neither a time nor a name in the header: the same draws give the same bytes.
        with path.open("wb") as file, gzip.GzipFile("", "wb", 6, file, 0) as stream:
            yield stream
    else:
        with path.open("wb") as stream:
            yield stream


@contextlib.contextmanager
def _reading(path: Path, compression: Compression) -> Iterator[Any]:
    if compression == "zst":
        import pyarrow as pa

        with pa.CompressedInputStream(str(path), "zstd") as stream:
            yield stream
    elif compression == "gz":
        with gzip.open(path, "rb") as stream:
            yield stream
    else:
        with path.open("rb") as stream:
            yield stream


def _lines(stream: Any) -> Iterator[bytes]:
    pending = b""
    while block := stream.read1(1 << 20):
        *lines, pending = (pending + block).split(b"\n")
        yield from lines
    if pending:
        raise ValueError("the last line has no end")
