"""Texts as token ids: one flat array and where each text ends.

Shape letters: T = tokens, D = documents.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Tokens = npt.NDArray[np.uint32 | np.uint16]
Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TokenTexts:
    """Texts one after another.

    Attributes:
        tokens: The ids of all of them: (T,).
        ends: Where each one ends: (D,), ascending, the last one T.
        contexts: Tokens at the start of each one that are read and not judged: (D,), at most its
            length. None where every token is.
    """

    tokens: Tokens
    ends: Integers
    contexts: Integers | None = None

    @classmethod
    def of(cls, texts: Iterable[Sequence[int] | Tokens]) -> "TokenTexts":
        """Return texts that are given one by one."""
        arrays = [np.asarray(text, dtype=np.uint32) for text in texts]
        lengths = np.array([array.size for array in arrays], dtype=np.int64)
        tokens = np.concatenate(arrays) if arrays else np.empty(0, np.uint32)
        return cls(tokens=tokens, ends=np.cumsum(lengths))

    @classmethod
    def after(
        cls, contexts: Sequence[Sequence[int] | Tokens], judged: Sequence[Sequence[int] | Tokens]
    ) -> "TokenTexts":
        """Return texts of which each is a context and what is judged after it."""
        found = cls.of([*before, *after] for before, after in zip(contexts, judged, strict=True))
        sizes = np.array([len(before) for before in contexts], dtype=np.int64)
        return cls(tokens=found.tokens, ends=found.ends, contexts=sizes)

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

    @property
    def judged_from(self) -> Integers:
        """Where what is judged of each text begins: (D,)."""
        return self.starts if self.contexts is None else self.starts + self.contexts

    def text(self, number: int) -> Tokens:
        """Return the ids of one text."""
        return self.tokens[self.starts[number] : self.ends[number]]

    def take(self, rows: npt.NDArray[np.integer]) -> "TokenTexts":
        """Return some of the texts, in this order; one may be taken several times."""
        contexts = None if self.contexts is None else self.contexts[rows]
        return self._cut(self.starts[rows], self.lengths[rows], contexts)

    def with_contexts(self, most: Integers | int) -> "TokenTexts":
        """Return the texts with the last tokens of each context, at most so many: (D,) or one."""
        if self.contexts is None:
            return self
        kept = np.minimum(self.contexts, most)
        starts = self.judged_from - kept
        return self._cut(starts, self.ends - starts, kept)

    def and_then(self, others: "TokenTexts") -> "TokenTexts":
        """Return these texts and then others."""
        contexts = [
            np.zeros(len(part), np.int64) if part.contexts is None else part.contexts
            for part in (self, others)
        ]
        return TokenTexts(
            tokens=np.concatenate([self.tokens, others.tokens]),
            ends=np.concatenate([self.ends, others.ends + self.tokens.size]),
            contexts=np.concatenate(contexts),
        )

    def _cut(self, starts: Integers, lengths: Integers, contexts: Integers | None) -> "TokenTexts":
        ends = np.cumsum(lengths)
        within = np.arange(int(ends[-1]) if ends.size else 0) - np.repeat(ends - lengths, lengths)
        tokens = self.tokens[np.repeat(starts, lengths) + within]
        return TokenTexts(tokens=tokens, ends=ends, contexts=contexts)
