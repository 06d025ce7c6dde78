"""What training has consumed before a mixture goes on: copies of each document, from a ledger.

Of a version whose first N tokens were consumed, every draw counts that begins before the N-th token
of its order. Where that version itself went on from another one, what was consumed of that counts
as well. A document's luck is the same in all versions of one seed, so what the ledger made of it
tells between which bounds it lies; expected copies go by those.

Memory: some 40 bytes for each document of the versions before. N = documents.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from samplemix_dagster.core.hashing import id_words
from samplemix_dagster.core.mixture.scale.expectation import Before, luck_known
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.errors import LakeError
from samplemix_dagster.stages.columns import floats
from samplemix_dagster.stages.export.order import ledger_key, ordered_draws
from samplemix_dagster.stages.mixture.before import found_version
from samplemix_dagster.stages.mixture.drawing.axes import SHARE_GROUP
from samplemix_dagster.stages.mixture.published.version_files import check_ledger
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.lake import Lake
from samplemix_dagster.table_contract import Column, Table
from samplemix_dagster.tables import NOT_DRAWN

Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint64]

_CONSUMED = Column("consumed", pa.int32(), "copies that training has consumed of versions before")
_MEANS = ("mean_quality", "mean_diversity")


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumed:
    """What was consumed of N documents, by their ids."""

    ids: npt.NDArray[np.bytes_]
    """The 16 bytes of each id, in order."""
    copies: Integers
    tokens: Integers
    """Tokens of a copy."""
    least: Floats
    most: Floats

    def of(self, words_M2: Words) -> Before:
        """Return what was consumed of M documents; of those not known nothing was."""
        row = self.rows(words_M2)
        is_known = row >= 0
        return Before(
            consumed=np.where(is_known, self.copies[row], 0),
            least=np.where(is_known, self.least[row], 0.0),
            most=np.where(is_known, self.most[row], 1.0),
        )

    def counts(self, chosen: npt.NDArray[np.bool_]) -> dict[str, int]:
        """Return how much was consumed of some of the documents."""
        own = chosen & (self.copies > 0)
        return {
            "documents": int(own.sum()),
            "draws": int(self.copies[own].sum()),
            "tokens": int((self.copies * self.tokens)[own].sum()),
        }

    def rows(self, words_M2: Words) -> Integers:
        """Return where each of M documents stands; -1 for those that do not."""
        wanted = _bytes(words_M2)
        row = np.searchsorted(self.ids, wanted).clip(max=self.ids.size - 1)
        return np.where(self.ids[row] == wanted, row, -1)


def and_consumed(ledger: Table) -> Table:
    """Return the contract of a ledger that says what was consumed; of a duplicate nothing is."""
    return replace(ledger, columns=(*ledger.columns, _CONSUMED))


class AfterTally:
    """What a mixture that goes on from another one tells beside; of any other it is nothing."""

    def __init__(self, consumed: Consumed | None) -> None:
        self._consumed = consumed
        self._is_there = np.zeros(0 if consumed is None else consumed.ids.size, dtype=np.bool_)
        self._expected: dict[str, list[float]] = {name: [] for name in ("tokens", *_MEANS)}

    def add(self, scores: pa.Table, words_M2: Words, expected_tokens: Floats) -> None:
        """Add a shard: scores and ids of its documents, tokens that its ledger expects of each."""
        if self._consumed is None:
            return
        row = self._consumed.rows(words_M2)
        self._is_there[row[row >= 0]] = True
        is_drawn = expected_tokens > 0.0
        weighed = expected_tokens[is_drawn]
        self._expected["tokens"].append(float(weighed.sum()))
        for name in _MEANS:
            score = floats(scores, name.removeprefix("mean_"))[is_drawn]
            self._expected[name].append(float((score * weighed).sum()))

    def promised(self) -> dict[str, float]:
        """Return the means of what all ledgers expect; 0 where they expect nothing."""
        sums = {name: math.fsum(parts) for name, parts in self._expected.items()}
        whole = sums["tokens"] or 1.0
        return {name: round(sums[name] / whole, 5) for name in _MEANS}

    def facts(self, settings: Mapping[str, Any]) -> dict[str, object]:
        """Return what was consumed, and what of it is no longer in the corpus."""
        if self._consumed is None:
            return {}
        counted = self._consumed.counts(np.ones_like(self._is_there))
        gone = self._consumed.counts(~self._is_there)
        return {"after": {**settings["after"], "consumed": counted, "gone": gone}}


def consumed_before(recipes: Recipes, settings: Mapping[str, Any]) -> Consumed | None:
    """Return what was consumed before a mixture; None where that is nothing.

    Args:
        recipes: The project's recipes.
        settings: The mixture's settings, as its recipe has them.

    Raises:
        LakeError: The version is gone, or its ledger is damaged.
    """
    return _consumed(recipes.lake.stored, settings)


def _consumed(lake: Lake, settings: Mapping[str, Any]) -> Consumed | None:
    after = settings.get("after")
    if after is None or after["tokens"] == 0:
        return None
    manifest = _manifest(lake, str(after["version"]))
    earlier = _consumed(lake, manifest["config"])
    copies = _consumed_copies(lake, manifest, int(after["tokens"]))
    is_same_luck = manifest["config"]["seed"] == settings["seed"]
    parts = [
        _of_shard(lake, manifest, shard, found, earlier, is_same_luck=is_same_luck)
        for shard, found in zip(manifest["shards"], copies, strict=True)
    ]
    known = _joined([part for part in parts if part.ids.size])
    return known if earlier is None else _with_gone(known, earlier)


def _manifest(lake: Lake, version: str) -> Mapping[str, Any]:
    found = found_version(lake, version)
    if found is None:
        raise LakeError(
            f"the version {version[:12]}, which this mixture goes on from, is gone from the lake; "
            "without its ledger nobody knows what was consumed. Bring its folder back, or leave "
            "`after` out."
        )
    manifest: Mapping[str, Any] = lake.read_json(keys.manifest(*found))
    check_ledger(lake, manifest)
    return manifest


def _consumed_copies(lake: Lake, manifest: Mapping[str, Any], tokens: int) -> list[Integers]:
    """Return how many copies of each row of a version's ledgers begin before some token of it."""
    rows: list[list[Integers]] = [[] for _ in manifest["shards"]]
    before = 0
    with ordered_draws(lake, manifest) as stretches:
        for draws in stretches:
            begins = before + np.cumsum(draws.tokens) - draws.tokens
            shard, row = draws.shard[begins < tokens], draws.row[begins < tokens]
            before += int(draws.tokens.sum())
            for number in np.unique(shard).tolist():
                rows[number].append(row[shard == number])
            if before >= tokens:
                break
    return [np.concatenate([np.empty(0, dtype=np.int64), *found]) for found in rows]


