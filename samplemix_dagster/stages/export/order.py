"""The order of an export: every draw with its place and its file, from a version's ledger.

How the order is made is ``core.mixture.order``'s; how draws become files is in ``exporting.py``.
However many draws there are, only those of one range are in memory: they are set aside by range of
luck, ranked there, set aside by range of keys, and sorted there.
"""

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from samplemix_dagster.config.mixtures import SHUFFLED
from samplemix_dagster.core.hashing import id_words
from samplemix_dagster.core.mixture.order import (
    Cutter,
    HeldOut,
    key_ranges,
    keys_of_ranks,
    luck_ranges,
    order_luck,
    strata_of,
    stratum_ranks,
)
from samplemix_dagster.storage.corpus.manifest import ledger_file
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.lake import Lake
from samplemix_dagster.storage.lake.whole_files import remove_folder
from samplemix_dagster.storage.ranges import Ranges, Records

Integers = npt.NDArray[np.int64]

DRAWS_OF_A_RANGE = 1 << 19
"""Draws that are in memory at once, some 200 bytes each while they are sorted."""
_MOST_RANGES = 400
"""Ranges at most, since each has an open file; more draws make larger ranges."""
_WHAT = [("high", "<u8"), ("low", "<u8"), ("copy", "<i2"), ("shard", "<i4"), ("row", "<i8")]
_WHAT += [("tokens", "<i8")]
_BY_LUCK = np.dtype([("luck", "<u8"), ("stratum", "<i4"), *_WHAT])
_BY_KEY = np.dtype([("key", "<f8"), *_WHAT])
_BY_SHARD = np.dtype([*_WHAT[2:], ("position", "<i8"), ("file", "<i4")])


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """Draws of a mixture: D of them, from ledger rows by shard."""

    shard: Integers
    row: Integers
    copy: Integers
    tokens: Integers
    position: Integers
    file: Integers


@dataclass(slots=True, kw_only=True)
class _Totals:
    """What all draws come to."""

    draws_SR: Integers
    """Draws of each stratum in each range of luck."""
    draws_of_shard: Integers
    num_tokens: int
    held_out: HeldOut | None


def ledger_key(mixture: Mapping[str, Any], shard: Mapping[str, Any]) -> str:
    """Return where the ledger of a shard of a version lies."""
    folder = keys.version_folder(mixture["name"], mixture["version"])
    return f"{folder}/{ledger_file(shard['source'], shard['digest'])}"


@contextlib.contextmanager
def ordered_draws(
    lake: Lake,
    mixture: Mapping[str, Any],
    num_files: int = 1,
    held_out: float = 0.0,
    folder: Path | None = None,
) -> Iterator[Iterator[Draws]]:
    """Yield the draws in their order, in stretches, each with its place and its file.

    Args:
        lake: The lake that holds the version and its scores.
        mixture: The version's manifest.
        num_files: Files of near-equal size.
        held_out: The share of documents that stand in the last file and in no other, in [0, 1);
            the other files have the rest in near-equal parts.
        folder: For scratch files, made and removed here; None: one of the system's.
    """
    with _scratch(folder) as scratch, contextlib.ExitStack() as open_files:
        yield _ordered(lake, mixture, num_files, held_out, scratch, open_files)[1]


@contextlib.contextmanager
def draws_by_shard(
    lake: Lake, mixture: Mapping[str, Any], num_files: int, held_out: float, folder: Path
) -> Iterator[Iterator[tuple[int, Draws]]]:
    """Yield the draws of each shard that has some, with its number, in the order of the shards.

    Args:
        lake: The lake that holds the version and its scores.
        mixture: The version's manifest.
        num_files: As for :func:`ordered_draws`.
        held_out: As there.
        folder: For scratch files, made and removed here.
    """
    with _scratch(folder) as scratch, contextlib.ExitStack() as open_files:
        totals, draws = _ordered(lake, mixture, num_files, held_out, scratch, open_files)
        before = np.cumsum(totals.draws_of_shard) - totals.draws_of_shard
        groups = before * _num_ranges(int(totals.draws_of_shard.sum()))
        groups //= max(1, int(totals.draws_of_shard.sum()))
        aside = open_files.enter_context(
            Ranges(scratch, "shards", _BY_SHARD, int(groups.max(initial=0)) + 1)
        )
        for stretch in draws:
            found = np.empty(stretch.shard.size, dtype=_BY_SHARD)
            for name in _BY_SHARD.names or ():
                found[name] = getattr(stretch, name)
            aside.add(groups[stretch.shard], found)
        yield _shards_of(aside)


def _shards_of(aside: Ranges) -> Iterator[tuple[int, Draws]]:
    for number in range(aside.num_ranges):
        found = aside.read(number)
        found = found[np.argsort(found["shard"], kind="stable")]
        for shard in np.unique(found["shard"]).tolist():
            part = found[slice(*np.searchsorted(found["shard"], [shard, shard + 1]))]
            yield shard, _draws(part, part["position"], part["file"])


@contextlib.contextmanager
def _scratch(folder: Path | None) -> Iterator[Path]:
    if folder is not None:
        try:
            yield folder
        finally:
            remove_folder(folder)
        return
    with tempfile.TemporaryDirectory(prefix="samplemix-order-") as made:
        yield Path(made)


