"""What a ledger says in numbers: totals and groups, so that two ledgers can be subtracted.

Sums of whole numbers, so that differences of differences add up exactly. Memory grows with the
number of groups; only :func:`common_draws` holds a few numbers for each document.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.hashing import id_words
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.stages import FitStage
from samplemix_dagster.errors import LakeError
from samplemix_dagster.stages.columns import strings
from samplemix_dagster.stages.diversity.meaning.clusters import CLUSTER_FIT
from samplemix_dagster.stages.diversity.topics import TOPIC_FIT
from samplemix_dagster.stages.mixture.drawing.axes import SHARE_GROUP
from samplemix_dagster.stages.scores import SCORES
from samplemix_dagster.storage.corpus.manifest import ledger_file
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.lake import Lake
from samplemix_dagster.trace.remade.pinned import PinnedRecipes

KINDS = ("source", "language", "cluster", "topic")
"""What every version is measured by, as long as its scores are there."""
COUNTS = ("documents", "documents_drawn", "draws", "tokens")
MEANS = ("mean_quality", "mean_diversity")


@dataclass(slots=True)
class Measures:
    """Totals of a ledger, and draws and tokens of each group."""

    totals: dict[str, float] = field(default_factory=lambda: dict.fromkeys(COUNTS, 0))
    groups: dict[str, dict[str, dict[str, int]]] = field(default_factory=dict)
    """Kind -> name -> ``draws`` and ``tokens``."""
    absent: tuple[str, ...] = ()
    """Kinds that could not be measured: the scores that hold them are gone."""
    axes: tuple[str, ...] = ()
    """What the groups of which shares are held are groups of."""

    @property
    def kinds(self) -> list[str]:
        """What was measured; the groups of which shares are held only where they are no sources."""
        return [kind for kind in (*KINDS, SHARE_GROUP) if kind in self.groups]

    def group(self, kind: str, name: str) -> dict[str, int]:
        """Return the numbers of one group; zeros where it has none."""
        return self.groups.get(kind, {}).get(name, {"draws": 0, "tokens": 0})

    def to_json(self) -> dict[str, object]:
        """Return a JSON value."""
        return {"totals": dict(self.totals), "groups": self.groups}


def measure(ledger: Lake, folder: str, recipes: PinnedRecipes) -> Measures:
    """Return the measures of a ledger.

    Args:
        ledger: Where the ledger lies.
        folder: The folder that holds ``ledger/``.
        recipes: The state that it was drawn in, for languages, clusters and topics.
    """
    found = Measures(axes=recipes.config.mixtures["pinned"].axes)
    sums = {"quality": 0.0, "diversity": 0.0}
    names = {
        "cluster": _names(recipes, CLUSTER_FIT),
        "topic": _names(recipes, TOPIC_FIT),
    }
    is_whole = True
    for shard in recipes.project.all_shards():
        table = ledger.read_table(f"{folder}/{ledger_file(shard.source, shard.digest)}")
        copies = table.column("copies").to_numpy().astype(np.int64)
        tokens = copies * table.column("num_tokens").to_numpy()
        is_duplicate = np.array([r == "duplicate" for r in table.column("reason").to_pylist()])
        found.totals["documents"] += int(table.num_rows - is_duplicate.sum())
        found.totals["documents_drawn"] += int((copies > 0).sum())
        found.totals["draws"] += int(copies.sum())
        found.totals["tokens"] += int(tokens.sum())
        for name in sums:
            sums[name] += float(tokens @ np.asarray(table.column(name).to_numpy()))
        _add(found, "source", np.full(len(copies), shard.source), copies, tokens)
        if SHARE_GROUP in table.column_names:
            _add(found, SHARE_GROUP, strings(table, SHARE_GROUP), copies, tokens)
        labels = _labels(recipes, shard, names)
        is_whole = is_whole and labels is not None
        for kind, values in (labels or {}).items():
            _add(found, kind, values, copies, tokens)
    for name, total in sums.items():
        found.totals[f"mean_{name}"] = total / max(1, found.totals["tokens"])
    if not is_whole:
        found.absent = KINDS[1:]
        kept = ("source", SHARE_GROUP)  # which the ledger holds by itself
        found.groups = {kind: found.groups[kind] for kind in kept if kind in found.groups}
    return found


def _labels(
    recipes: PinnedRecipes, shard: PlacedShard, names: Mapping[str, Mapping[str, str]]
) -> dict[str, npt.NDArray[Any]] | None:
    """Return language, cluster and topic of a shard's documents; None when they are gone."""
    try:
        key = recipes.feature_key(SCORES, shard)
        table = recipes.lake.read_table(key, ["language", "cluster", "topic"])
    except LakeError:
        return None
    labels = {"language": np.array(table.column("language").to_pylist(), dtype=np.str_)}
    for kind, known in names.items():
        present, codes = np.unique(table.column(kind).to_numpy(), return_inverse=True)
        words = [f"{number}: {known.get(str(number), kind)}" for number in present]
        labels[kind] = np.array(words, dtype=np.str_)[codes]
    return labels


