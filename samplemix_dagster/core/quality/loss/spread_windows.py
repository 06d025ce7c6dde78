"""Windows spread over a long text, where not all of it is scored: which tokens, and how sure.

A text is cut into as many strata as there are windows (begin, middle, end), each of them into c
cells of equal length, and one cell of each stratum is scored, chosen by the text's own luck. Every
token has the same chance 1 / c, so what the scored tokens cost over their bytes estimates the ratio
of the whole text, but for the context that a window lacks: with fewer tokens before it a text is
dearer, and no standard error knows that. The error is that of a ratio (Cochran, *Sampling
Techniques*, 3rd edition, 1977, section 6.4), from the windows' residuals about it. The strata are
taken for one, since each has one window, so it is rather too large where a text changes on its way.

Shape letters: N = texts, K = windows of a long text, W = windows of all texts.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.quality.loss.windows import Windows

NUM_WINDOWS = 3
"""Windows of a long text: at its begin, middle and end. With more of them the context that each
lacks costs more than their spread gains (docs/evidence/reference.md)."""
FEWEST_TOKENS = 16
"""Fewest tokens of a text that can be scored: a window of four has a character's begin in it."""
_WIDENED = 2.1953
"""The 97.5 % point of Student's t with 2 degrees of freedom over the normal's: 1.96 standard errors
from 3 windows are to cover what 1.96 cover when the variance is known."""


def most_tokens_read(tokens_per_document: int, overlap_tokens: int) -> int:
    """Return the most tokens that a model reads of a text: those scored, and their context."""
    return tokens_per_document + NUM_WINDOWS * overlap_tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadPlan:
    """How long texts are cut.

    Attributes:
        tokens_per_document: Most tokens of a long text that are scored; None: no text is long.
        context_tokens: Most inputs in a window.
        overlap_tokens: Inputs before the scored ones that a window has as context, where there are.
    """

    tokens_per_document: int | None
    context_tokens: int
    overlap_tokens: int

    def is_long(self, num_inputs: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Tell which texts cost less in windows than whole, shape (N,)."""
        if self.tokens_per_document is None:
            return np.zeros(num_inputs.shape, dtype=np.bool_)
        most = most_tokens_read(self.tokens_per_document, self.overlap_tokens)
        return np.asarray(num_inputs > most)

    def num_cells(self, num_inputs: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Return the cells of a stratum of each text, of which one is scored, shape (N,)."""
        wished = (self.tokens_per_document or 0) // NUM_WINDOWS
        widest = max(1, min(wished, self.context_tokens - self.overlap_tokens))
        return np.asarray(-(-num_inputs // (NUM_WINDOWS * widest)))

    def windows(
        self, num_inputs: npt.NDArray[np.int64], luck_NK: npt.NDArray[np.float64]
    ) -> Windows:
        """Choose K windows of each long text.

        Args:
            num_inputs: Inputs of each text (its length less one), shape (N,).
            luck_NK: Each text's luck in (0, 1) for the place of each window, shape (N, K).
        """
        length = num_inputs[:, None]
        cells = self.num_cells(num_inputs)[:, None]
        chosen_NK = np.arange(NUM_WINDOWS) * cells + np.floor(luck_NK * cells).astype(np.int64)
        first_NK = chosen_NK * length // (NUM_WINDOWS * cells)
        stops_NK = (chosen_NK + 1) * length // (NUM_WINDOWS * cells)
        starts_NK = np.maximum(first_NK - self.overlap_tokens, 0)
        return Windows(
            sequences=np.repeat(np.arange(num_inputs.size, dtype=np.int64), NUM_WINDOWS),
            starts=starts_NK.ravel(),
            stops=stops_NK.ravel(),
            first_scored=(first_NK - starts_NK).ravel(),
        )


def ratio_error(
    nll_NK: npt.NDArray[np.float64],
    num_bytes_NK: npt.NDArray[np.int64],
    cells: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """Return the standard error of each text's nats per byte, shape (N,), at least 0.

    Args:
        nll_NK: What each window's scored tokens cost, in nats, shape (N, K).
        num_bytes_NK: Their UTF-8 bytes, shape (N, K).
        cells: Cells of a stratum, of which one was scored, shape (N,).
    """
    total = np.maximum(num_bytes_NK.sum(axis=1), 1)
    ratio = nll_NK.sum(axis=1) / total
    residuals_NK = nll_NK - ratio[:, None] * num_bytes_NK
    variance = (residuals_NK**2).sum(axis=1) * NUM_WINDOWS / (NUM_WINDOWS - 1)
    error: npt.NDArray[np.float64] = np.sqrt(variance * (1.0 - 1.0 / cells)) / total * _WIDENED
    return error
