"""JSON lines: one draw a line, compressed or not."""

import contextlib
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from samplemix_dagster.export_formats.format import FilePlan, Format, ReadDraw, Writer

if TYPE_CHECKING:
    import pyarrow as pa

Compression = Literal["", "gz", "zst"]
_ROWS_AT_ONCE = 256


class JsonLines(Format):
    """``jsonl``, ``jsonl.gz`` and ``jsonl.zst``."""

    unit = "text"

    def __init__(self, compression: Compression = "") -> None:
        self.compression: Compression = compression
        self.name = f"jsonl.{compression}" if compression else "jsonl"
        self.endings = (f".{self.name}",)

    def open(self, folder: Path, plan: FilePlan) -> Writer:
        """Return a writer of lines."""
        del plan
        return _Lines(self, folder)

    def read_back(self, folder: Path, plan: FilePlan) -> Iterator[ReadDraw]:
        """Yield the draw of each line."""
        from samplemix_dagster.core.hashing import doc_id

        for number in range(plan.num_files):
            [name] = self.file_names(number)
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


class _Lines(Writer):
    def __init__(self, form: JsonLines, folder: Path) -> None:
        self.form = form
        self.folder = folder

    def add(self, number: int, draws: "pa.Table") -> None:
        [name] = self.form.file_names(number)
        with _writing(self.folder / name, self.form.compression) as stream:
            for batch in draws.to_batches(max_chunksize=_ROWS_AT_ONCE):
                lines = [json.dumps(row, ensure_ascii=False) for row in batch.to_pylist()]
                stream.write(("\n".join(lines) + "\n").encode())


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