def _names(recipes: PinnedRecipes, fit: FitStage) -> dict[str, str]:
    return dict(recipes.lake.read_json(keys.names_in(recipes.fit_key(fit)), {}))


def _add(
    found: Measures,
    kind: str,
    labels: npt.NDArray[Any],
    copies: npt.NDArray[np.int64],
    tokens: npt.NDArray[np.int64],
) -> None:
    groups = found.groups.setdefault(kind, {})
    present, codes = np.unique(labels, return_inverse=True)
    for code, name in enumerate(present):
        chosen = codes == code
        entry = groups.setdefault(str(name), {"draws": 0, "tokens": 0})
        entry["draws"] += int(copies[chosen].sum())
        entry["tokens"] += int(tokens[chosen].sum())


def subtract(later: Measures, earlier: Measures) -> Measures:
    """Return later less earlier; a group that one of them lacks has zeros there."""
    return _combined(later, earlier, -1)


def add(first: Measures, second: Measures) -> Measures:
    """Return the sum of two changes; a group that one of them lacks has zeros there."""
    return _combined(first, second, 1)


def _combined(first: Measures, second: Measures, sign: int) -> Measures:
    totals = {name: first.totals[name] + sign * second.totals[name] for name in (*COUNTS, *MEANS)}
    groups: dict[str, dict[str, dict[str, int]]] = {}
    for kind in common_kinds(first, second):
        names = sorted({*first.groups[kind], *second.groups[kind]})
        groups[kind] = {
            name: {
                unit: first.group(kind, name)[unit] + sign * second.group(kind, name)[unit]
                for unit in ("draws", "tokens")
            }
            for name in names
        }
    absent = tuple(kind for kind in KINDS if kind in {*first.absent, *second.absent})
    return Measures(totals=totals, groups=groups, absent=absent, axes=first.axes)


def common_kinds(first: Measures, second: Measures) -> list[str]:
    """Return what both were measured by; shares of other things have no groups in common."""
    common = [kind for kind in first.kinds if kind in second.groups]
    is_same = first.axes == second.axes
    return [kind for kind in common if is_same or kind != SHARE_GROUP]


def total_variation(a: Measures, b: Measures, kind: str) -> float | None:
    """Return half the sum of absolute differences of token shares; None if not measured."""
    if kind not in common_kinds(a, b):
        return None
    names = {*a.groups.get(kind, {}), *b.groups.get(kind, {})}
    before, after = max(1, a.totals["tokens"]), max(1, b.totals["tokens"])
    # Correctly rounded, since names have another order in each process.
    return 0.5 * math.fsum(
        abs(b.group(kind, name)["tokens"] / after - a.group(kind, name)["tokens"] / before)
        for name in names
    )


def common_draws(
    lake: Lake, a: tuple[str, Sequence[str]], b: tuple[str, Sequence[str]]
) -> dict[str, int]:
    """Return how many documents are drawn by both ledgers or by one, and what draws they share.

    Args:
        lake: The lake that holds both.
        a: The folder of a version, and the keys of its ledger files below it.
        b: The same of another.
    """
    first, second = _drawn(lake, *a), _drawn(lake, *b)
    _, mine, theirs = np.intersect1d(first[0], second[0], return_indices=True)
    shared = np.minimum(first[1][mine], second[1][theirs])
    return {
        "in_both": len(mine),
        "only_a": len(first[0]) - len(mine),
        "only_b": len(second[0]) - len(mine),
        "shared_draws": int(shared.sum()),
        "shared_tokens": int((shared * first[2][mine]).sum()),
        "tokens_a": int((first[1] * first[2]).sum()),
        "tokens_b": int((second[1] * second[2]).sum()),
    }


def _drawn(
    lake: Lake, folder: str, keys: Sequence[str]
) -> tuple[npt.NDArray[Any], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return (ids, copies, tokens) of the drawn documents; a text that is kept twice adds up."""
    ids, copies, tokens = [], [], []
    for key in keys:
        table = lake.read_table(f"{folder}/{key}", ["doc_id", "copies", "num_tokens"])
        drawn = table.column("copies").to_numpy() > 0
        words_N2 = id_words(table.column("doc_id").to_numpy(zero_copy_only=False).astype("S32"))
        ids.append(words_N2[drawn])
        copies.append(table.column("copies").to_numpy()[drawn].astype(np.int64))
        tokens.append(table.column("num_tokens").to_numpy()[drawn])
    words = np.ascontiguousarray(np.concatenate(ids)) if ids else np.empty((0, 2), dtype=np.uint64)
    names = words.view([("high", "<u8"), ("low", "<u8")]).ravel()
    unique, first, inverse = np.unique(names, return_index=True, return_inverse=True)
    summed = np.bincount(
        inverse, weights=np.concatenate(copies) if copies else None, minlength=len(unique)
    ).astype(np.int64)
    every = np.concatenate(tokens) if tokens else np.empty(0, dtype=np.int64)
    return unique, summed, every[first]
