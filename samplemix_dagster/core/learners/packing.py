"""Pack texts into rows for a causal model, so that no token is lost and none is padded.

Each text is preceded by the start token, which is read and never predicted; every token of a text
is predicted once. Texts stand one after another and rows are cut from them; no token looks into
another text. A text that a row's end cuts goes on in the next row, without what came before.

What is judged after a context is not cut, where a row can hold it: options of one item must be read
alike. Of a context that is too long the last tokens are read.

Shape letters: T = tokens, R = rows, L = tokens of a row, D = texts.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.learners.ragged import TokenTexts

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Texts as a stream from which rows are cut.

    Attributes:
        inputs: What is read: (T,).
        targets: What is predicted: (T,).
        texts: The text of each token, by number: (T,).
        is_judged: Whether a token counts: those of contexts do not: (T,).
        num_texts: D.
        cuts: Where each row begins, and where the last one ends: (R + 1,).
    """

    inputs: Integers
    targets: Integers
    texts: Integers
    is_judged: npt.NDArray[np.bool_]
    num_texts: int
    cuts: Integers

    def __len__(self) -> int:
        return self.cuts.size - 1

    def row(self, number: int) -> slice:
        """Return the place of a row in the stream; rows have L tokens or fewer."""
        return slice(int(self.cuts[number]), int(self.cuts[number + 1]))

    def sums(self, losses: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return the sum over what is judged of each text: (T,) to (D,)."""
        texts, counted = self.texts[self.is_judged], losses[self.is_judged]
        found = np.bincount(texts, counted, minlength=self.num_texts)
        return found.astype(np.float64)


def packed(texts: TokenTexts, *, length: int, start: int) -> Rows:
    """Return texts as rows.

    Args:
        texts: The texts, in the order in which they are read.
        length: Tokens of a row.
        start: The start token's id.
    """
    texts = texts.with_contexts(np.maximum(length - (texts.ends - texts.judged_from), 0))
    targets = texts.tokens.astype(np.int64)
    inputs = np.empty_like(targets)
    inputs[1:] = targets[:-1]
    begins = texts.starts[texts.lengths > 0]
    inputs[begins] = start
    numbers = np.repeat(np.arange(len(texts)), texts.lengths)
    return Rows(
        inputs=inputs,
        targets=targets,
        texts=numbers,
        is_judged=np.arange(targets.size) >= texts.judged_from[numbers],
        num_texts=len(texts),
        cuts=_anywhere(texts, length) if texts.contexts is None else _between(texts, length),
    )


def _anywhere(texts: TokenTexts, length: int) -> Integers:
    return np.append(np.arange(0, texts.tokens.size, length), texts.tokens.size)


def _between(texts: TokenTexts, length: int) -> Integers:
    """Return cuts between texts; one that no row can hold is cut as any other."""
    cuts = [0]
    for start, end in zip(texts.starts.tolist(), texts.ends.tolist(), strict=True):
        if end - cuts[-1] > length and start > cuts[-1]:
            cuts.append(start)
        while end - cuts[-1] > length:
            cuts.append(cuts[-1] + length)
    return np.array([*cuts, texts.tokens.size] if texts.tokens.size else cuts, dtype=np.int64)
