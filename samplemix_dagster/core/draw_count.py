"""Which documents were drawn how often, as a sum of hashes: in any order, in memory for a few.

Two counts are equal if the draws are the same; if they are others, they are equal by a chance of
about 2^-128. Adding hashes of the members is a multiset hash (Clarke et al. 2003, MSet-Add-Hash);
it is no guard against somebody who chooses document ids on purpose.
"""

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.hashing import id_words, keyed_hashes

_AT_ONCE = 1 << 16
_HALVES = ("draws of one half", "draws of the other")


class DrawCount:
    """Draws of documents, counted."""

    def __init__(self) -> None:
        self.num_draws = 0
        self._sums = [0, 0]
        self._waiting: list[str] = []

    def add_one(self, doc_id: str) -> None:
        """Count a draw of a document."""
        self._waiting.append(doc_id)
        if len(self._waiting) >= _AT_ONCE:
            self._flush()

    def add(self, words_N2: npt.NDArray[np.uint64], copies: npt.NDArray[np.int64]) -> None:
        """Count so many draws of each of N documents, by their ids."""
        self.num_draws += int(copies.sum())
        with np.errstate(over="ignore"):
            for half, purpose in enumerate(_HALVES):
                hashes = keyed_hashes(words_N2, 0, purpose) * copies.astype(np.uint64)
                self._sums[half] = (self._sums[half] + int(hashes.sum(dtype=np.uint64))) % (1 << 64)

    def is_of(self, other: "DrawCount") -> bool:
        """Whether another one counted the same draws."""
        self._flush()
        other._flush()
        return (self.num_draws, self._sums) == (other.num_draws, other._sums)

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        if waiting:
            self.add(id_words(waiting), np.ones(len(waiting), dtype=np.int64))
