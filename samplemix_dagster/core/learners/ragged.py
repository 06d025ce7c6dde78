"""Texts as token ids: one flat array and where each text ends.

Shape letters: T = tokens, D = documents.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Tokens = npt.NDArray[np.uint32]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TokenTexts:
    """Texts one after another.

    Attributes:
        tokens: The ids of all of them: (T,).
        ends: Where each one ends: (D,), ascending, the last one T.
    """

    tokens: Tokens
    ends: Integers

    @classmethod
    def of(cls, texts: Iterable[Sequence[int] | Tokens]) -> "TokenTexts":
        """Return texts that are given one by one."""
        arrays = [np.asarray(text, dtype=np.uint32) for text in texts]
        lengths = np.array([array.size for array in arrays], dtype=np.int64)
        tokens = np.concatenate(arrays) if arrays else np.empty(0, np.uint32)
        return cls(tokens=tokens, ends=np.cumsum(lengths))

    def __len__(self) -> int:
        return int(self.ends.size)

    @property
    def starts(self) -> Integers:
        """Where each text begins: (D,)."""
        return np.concatenate([np.zeros(min(1, len(self)), np.int64), self.ends[:-1]])

    @property
    def lengths(self) -> Integers:
        """Tokens of each text: (D,)."""
        return self.ends - self.starts

    def text(self, number: int) -> Tokens:
        """Return the ids of one text."""
        return self.tokens[self.starts[number] : self.ends[number]]

    def take(self, rows: npt.NDArray[np.integer]) -> "TokenTexts":
        """Return some of the texts, in this order; one may be taken several times."""
        starts, lengths = self.starts[rows], self.lengths[rows]
        ends = np.cumsum(lengths)
        within = np.arange(int(ends[-1]) if ends.size else 0) - np.repeat(ends - lengths, lengths)
        return TokenTexts(tokens=self.tokens[np.repeat(starts, lengths) + within], ends=ends)
