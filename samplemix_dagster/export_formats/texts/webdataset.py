"""WebDataset: tar files in which the members of one draw follow each other under one key.

``000000000.txt`` is the text, ``000000000.json`` what is known of it. No time, owner or mode of a
machine is in an archive, so the same draws give the same bytes.
"""

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from samplemix_dagster.export_formats.format import (
    FilePlan,
    Format,
    ReadDraw,
    Writer,
    readings_of_texts,
)
from samplemix_dagster.export_formats.launch import Fragment, Launch

if TYPE_CHECKING:
    import pyarrow as pa

_ROWS_AT_ONCE = 256
_KNOWN = ("doc_id", "source", "copy", "num_tokens", "id")


class WebDataset(Format):
    """``webdataset``: for the library of that name, and for what reads its tar files."""

    name = "webdataset"
    unit = "text"
    readings = readings_of_texts()
    endings = (".tar",)

    def fragments(self, launch: Launch) -> tuple[Fragment, ...]:
        """Return a reader of the tar files, in their order."""
        text = f"wds.WebDataset([\n{launch.paths('    ')}\n], shardshuffle=False)"
        return (Fragment(trainer="webdataset 1.0", language="python", text=text),)

    def open(self, folder: Path, plan: FilePlan) -> Writer:
        """Return a writer of archives."""
        del plan
        return _Archives(self, folder)

    def read_back(self, folder: Path, plan: FilePlan) -> Iterator[ReadDraw]:
        """Yield the draw of each two members, which must have one key."""
        from samplemix_dagster.core.hashing import doc_id

        for number in range(plan.num_files):
            [name] = self.file_names(number)
            with tarfile.open(folder / name, "r:") as archive:
                for offset, (content, known) in enumerate(_pairs(archive)):
                    row = {**json.loads(known), "text": content.decode("utf-8")}
                    yield ReadDraw(
                        file=name,
                        offset=offset,
                        num_tokens=row["num_tokens"],
                        digest=doc_id(row["text"]),
                        row=row,
                    )


def _pairs(archive: tarfile.TarFile) -> Iterator[tuple[bytes, bytes]]:
    """Yield the two members of each draw.

    Raises:
        ValueError: A member is missing, or of another draw.
    """
    members = iter(archive)
    for text in members:
        known = next(members, None)
        key = text.name.removesuffix(".txt")
        if known is None or text.name == key or known.name != f"{key}.json":
            raise ValueError(f"{text.name} does not stand before what is known of it")
        contents = [archive.extractfile(member) for member in (text, known)]
        yield tuple(file.read() for file in contents if file is not None)  # type: ignore[misc]


class _Archives(Writer):
    def __init__(self, form: WebDataset, folder: Path) -> None:
        self.form = form
        self.folder = folder
        self.num_draws = 0

    def add(self, number: int, draws: "pa.Table") -> None:
        [name] = self.form.file_names(number)
        with tarfile.open(self.folder / name, "w:", format=tarfile.USTAR_FORMAT) as archive:
            for batch in draws.to_batches(max_chunksize=_ROWS_AT_ONCE):
                for row in batch.to_pylist():
                    known = {key: row[key] for key in _KNOWN}
                    _add(archive, f"{self.num_draws:09d}.txt", row["text"].encode())
                    _add(archive, f"{self.num_draws:09d}.json", json.dumps(known).encode())
                    self.num_draws += 1


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))