def _num_ranges(num_draws: int) -> int:
    return min(max(1, -(-num_draws // DRAWS_OF_A_RANGE)), _MOST_RANGES)


def _ordered(
    lake: Lake,
    mixture: Mapping[str, Any],
    num_files: int,
    held_out: float,
    folder: Path,
    open_files: contextlib.ExitStack,
) -> tuple[_Totals, Iterator[Draws]]:
    num_ranges = _num_ranges(mixture["report"]["num_draws"])
    by_luck = open_files.enter_context(Ranges(folder, "luck", _BY_LUCK, num_ranges))
    by_key = open_files.enter_context(Ranges(folder, "keys", _BY_KEY, num_ranges))
    totals = _set_aside_by_luck(lake, mixture, by_luck, held_out)
    _set_aside_by_key(by_luck, totals, by_key)
    return totals, _in_order(by_key, totals, num_files)


def _set_aside_by_luck(
    lake: Lake, mixture: Mapping[str, Any], by_luck: Ranges, share: float
) -> _Totals:
    settings = mixture["config"]
    seed, shuffles = int(settings["seed"]), settings.get("passes") == SHUFFLED
    held_out = HeldOut(seed, share) if share else None
    totals = _Totals(
        draws_SR=np.zeros((0, by_luck.num_ranges), dtype=np.int64),
        draws_of_shard=np.zeros(len(mixture["shards"]), dtype=np.int64),
        num_tokens=0,
        held_out=held_out,
    )
    for number in range(len(mixture["shards"])):
        found = _of_shard(lake, mixture, number, seed, shuffles=shuffles)
        ranges = luck_ranges(found["luck"], by_luck.num_ranges)
        by_luck.add(ranges, found)
        num_strata = int(found["stratum"].max(initial=-1)) + 1
        if more := max(0, num_strata - len(totals.draws_SR)):
            totals.draws_SR = np.pad(totals.draws_SR, ((0, more), (0, 0)))
        np.add.at(totals.draws_SR, (found["stratum"], ranges), 1)
        totals.draws_of_shard[number] = found.size
        totals.num_tokens += int(found["tokens"].sum())
        if held_out is not None:
            held_out.add(_words(found), found["tokens"])
    return totals


def _of_shard(
    lake: Lake, mixture: Mapping[str, Any], number: int, seed: int, *, shuffles: bool
) -> Records:
    """Return every draw of a shard, with its luck and its stratum."""
    shard = mixture["shards"][number]
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
    ids = ledger.column("doc_id").to_numpy(zero_copy_only=False)[chosen].astype("S32")
    quality = ledger.column("quality").to_numpy()[chosen]
    strata = strata_of(scores.column("cluster").to_numpy()[chosen], quality)
    times = copies[chosen].astype(np.int64)
    repeat = np.repeat(np.arange(times.size), times)
    copy = np.arange(repeat.size) - np.repeat(np.cumsum(times) - times, times)
    words_D2 = id_words(ids)[repeat]
    found = np.empty(repeat.size, dtype=_BY_LUCK)
    found["luck"] = order_luck(words_D2, copy, times[repeat], seed, shuffles=shuffles)
    found["stratum"] = strata[repeat]
    found["high"], found["low"], found["copy"] = words_D2[:, 0], words_D2[:, 1], copy
    found["shard"] = number
    found["row"] = ledger.column("row").to_numpy()[chosen][repeat]
    found["tokens"] = ledger.column("num_tokens").to_numpy()[chosen][repeat]
    return found


def _set_aside_by_key(by_luck: Ranges, totals: _Totals, by_key: Ranges) -> None:
    sizes = totals.draws_SR.sum(axis=1)
    below = np.zeros_like(sizes)
    for number in range(by_luck.num_ranges):
        found = by_luck.read(number)
        strata = found["stratum"].astype(np.int64)
        copy = found["copy"].astype(np.int64)
        ranks = stratum_ranks(strata, found["luck"], _words(found), copy) + below[strata]
        below += totals.draws_SR[:, number]
        keyed = np.empty(found.size, dtype=_BY_KEY)
        keyed["key"] = keys_of_ranks(ranks, sizes[strata], found["luck"])
        for name, _ in _WHAT:
            keyed[name] = found[name]
        by_key.add(key_ranges(keyed["key"], by_key.num_ranges), keyed)


def _in_order(by_key: Ranges, totals: _Totals, num_files: int) -> Iterator[Draws]:
    held_out = totals.held_out
    num_held = 0 if held_out is None else held_out.num_tokens
    cutter = Cutter(totals.num_tokens - num_held, num_files, holds_out=held_out is not None)
    position = 0
    for number in range(by_key.num_ranges):
        found = by_key.read(number)
        found = found[np.lexsort([found[name] for name in ("copy", "low", "high", "key")])]
        is_held = None if held_out is None else held_out.of(_words(found))
        file = cutter.files(found["tokens"], is_held)
        yield _draws(found, position + np.arange(found.size), file)
        position += found.size


def _draws(found: Records, position: Integers, file: Integers) -> Draws:
    wide = {name: found[name].astype(np.int64) for name in ("shard", "row", "copy", "tokens")}
    return Draws(**wide, position=position, file=file)


def _words(found: Records) -> npt.NDArray[np.uint64]:
    return np.stack([found["high"], found["low"]], axis=1)
