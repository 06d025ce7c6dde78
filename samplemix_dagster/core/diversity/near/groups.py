"""Groups of near-duplicates: texts that are linked by pairs whose sketches are alike enough.

Pairs are looked for in bands: two texts are compared when all :data:`ROWS` entries of one of the
:data:`BANDS` bands of their sketches are equal (Leskovec, Rajaraman & Ullman, *Mining of Massive
Datasets*, §3.4). A pair of similarity s is so compared with a chance of 1 - (1 - s^4)^32: .87 at
.5, .99 at .6, .9999 at .7. Of a run of texts with an equal band each is compared with the first of
the run and with the one before it. Groups are what pairs link, however far (connected components).

A text that was not there when groups were made joins the group of the text that it is most like.

Shape letters: N = texts asked about, U = texts that groups were made of, K = hashes of a sketch.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from samplemix_dagster.core.diversity.near.sketches import NUM_HASHES, Sketches, similarity

ROWS = 4
"""Entries of a band: 4 of 16 bits are one 64-bit word."""
BANDS = NUM_HASHES // ROWS
LEAST_SCORE = 1e-6

Hashes = npt.NDArray[np.uint64]
Ints = npt.NDArray[np.int64]
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Near:
    """What groups say of N texts.

    Attributes:
        groups: The hash that names each text's group: the least of its texts': (N,).
        sizes: Distinct texts of the group, itself included: (N,), at least 1.
    """

    groups: Hashes
    sizes: Ints

    @property
    def scores(self) -> npt.NDArray[np.float64]:
        """1 / size, just inside (0, 1): the weight at which a group counts as one text: (N,)."""
        return np.clip(1.0 / self.sizes, LEAST_SCORE, 0.99999)


@dataclass(frozen=True, kw_only=True)
class NearGroups:
    """Every text of a corpus with its sketch and its group.

    Attributes:
        hashes: Names of texts, ascending and distinct: (U,).
        sketches_UK: Their sketches.
        groups: The least hash of each one's group: (U,).
        least: The similarity from which two texts are near-duplicates, in (0, 1].
    """

    hashes: Hashes
    sketches_UK: Sketches
    groups: Hashes
    least: float

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return what a file of arrays holds."""
        return {
            "hashes": self.hashes,
            "sketches_UK": self.sketches_UK,
            "groups": self.groups,
            "least": np.array([self.least]),
        }

    @classmethod
    def from_arrays(cls, arrays: dict[str, npt.NDArray[Any]]) -> "NearGroups":
        """Return what :meth:`to_arrays` wrote."""
        named = {name: arrays[name] for name in ("hashes", "sketches_UK", "groups")}
        return cls(**named, least=float(arrays["least"][0]))

    @cached_property
    def _counted(self) -> tuple[Hashes, Ints]:
        """Each group's hash, ascending, and its size."""
        names, sizes = np.unique(self.groups, return_counts=True)
        return names, sizes.astype(np.int64)

    @cached_property
    def largest(self) -> list[tuple[int, int]]:
        """Hash and size of the groups of two texts and more, the largest first."""
        names, sizes = self._counted
        order = np.lexsort((names, -sizes))
        return [(int(names[i]), int(sizes[i])) for i in order if sizes[i] > 1]

    def groups_of(self, hashes: Hashes) -> Hashes:
        """Return the group of each of N texts that groups were made of: (N,)."""
        return self.groups[np.searchsorted(self.hashes, hashes)]

    def near(self, hashes: Hashes, sketches_NK: Sketches) -> Near:
        """Return the group of each of N texts, known or new.

        Args:
            hashes: Their names: (N,).
            sketches_NK: Their sketches.
        """
        groups, is_new = hashes.copy(), np.ones(len(hashes), dtype=np.bool_)
        if len(self.hashes):
            at = np.minimum(np.searchsorted(self.hashes, hashes), len(self.hashes) - 1)
            is_new = self.hashes[at] != hashes
            groups = np.where(is_new, hashes, self.groups[at])
            best, likeness = self._nearest(sketches_NK[is_new])
            joins = np.flatnonzero(is_new)[likeness >= self.least]
            groups[joins] = self.groups[best[likeness >= self.least]]
        return Near(groups=groups, sizes=self._sizes(groups, is_new))

    def _sizes(self, groups: Hashes, is_new: npt.NDArray[np.bool_]) -> Ints:
        names, sizes = self._counted
        if not len(names):
            return np.ones(len(groups), dtype=np.int64)
        at = np.minimum(np.searchsorted(names, groups), len(names) - 1)
        known = np.where(names[at] == groups, sizes[at], 0)
        return np.asarray(known + is_new, dtype=np.int64)

    def _nearest(self, sketches_NK: Sketches) -> tuple[Ints, npt.NDArray[np.float64]]:
        """Return the text that each is most like, and how much, among those that share a band."""
        best = np.zeros(len(sketches_NK), dtype=np.int64)
        likeness = np.full(len(sketches_NK), -1.0)
        has_grams = sketches_NK.any(axis=1)
        for band, (order, keys) in enumerate(self._bands):
            asked = _band(sketches_NK, band)
            for side in ("left", "right"):
                at = np.searchsorted(keys, asked, side=side) - (side == "right")
                at = np.clip(at, 0, len(keys) - 1)
                found = order[at]
                rows = np.flatnonzero((keys[at] == asked) & has_grams)
                alike = similarity(sketches_NK[rows], self.sketches_UK[found[rows]])
                is_better = (alike > likeness[rows]) | (
                    (alike == likeness[rows]) & (found[rows] < best[rows])
                )
                rows, alike = rows[is_better], alike[is_better]
                best[rows], likeness[rows] = found[rows], alike
        return best, likeness

    @cached_property
    def _bands(self) -> list[tuple[Ints, Hashes]]:
        return list(_sorted_bands(self.sketches_UK))


