"""A draw as a trainer gets it: written by the export format ``tokens``, read back as it lies there.

A learner that stands for a trainer reads the files that a trainer would, so that what is judged is
what is exported, and not something beside it.
"""

import contextlib
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from samplemix_dagster.core.learners.ragged import TokenTexts
from samplemix_dagster.export_formats.format import FilePlan, Vocabulary
from samplemix_dagster.export_formats.ids.tokens import Tokens

_WIDTHS = {"uint16": "<u2", "uint32": "<u4"}


@contextlib.contextmanager
def exported(texts: TokenTexts, *, vocabulary: int, tokenizer: str) -> Iterator[TokenTexts]:
    """Yield texts as they lie in the files of an export, mapped into memory.

    Args:
        texts: What is written, in its order.
        vocabulary: Number of token ids.
        tokenizer: Digest of the tokenizer.
    """
    with tempfile.TemporaryDirectory(prefix="samplemix-draw-") as name:
        folder = Path(name)
        _write(
            folder, texts, Vocabulary(size=vocabulary, tokenizer=tokenizer, eos="none", eos_id=None)
        )
        yield _read(folder)


def _write(folder: Path, texts: TokenTexts, vocabulary: Vocabulary) -> None:
    offsets = np.concatenate([[0], texts.ends])
    tokens = pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), pa.array(texts.tokens))
    writer = Tokens().open(folder, FilePlan(num_files=1, vocabulary=vocabulary))
    writer.add(0, pa.table({"tokens": tokens}))
    writer.close()


def _read(folder: Path) -> TokenTexts:
    contents = json.loads((folder / "contents.json").read_text(encoding="utf-8"))
    entry = contents["files"][0]
    width = _WIDTHS[contents["dtype"]]
    ids = (
        np.memmap(folder / entry["file"], width, mode="r")
        if entry["num_ids"]
        else np.empty(0, width)
    )
    return TokenTexts(tokens=ids, ends=np.load(folder / entry["ends"]))
