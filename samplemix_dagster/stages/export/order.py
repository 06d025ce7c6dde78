"""The order of an export: every draw with its place and its file, from a version's ledger.

How the order is made is ``core.mixture.order``'s; how draws become files is in ``exporting.py``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.hashing import id_words
from samplemix_dagster.core.mixture.order import (
    files_of,
    held_out_draws,
    order_keys,
    order_luck,
    strata_of,
)
from samplemix_dagster.storage.corpus.manifest import ledger_file
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.lake import Lake


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """Every draw of a mixture: D of them, from ledger rows by shard."""

    shard: npt.NDArray[np.int64]
    row: npt.NDArray[np.int64]
    copy: npt.NDArray[np.int64]
    tokens: npt.NDArray[np.int64]
    position: npt.NDArray[np.int64]
    file: npt.NDArray[np.int64]


def ledger_key(mixture: Mapping[str, Any], shard: Mapping[str, Any]) -> str:
    """Return where the ledger of a shard of a version lies."""
    folder = keys.version_folder(mixture["name"], mixture["version"])
    return f"{folder}/{ledger_file(shard['source'], shard['digest'])}"


def ordered_draws(
    lake: Lake, mixture: Mapping[str, Any], num_files: int, held_out: float = 0.0
) -> Draws:
    """Return every draw with its place in the order and its file.

    Args:
        lake: The lake that holds the version and its scores.
        mixture: The version's manifest.
        num_files: Files of near-equal size.
        held_out: The share of documents that stand in the last file and in no other, in [0, 1);
            the other files have the rest in near-equal parts.
    """
    columns: dict[str, list[Any]] = {
        name: [] for name in ("shard", "row", "tokens", "words", "copies", "strata")
    }
    for number, shard in enumerate(mixture["shards"]):
        ledger = lake.read_table(
            ledger_key(mixture, shard), ["doc_id", "row", "num_tokens", "quality", "copies"]
        )
        copies = ledger.column("copies").to_numpy()
        chosen = np.flatnonzero(copies > 0)
        folder = mixture["recipe"]["scores"][shard["source"]]
        key = f"{keys.features_folder('scores', folder)}/{shard['digest']}.parquet"
        scores = lake.read_table(key, ["doc_id", "cluster"])
        if not scores.column("doc_id").equals(ledger.column("doc_id")):
            raise lake.damage(key, "its rows are not those of the ledger")
        quality = ledger.column("quality").to_numpy()[chosen]
        ids = ledger.column("doc_id").to_numpy(zero_copy_only=False)[chosen].astype("S32")
        columns["shard"].append(np.full(chosen.size, number))
        columns["row"].append(ledger.column("row").to_numpy()[chosen])
        columns["tokens"].append(ledger.column("num_tokens").to_numpy()[chosen])
        columns["words"].append(id_words(ids))
        columns["copies"].append(copies[chosen].astype(np.int64))
        columns["strata"].append(strata_of(scores.column("cluster").to_numpy()[chosen], quality))
    joined = {name: np.concatenate(parts) for name, parts in columns.items()}
    times = joined["copies"]
    repeat = np.repeat(np.arange(times.size), times)
    copy = np.arange(repeat.size) - np.repeat(np.cumsum(times) - times, times)
    words_D2 = joined["words"][repeat]
    luck = order_luck(words_D2, copy, times[repeat], int(mixture["config"]["seed"]))
    order_by = order_keys(joined["strata"][repeat], luck, words_D2, copy)
    order = np.lexsort((copy, words_D2[:, 1], words_D2[:, 0], order_by))
    position = np.empty(order.size, dtype=np.int64)
    position[order] = np.arange(order.size)
    tokens = joined["tokens"][repeat]
    file = np.empty(order.size, dtype=np.int64)
    seed = int(mixture["config"]["seed"])
    is_held = held_out_draws(words_D2, seed, held_out)[order] if held_out else None
    file[order] = files_of(tokens[order], num_files, is_held)
    return Draws(
        shard=joined["shard"][repeat],
        row=joined["row"][repeat],
        copy=copy,
        tokens=tokens,
        position=position,
        file=file,
    )