def group_texts(hashes: Hashes, sketches_NK: Sketches, least: float) -> NearGroups:
    """Return the groups of N texts, in whatever order they come; texts with one hash are one.

    Args:
        hashes: (N,) names.
        sketches_NK: Their sketches.
        least: The similarity from which two are near-duplicates, in (0, 1].

    Raises:
        ValueError: There are not N sketches, or `least` is outside (0, 1].
    """
    if len(hashes) != len(sketches_NK) or not 0.0 < least <= 1.0:
        msg = f"{len(hashes)} hashes, {len(sketches_NK)} sketches, likeness {least} in (0, 1]"
        raise ValueError(msg)
    names, first = np.unique(hashes, return_index=True)
    sketches_UK = np.ascontiguousarray(sketches_NK[first])
    linked = [
        _linked(sketches_UK, order, keys, least) for order, keys in _sorted_bands(sketches_UK)
    ]
    pairs = np.concatenate(linked) if linked else np.empty((0, 2), dtype=np.int64)
    size = len(names)
    graph = coo_array(
        (np.ones(len(pairs), dtype=np.int8), (pairs[:, 0], pairs[:, 1])), (size, size)
    )
    _, labels = connected_components(graph, directed=False)
    # Names ascend, so that the first text of a group has its least hash.
    _, heads = np.unique(labels, return_index=True)
    return NearGroups(
        hashes=names, sketches_UK=sketches_UK, groups=names[heads[labels]], least=least
    )


def _band(sketches_NK: Sketches, band: int) -> Hashes:
    """Return the entries of one band as one word for each text: (N,)."""
    part = np.ascontiguousarray(sketches_NK[:, band * ROWS : (band + 1) * ROWS])
    return part.astype("<u2").view("<u8").astype(np.uint64).reshape(-1)


def _sorted_bands(sketches_UK: Sketches) -> Iterator[tuple[Ints, Hashes]]:
    """Yield for each band the texts that have grams by ascending word, and their words."""
    rows = np.flatnonzero(sketches_UK.any(axis=1))
    if not len(rows):
        return
    for band in range(BANDS):
        words = _band(sketches_UK, band)[rows]
        order = np.argsort(words, kind="stable")
        yield rows[order], words[order]


def _linked(sketches_UK: Sketches, order: Ints, words: Hashes, least: float) -> Ints:
    """Return the pairs of one band that are alike enough: shape (P, 2)."""
    is_same = np.concatenate(([False], words[1:] == words[:-1]))
    starts = np.maximum.accumulate(np.where(is_same, 0, np.arange(len(words))))
    later = np.flatnonzero(is_same)
    pairs_P2 = np.concatenate(
        [
            np.stack((order[starts[later]], order[later]), axis=1),
            np.stack((order[later - 1], order[later]), axis=1),
        ]
    )
    kept = [
        part[similarity(sketches_UK[part[:, 0]], sketches_UK[part[:, 1]]) >= least]
        for part in (pairs_P2[i : i + _CHUNK] for i in range(0, len(pairs_P2), _CHUNK))
    ]
    return np.concatenate(kept) if kept else np.empty((0, 2), dtype=np.int64)
