"""Settle the scale of a mixture exactly: the budget is met to within one document, never over.

The scale s* admits activations in the order (activation, document id) for as long as their tokens
fit, so draws are nested in the budget and know nothing of shards, workers or order. Then
:func:`copies` is a pure map that compares the very activations that were settled.

Shape letters: N = documents, A = activations, 2 = the two halves of a document id.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.beta.plane import Plane
from samplemix_dagster.core.mixture.dials import BinWeights, mean_one_weights
from samplemix_dagster.core.mixture.scale.activation import (
    CHUNK,
    ActivationHistogram,
    Activations,
    BoundaryBins,
    activations_of,
    check_draw,
)
from samplemix_dagster.core.mixture.scale.expectation import scale_for
from samplemix_dagster.errors import InfeasibleMixtureError

Floats = npt.NDArray[np.float64]
Words = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """The settled s*.

    Attributes:
        value: The last admitted activation; 0 where nothing is drawn.
        tie_high: First half of the last document id admitted at exactly ``value``.
        tie_low: Its second half.
        realised_tokens: Tokens of all that is admitted.
    """

    value: float
    tie_high: int
    tie_low: int
    realised_tokens: int


def cut(
    histogram: ActivationHistogram, bins: BoundaryBins, activations: Activations, budget: int
) -> Scale:
    """Return the largest scale whose realised tokens do not exceed the budget; 0 draws nothing.

    Args:
        histogram: The merged first pass.
        bins: The bins that ``activations`` were collected from.
        activations: The joined second pass.
        budget: Tokens to draw.

    Raises:
        ValueError: The two passes do not belong together, or the cut lies outside the bins.
    """
    prior = int(histogram.tokens[: bins.first].sum())
    inside = int(histogram.tokens[bins.first : bins.last + 1].sum())
    if int(activations.tokens.sum()) != inside:
        msg = f"the passes differ: {int(activations.tokens.sum()):,} and {inside:,} tokens"
        raise ValueError(msg)
    words_A2 = activations.words_A2
    order = np.lexsort((words_A2[:, 1], words_A2[:, 0], activations.activations))
    values, words_A2 = activations.activations[order], words_A2[order]
    sums = prior + np.cumsum(activations.tokens[order])
    admitted = int(np.searchsorted(sums, budget, side="right"))
    while 0 < admitted < values.size and _is_twin(values, words_A2, admitted):
        admitted -= 1
    is_before = admitted == 0 and prior > 0
    is_behind = prior + inside < min(budget, histogram.capacity_tokens)
    if is_before or is_behind:
        msg = f"the cut of {budget:,} tokens lies outside the bins {bins.first} to {bins.last}"
        raise ValueError(msg)
    if admitted == 0:
        return Scale(value=0.0, tie_high=0, tie_low=0, realised_tokens=0)
    return Scale(
        value=float(values[admitted - 1]),
        tie_high=int(words_A2[admitted - 1, 0]),
        tie_low=int(words_A2[admitted - 1, 1]),
        realised_tokens=int(sums[admitted - 1]),
    )


def _is_twin(values: Floats, words_A2: Words, row: int) -> bool:
    is_same_value = bool(values[row] == values[row - 1])
    return is_same_value and bool((words_A2[row] == words_A2[row - 1]).all())


def settle(
    histogram: ActivationHistogram, bins: BoundaryBins, activations: Activations, budget: int
) -> Scale:
    """Return the scale of a whole mixture: :func:`cut`, where drawing nothing is an error.

    Raises:
        InfeasibleMixtureError: Not even the first document fits the budget.
    """
    scale = cut(histogram, bins, activations, budget)
    if scale.realised_tokens == 0:
        raise InfeasibleMixtureError(_nothing_fits(activations, budget))
    return scale


def _nothing_fits(activations: Activations, budget: int) -> str:
    if activations.tokens.size == 0:
        return f"nothing can be drawn for {budget:,} tokens: no document has a weight and tokens"
    words_A2 = activations.words_A2
    first = np.lexsort((words_A2[:, 1], words_A2[:, 0], activations.activations))[0]
    tokens = int(activations.tokens[first])
    return (
        f"nothing fits a budget of {budget:,} tokens: the first document to be drawn has "
        f"{tokens:,}, the nearest feasible budget"
    )


def copies(
    weights: Floats,
    luck: Floats,
    words_N2: Words,
    scale: Scale,
    max_copies: int,
    consumed: npt.NDArray[np.int64] | None = None,
) -> npt.NDArray[np.int32]:
    """Return how often each document is drawn, in [0, max_copies]: exactly what was admitted.

    Args:
        weights: N weights, as settled.
        luck: N uniforms, as settled.
        words_N2: Document ids, as settled.
        scale: The settled scale.
        max_copies: The cap, over what is drawn and what was consumed before.
        consumed: N copies that were consumed before; None: none were.
    """
    check_draw(weights, luck, max_copies)
    result = np.zeros(weights.size, dtype=np.int32)
    if scale.value <= 0.0:
        return result
    high, low = np.uint64(scale.tie_high), np.uint64(scale.tie_low)
    for start in range(0, weights.size, CHUNK):
        part = slice(start, start + CHUNK)
        before = None if consumed is None else consumed[part]
        for activations in activations_of(weights[part], luck[part], max_copies, before):
            result[part] += activations < scale.value
            ties = start + np.flatnonzero(activations == scale.value)
            highs, lows = words_N2[ties, 0], words_N2[ties, 1]
            result[ties] += (highs < high) | ((highs == high) & (lows <= low))
    return result


def estimated_scale(
    plane: Plane, weights: BinWeights, budget_tokens: int, max_copies: int
) -> float:
    """Return s where the plane's expected tokens, sum of min(max_copies, s w) t, are the budget.

    An estimate, for promises before a draw; :func:`settle` gives the exact one.
    Infinite where the whole corpus at max_copies is not enough. Weights have mean 1 here.
    """
    copies_BB = mean_one_weights(plane, weights)
    ratios, tokens = copies_BB.ravel(), plane.tokens_BB.ravel()
    is_used = (ratios > 0.0) & (tokens > 0)
    return scale_for(ratios[is_used], tokens[is_used], budget_tokens, max_copies)
