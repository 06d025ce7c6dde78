"""Which documents a step of Megatron held, from the indices that it caches.

Megatron shuffles documents and samples, and keeps what it chose in three arrays: the documents one
behind the other (``document_index``), where each sample begins in them (``sample_index``: a place
in that list, and an offset), and which sample comes when (``shuffle_index``).
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow.compute as pc

from samplemix_dagster.errors import ConfigError
from samplemix_dagster.trace.exports.exported import SHOWN, Exported, Row, draws_of

_KINDS = ("document_index", "sample_index", "shuffle_index")
Indices = npt.NDArray[np.integer[Any]]


def trace_cached_step(
    exported: Exported, cache: Path, step: int, batch: int, file: str | None = None
) -> list[Row]:
    """Return the documents of each sample of a training step, in the order of Megatron's.

    Args:
        exported: An export as ``megatron``.
        cache: The folder of ``--data-cache-path``; it holds the indices of one dataset.
        step: Which step, from 0.
        batch: Samples of a step, over all processes (``--global-batch-size``).
        file: The ``.bin`` of the pair, where the export has several.

    Raises:
        ConfigError: There is no such pair or step, or the folder holds no indices, or several, or
            those of another dataset.
    """
    names = exported.files
    if exported.wanted.name != "megatron":
        raise ConfigError(f"--cache is of Megatron, and this export is {exported.wanted.words}")
    if file is None and len(names) > 1:
        raise ConfigError(f"name the pair, too: {', '.join(names)}")
    pair = file or names[0]
    if pair not in names:
        raise ConfigError(f"no file {pair!r} of draws; there are {', '.join(names)}")
    draws = draws_of(exported).filter(pc.field("file") == pair)
    documents, samples, shuffle = (_index(cache, kind) for kind in _KINDS)
    if documents.size and int(documents.max()) >= draws.num_rows:
        raise ConfigError(
            f"{cache} is of a dataset of more documents than the {draws.num_rows:,} of {pair}"
        )
    chosen = range(step * batch, min((step + 1) * batch, shuffle.size))
    if not chosen:
        raise ConfigError(f"there is no step {step:,}: {shuffle.size:,} samples are cached")
    rows = draws.select(SHOWN).to_pylist()
    return [
        {"sequence": number, "begin": begin, "end": end, **rows[document]}
        for number in chosen
        for document, begin, end in _spans(documents, samples, int(shuffle[number]), rows)
    ]


def _index(cache: Path, kind: str) -> Indices:
    """Return one of the cached arrays.

    Raises:
        ConfigError: There is none, or there are several.
    """
    found = sorted(cache.glob(f"*-{kind}.npy"))
    if len(found) != 1:
        raise ConfigError(
            f"{cache} holds {len(found)} files *-{kind}.npy, and one is needed: copy those of the "
            "dataset into a folder of their own"
        )
    array: Indices = np.load(found[0], mmap_mode="r", allow_pickle=False)
    return array


def _spans(
    documents: Indices, samples: Indices, sample: int, rows: list[Row]
) -> list[tuple[int, int, int]]:
    """Return the documents of a sample, each with what of it the sample has, target included."""
    (first, begin), (last, end) = samples[sample].tolist(), samples[sample + 1].tolist()
    found = []
    for place in range(first, last + 1):
        document = int(documents[place])
        start = begin if place == first else 0
        # A sample has one id more than its length: the last target.
        stop = end + 1 if place == last else rows[document]["num_ids"]
        found.append((document, start, stop))
    return found
