"""Draws of a few small documents, written by a format into a folder."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from samplemix_dagster.core.hashing import doc_id
from samplemix_dagster.export_formats.format import FilePlan, Format, ReadDraw, Vocabulary
from samplemix_dagster.export_formats.wanted import Wanted

EOS = 9
THREE = [[1, 2, 3, EOS], [4, EOS], [5, 6, EOS]]
"""Three documents, EOS included."""


def plan_of(
    form: Format, *, size: int = 300, eos: str | None = None, num_files: int = 1, **said: str
) -> FilePlan:
    """What is to be written, with a tokenizer of so many ids."""
    options = Wanted.of(form.name, num_files, said if eos is None else {**said, "eos": eos}).options
    vocabulary = Vocabulary(size=size, tokenizer="0" * 32, eos=options["eos"], eos_id=EOS)
    return FilePlan(num_files=num_files, options=options, vocabulary=vocabulary)


def draws(documents: Sequence[Sequence[int]]) -> pa.Table:
    """Draws of documents; those with the same ids are copies of one."""
    seen: list[Sequence[int]] = []
    rows = []
    for ids in documents:
        rows.append(
            {
                "doc_id": doc_id(str(ids)),
                "source": "web",
                "copy": seen.count(ids),
                "num_tokens": len(ids) - 1,
                "id": None,
                "num_ids": len(ids),
                "tokens": ids,
            }
        )
        seen.append(ids)
    types = {"copy": pa.int32(), "id": pa.string(), "tokens": pa.large_list(pa.uint32())}
    names = ("doc_id", "source", "copy", "num_tokens", "id", "num_ids", "tokens")
    return pa.table(
        {name: pa.array([row[name] for row in rows], types.get(name)) for name in names}
    )


def write(form: Format, folder: Path, plan: FilePlan, *parts: Sequence[Sequence[int]]) -> None:
    """Write parts of documents, the rest of the parts empty."""
    folder.mkdir(exist_ok=True)
    writer = form.open(folder, plan)
    for number in range(plan.num_files):
        writer.add(number, draws(parts[number] if number < len(parts) else []))
    writer.close()


def read(form: Format, folder: Path, plan: FilePlan) -> list[ReadDraw]:
    """What the format's reader finds."""
    return list(form.read_back(folder, plan))
