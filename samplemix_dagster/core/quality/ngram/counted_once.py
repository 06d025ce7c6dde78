"""Near-duplicates beside counts: of each group one text is counted, and is out for all of them.

A text of which copies stand in a corpus is easy for whoever counted them, though nothing is good
about it. So of each group of near-duplicates one text is counted; and each text of the group, also
one that was not there yet when groups were made, is scored without that one.

Shape letters: N = texts asked about, U = texts that groups were made of, R = counted texts,
T = their tokens.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.diversity.grams.ngrams import document_grams
from samplemix_dagster.core.diversity.near.groups import NearGroups, group_texts
from samplemix_dagster.core.diversity.near.sketches import NUM_HASHES, Sketches, sketches_of

GRAM_WORDS = 5
LEAST_SIMILARITY = 0.5
"""What groups are made by where a configuration says nothing of them."""
_TEXTS_AT_ONCE = 256

Tokens = npt.NDArray[np.uint32]
Words = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]
Arrays = Mapping[str, npt.NDArray[np.generic]]


def near_groups(names: Words, texts: Sequence[str]) -> NearGroups:
    """Return the groups of near-duplicates of texts, by what their n-grams have in common.

    Args:
        names: First half of the id of each, (U,).
        texts: U texts.
    """
    return group_texts(names, _sketches(texts), LEAST_SIMILARITY)


def first_of_each(groups: Words) -> Integers:
    """Return the place of the first text of each group, ascending.

    Args:
        groups: What names the group of each text, in the order of the texts.
    """
    return np.sort(np.unique(groups, return_index=True)[1])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CountedOnce:
    """The counted text of each group.

    Attributes:
        near: All texts that were looked at, with their groups.
        groups: The group of each counted text, ascending, each once: (R,).
        bounds: Where its tokens begin, and at last where they end: (R + 1,).
        tokens: Of the counted texts, one after another: (T,).
    """

    near: NearGroups
    groups: Words
    bounds: Integers
    tokens: Tokens

    @classmethod
    def of(cls, near: NearGroups, groups: Words, counted: Sequence[Tokens]) -> "CountedOnce":
        """Return what was counted.

        Args:
            near: The groups of the texts that were looked at.
            groups: The group of each counted text, each once, (R,).
            counted: Its tokens.
        """
        order = np.argsort(groups)
        sizes = np.array([counted[at].size for at in order], dtype=np.int64)
        empty = np.empty(0, dtype=np.uint32)
        return cls(
            near=near,
            groups=groups[order],
            bounds=np.concatenate(([0], np.cumsum(sizes))).astype(np.int64),
            tokens=np.concatenate([empty, *(counted[at] for at in order)]),
        )

    @property
    def num_near_duplicates(self) -> int:
        """Texts in the groups of counted ones that were not counted themselves."""
        return int(np.isin(self.near.groups, self.groups).sum()) - self.groups.size

    def met(self, names: Words, texts: Sequence[str]) -> list[Tokens | None]:
        """Return what was counted of the group of each text; None where nothing was.

        Args:
            names: First half of the id of each, (N,).
            texts: N texts. Of those that groups were made of the name is enough.
        """
        new = np.flatnonzero(~np.isin(names, self.near.hashes))
        sketches_NK = np.zeros((len(names), NUM_HASHES), dtype=np.uint16)
        sketches_NK[new] = _sketches([texts[at] for at in new.tolist()])
        asked = self.near.near(names, sketches_NK).groups
        places = np.searchsorted(self.groups, asked)
        return [self._counted(at, group) for at, group in zip(places, asked, strict=True)]

    def _counted(self, at: int, group: np.uint64) -> Tokens | None:
        if at == self.groups.size or self.groups[at] != group:
            return None
        return self.tokens[self.bounds[at] : self.bounds[at + 1]]

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return what a file holds."""
        return {
            **self.near.to_arrays(),
            "counted_groups": self.groups,
            "bounds": self.bounds,
            "tokens": self.tokens,
        }

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> "CountedOnce":
        """Return what :meth:`to_arrays` was given."""
        return cls(
            near=NearGroups.from_arrays(dict(arrays)),
            groups=arrays["counted_groups"].astype(np.uint64),
            bounds=arrays["bounds"].astype(np.int64),
            tokens=arrays["tokens"].astype(np.uint32),
        )


def _sketches(texts: Sequence[str]) -> Sketches:
    parts = [
        sketches_of(document_grams(texts[first : first + _TEXTS_AT_ONCE], n=GRAM_WORDS))
        for first in range(0, len(texts), _TEXTS_AT_ONCE)
    ]
    return np.concatenate([np.zeros((0, NUM_HASHES), dtype=np.uint16), *parts])
