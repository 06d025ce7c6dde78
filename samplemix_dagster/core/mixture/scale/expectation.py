"""The scale of a design: at which a group's expected tokens are its share of the budget.

The scale that is settled (:mod:`samplemix_dagster.core.mixture.scale.settle`) is an activation of
the very draw, so it carries the luck of the documents near the cut, and with held shares what the
source before has left over. How often a document is *expected* to be drawn is min(max_copies, s w)
at the scale s where the expected tokens of its group, the sum of min(max_copies, s w) t, are the
group's part of the budget. A group is the whole corpus with free shares, and one source (or what
else shares are held by) with held shares. The definition is ours.

Weights are gathered in bins of a 1024th of an octave with the mean weight of each, so one pass is
enough, shards merge in any order to the same bits, and the sum is right to about one in a million.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_SHIFT = np.int64(42)
# A weight is under a 1024th above the lower edge of its bin; times 2^28 tokens that is below 2^48.
_EXCESS_POINT = 2.0**30
_LEAST_WIDTH = 1e-9
"""Bounds of luck that are nearer to each other tell of rounding: then nothing is known."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Before:
    """What training has consumed of N documents before a draw.

    Attributes:
        consumed: Copies that it has consumed.
        least: The smallest luck that a document can have, by what was drawn of it; 0: not known.
        most: The largest, above ``least``; 1: not known.
    """

    consumed: Integers
    least: Floats
    most: Floats

    def of(self, rows: slice | Integers) -> "Before":
        """Return the same of some of the documents."""
        return Before(consumed=self.consumed[rows], least=self.least[rows], most=self.most[rows])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WeightHistogram:
    """Tokens by weight, of documents that can be drawn: K bins, in order.

    Attributes:
        bins: The bits of a weight that name its bin: (K,).
        tokens: Tokens of each bin: (K,).
        excess: Sum of (weight / lower edge - 1) x tokens of each bin, in 2^-30: (K,).
    """

    bins: Integers
    tokens: Integers
    excess: Integers

    @property
    def edges(self) -> Floats:
        """Return the lower edge of each bin."""
        edges: Floats = (self.bins << _SHIFT).view(np.float64)
        return edges

    @property
    def mean_weights(self) -> Floats:
        """Return the mean weight of each bin's tokens."""
        means: Floats = self.edges * (1.0 + self.excess / (_EXCESS_POINT * self.tokens))
        return means


def weight_histogram(weights: Floats, tokens: Integers) -> WeightHistogram:
    """Count one shard's tokens by weight; what has no weight or no token is left out."""
    is_drawable = (weights > 0.0) & (tokens > 0)
    w, t = weights[is_drawable], tokens[is_drawable].astype(np.int64)
    bins = np.ascontiguousarray(w).view(np.int64) >> _SHIFT
    edges = (bins << _SHIFT).view(np.float64)
    excess = np.rint((w / edges - 1.0) * t * _EXCESS_POINT).astype(np.int64)
    return _grouped(bins, t, excess)


def merge_weights(histograms: Iterable[WeightHistogram]) -> WeightHistogram:
    """Return the histogram of all shards together, whatever their order."""
    found = list(histograms)
    empty = [np.empty(0, dtype=np.int64)]
    return _grouped(
        np.concatenate(empty + [one.bins for one in found]),
        np.concatenate(empty + [one.tokens for one in found]),
        np.concatenate(empty + [one.excess for one in found]),
    )


def _grouped(bins: Integers, tokens: Integers, excess: Integers) -> WeightHistogram:
    present, places = np.unique(bins, return_inverse=True)
    sums = np.zeros((2, present.size), dtype=np.int64)
    np.add.at(sums[0], places, tokens)
    np.add.at(sums[1], places, excess)
    return WeightHistogram(bins=present, tokens=sums[0], excess=sums[1])


def design_scale(histogram: WeightHistogram, budget_tokens: float, max_copies: int) -> float:
    """Return the scale at which the expected tokens are the budget; 0 where nothing can be drawn.

    Where max_copies of everything are not more than the budget, it is a scale at which every
    document is at the cap.
    """
    if histogram.bins.size == 0 or budget_tokens <= 0.0:
        return 0.0
    scale = scale_for(histogram.mean_weights, histogram.tokens, budget_tokens, max_copies)
    return min(scale, max_copies / float(histogram.edges[0]))


def expected_copies(weights: Floats, scale: float, max_copies: int) -> Floats:
    """Return each document's copies in expectation over luck: min(max_copies, s w)."""
    return np.minimum(float(max_copies), scale * weights)


def copies_after(weights: Floats, scale: float, max_copies: int, before: "Before") -> Floats:
    """Return each document's further copies in expectation over the luck that it can have.

    That is the mean of max(0, floor(min(max_copies, s w) + u) - consumed) for u uniform between
    ``least`` and ``most``: what a draw before made of a document says much of its luck.

    Args:
        weights: N weights.
        scale: At which both draws together are expected.
        max_copies: The cap, over both.
        before: What was consumed of N documents.
    """
    reached = np.minimum(float(max_copies), scale * weights)
    whole = np.floor(reached)
    step = 1.0 - (reached - whole)
    low = np.maximum(0.0, whole - before.consumed)
    high = np.maximum(0.0, whole + 1.0 - before.consumed)
    below = np.clip(step, before.least, before.most)
    width = before.most - before.least
    mean: Floats = (low * (below - before.least) + high * (before.most - below)) / width
    return mean


def luck_known(
    reached: Floats, total: Integers, is_drawn: npt.NDArray[np.bool_]
) -> tuple[Floats, Floats]:
    """Return between which bounds each document's luck lies, by what a draw made of it.

    Args:
        reached: min(max_copies, s w) of N documents in that draw; copies = floor(reached + luck).
        total: Copies of that draw, with those that were consumed before it.
        is_drawn: Whether it drew a copy; where it drew none, ``total`` may be above its copies.
    """
    least = np.where(is_drawn | (total == 0), total - reached, 0.0).clip(0.0, 1.0)
    most = (total + 1.0 - reached).clip(0.0, 1.0)
    is_known = most - least > _LEAST_WIDTH
    return np.where(is_known, least, 0.0), np.where(is_known, most, 1.0)


def scale_for(ratios: Floats, tokens: Integers, budget_tokens: float, max_copies: int) -> float:
    """Return s where the sum of min(max_copies, s ratio) x tokens is the budget.

    Infinite where everything at max_copies is not enough.
    """
    order = np.argsort(-ratios, kind="stable")
    ratios, counted = ratios[order], tokens[order].astype(np.float64)
    # With the k heaviest at the cap the others must bring the rest, and s is linear there.
    capped = max_copies * (np.cumsum(counted) - counted)
    slopes = np.cumsum((ratios * counted)[::-1])[::-1]
    is_within = capped + slopes * (max_copies / ratios) >= budget_tokens
    if not is_within.any():
        return math.inf
    first = int(is_within.argmax())
    return float((budget_tokens - capped[first]) / slopes[first])