def _of_shard(
    lake: Lake,
    manifest: Mapping[str, Any],
    shard: Mapping[str, Any],
    rows: Integers,
    earlier: Consumed | None,
    *,
    is_same_luck: bool,
) -> Consumed:
    """Return what was consumed of a shard's documents, given the rows of the draws consumed."""
    ledger = lake.read_table(ledger_key(manifest, shard))
    reason = ledger.column("reason").to_numpy(zero_copy_only=False)
    own = reason != "duplicate"
    row, drawn = (ledger.column(name).to_numpy()[own] for name in ("row", "copies"))
    words_N2 = id_words(ledger.column("doc_id").to_numpy(zero_copy_only=False)[own].astype("S32"))
    before = (
        np.zeros(row.size, dtype=np.int64) if earlier is None else earlier.of(words_N2).consumed
    )
    least, most = np.zeros(row.size), np.ones(row.size)
    if is_same_luck:
        reached = scales_of(manifest, shard, ledger)[own] * ledger.column("weight").to_numpy()[own]
        reached = np.minimum(float(manifest["config"]["max_copies"]), reached)
        least, most = luck_known(reached, before + drawn, drawn > 0)
        # Of a document that was excluded, the draw says nothing.
        is_told = (drawn > 0) | (reason[own] == NOT_DRAWN)
        least, most = np.where(is_told, least, 0.0), np.where(is_told, most, 1.0)
    order = np.argsort(row)
    copies = np.zeros(row.size, dtype=np.int64)
    np.add.at(copies, order[np.searchsorted(row[order], rows)], 1)
    return Consumed(
        ids=_bytes(words_N2),
        copies=before + copies,
        tokens=ledger.column("num_tokens").to_numpy()[own].astype(np.int64),
        least=least,
        most=most,
    )


def scales_of(manifest: Mapping[str, Any], shard: Mapping[str, Any], ledger: pa.Table) -> Floats:
    """Return the settled scale at which each row of a ledger was drawn; 0 without a share: (N,)."""
    scales: Mapping[str, float] = manifest["scales"]
    if SHARE_GROUP not in ledger.column_names:
        return np.full(ledger.num_rows, float(scales.get(shard["source"], 0.0)))
    groups = ledger.column(SHARE_GROUP).to_pylist()
    return np.array([scales.get(group, 0.0) for group in groups], dtype=np.float64)


def _with_gone(known: Consumed, earlier: Consumed) -> Consumed:
    """Add the documents that an earlier version had and this one has not any more."""
    row = np.searchsorted(known.ids, earlier.ids).clip(max=known.ids.size - 1)
    gone = known.ids[row] != earlier.ids
    rest = Consumed(
        ids=earlier.ids[gone],
        copies=earlier.copies[gone],
        tokens=earlier.tokens[gone],
        least=np.zeros(int(gone.sum())),
        most=np.ones(int(gone.sum())),
    )
    return _joined([known, rest])


def _joined(parts: list[Consumed]) -> Consumed:
    """Join by document; the occurrences of one, where duplicates were kept, are added up."""
    ids = np.concatenate([part.ids for part in parts])
    order = np.argsort(ids, kind="stable")
    ids = ids[order]
    columns = {
        name: np.concatenate([getattr(part, name) for part in parts])[order]
        for name in ("copies", "tokens", "least", "most")
    }
    first = np.flatnonzero(np.append(True, ids[1:] != ids[:-1]))
    if first.size < ids.size:
        columns = {
            "copies": np.add.reduceat(columns["copies"], first),
            "tokens": columns["tokens"][first],
            "least": np.minimum.reduceat(columns["least"], first),
            "most": np.maximum.reduceat(columns["most"], first),
        }
    return Consumed(ids=ids[first], **columns)


def _bytes(words_N2: Words) -> npt.NDArray[np.bytes_]:
    """Return ids as 16 bytes that sort as the ids do."""
    octets: npt.NDArray[np.bytes_] = np.ascontiguousarray(words_N2.astype(">u8")).view("S16")
    return octets.reshape(len(words_N2))
