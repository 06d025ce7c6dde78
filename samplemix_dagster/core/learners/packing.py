"""Pack texts into rows for a causal model, so that no token is lost and none is padded.

Each text is preceded by the start token, which is read and never predicted; every token of a text
is predicted once. Texts stand one after another and rows are cut from them; no token looks into
another text. A text that a row's end cuts goes on in the next row, without what came before.

Shape letters: T = tokens, R = rows, L = tokens of a row.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.learners.ragged import TokenTexts


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Texts as a stream from which rows are cut.

    Attributes:
        inputs: What is read: (T,).
        targets: What is predicted: (T,).
        texts: The text of each token, by number: (T,).
        length: L.
    """

    inputs: npt.NDArray[np.int64]
    targets: npt.NDArray[np.int64]
    texts: npt.NDArray[np.int64]
    length: int

    def __len__(self) -> int:
        return (self.inputs.size + self.length - 1) // self.length

    def row(self, number: int) -> slice:
        """Return the place of a row in the stream; the last row may be shorter."""
        start = number * self.length
        return slice(start, min(start + self.length, self.inputs.size))


def packed(texts: TokenTexts, *, length: int, start: int) -> Rows:
    """Return texts as rows.

    Args:
        texts: The texts, in the order in which they are read.
        length: Tokens of a row.
        start: The start token's id.
    """
    targets = texts.tokens.astype(np.int64)
    inputs = np.empty_like(targets)
    inputs[1:] = targets[:-1]
    begins = texts.starts[texts.lengths > 0]
    inputs[begins] = start
    return Rows(
        inputs=inputs,
        targets=targets,
        texts=np.repeat(np.arange(len(texts)), texts.lengths),
        length=length,
    )
