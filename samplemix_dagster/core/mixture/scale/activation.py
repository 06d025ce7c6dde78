"""Activations: the scales at which copies of documents switch on, counted and collected.

A document with weight w and luck u has copies = floor(min(max_copies, s w) + u), so its copy k
switches on at s = (k - u) / w, its *activation*. Two passes over the shards find the scale of a
budget with memory flat in the corpus: :func:`activation_histogram` of every shard, merged, gives
the :func:`boundary_bins`; :func:`boundary_activations` of every shard, joined, is what
:mod:`samplemix_dagster.core.mixture.scale.settle` cuts exactly. Copies that training has consumed
before have none: the next one is that after them, so that both draws together are one.

Shape letters: N = documents, A = activations, 2 = the two halves of a document id.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.beta.plane import MAX_DOCUMENT_TOKENS
from samplemix_dagster.errors import InfeasibleMixtureError

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

MAX_COPIES = 128
MIN_WEIGHT = 2.0**-900
MAX_WEIGHT = 2.0**900

# A bin is the exponent and the first ten bits of the mantissa of an activation: exact and in
# order, 1024 bins an octave, so the boundary bin holds about a thousandth of the draws.
_SHIFT = np.int64(42)
_FIRST_EXPONENT = -128
_BASE = np.int64((1023 + _FIRST_EXPONENT) << 10)
NUM_ACTIVATION_BINS = 256 << 10

CHUNK = 1 << 17


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ActivationHistogram:
    """Tokens by activation, on fixed bins; every copy of every drawable document is in it once.

    Attributes:
        tokens: Tokens of each bin: (NUM_ACTIVATION_BINS,).
        max_document_tokens: The longest drawable document.
        max_copies: The cap that it was made with.
        consumed_tokens: Tokens of the copies below the cap that were consumed before.
    """

    tokens: Integers
    max_document_tokens: int
    max_copies: int
    consumed_tokens: int = 0

    @property
    def capacity_tokens(self) -> int:
        """Return max_copies x the tokens of documents with weight: the largest feasible budget."""
        return int(self.tokens.sum())


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundaryBins:
    """The bins, both ends included, between which the cut falls."""

    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Activations:
    """The activations inside boundary bins, in any order, of documents with tokens."""

    activations: Floats
    tokens: Integers
    words_A2: Words


def check_draw(weights: Floats, luck: Floats, max_copies: int) -> None:
    """Refuse what cannot be drawn from.

    Raises:
        ValueError: The cap, a weight or a luck is out of range, or lengths differ.
    """
    if not 1 <= max_copies <= MAX_COPIES:
        msg = f"max_copies is 1 to {MAX_COPIES}, not {max_copies}"
        raise ValueError(msg)
    is_sound = (weights == 0.0) | ((weights >= MIN_WEIGHT) & (weights <= MAX_WEIGHT))
    if not is_sound.all():
        row = int(is_sound.argmin())
        msg = f"a weight is 0 or inside [2^-900, 2^900]; row {row} has {weights[row]}"
        raise ValueError(msg)
    if luck.shape != weights.shape or not ((luck >= 0.0) & (luck <= 1.0)).all():
        msg = "luck is one uniform in [0, 1] for each weight"
        raise ValueError(msg)


def activations_of(
    weights: Floats, luck: Floats, max_copies: int, consumed: Integers | None = None
) -> Iterator[Floats]:
    """Yield the N activations (k - u) / w for k = 1 to max_copies; NaN for copies consumed before.

    The one place where they are computed: another expression would round otherwise.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        for copy in range(1, max_copies + 1):
            # 0 / 0 (weight 0, luck 1) is NaN, which no comparison admits.
            found = (float(copy) - luck) / weights
            if consumed is not None:
                found[consumed >= copy] = np.nan
            yield found


def _bins(activations: Floats) -> Integers:
    bins: Integers = (activations.view(np.int64) >> _SHIFT) - _BASE
    return bins.clip(0, NUM_ACTIVATION_BINS - 1)


def _edge(index: int) -> float:
    """Return the lower edge of a bin; the first takes all below it, the last all above."""
    if index <= 0:
        return 0.0
    if index >= NUM_ACTIVATION_BINS:
        return float("inf")
    return float(((np.int64(index) + _BASE) << _SHIFT).view(np.float64))


def activation_histogram(
    weights: Floats,
    luck: Floats,
    tokens: Integers,
    max_copies: int,
    consumed: Integers | None = None,
) -> ActivationHistogram:
    """Count tokens by activation, for one shard.

    Args:
        weights: N weights, 0 or inside [2^-900, 2^900].
        luck: N uniforms of the purpose ``draw``.
        tokens: N token counts.
        max_copies: How often one document may be drawn.
        consumed: N copies that were drawn and consumed before; None: none were.

    Raises:
        ValueError: A weight, a luck or a count is out of range.
    """
    check_draw(weights, luck, max_copies)
    if tokens.size and not 0 <= int(tokens.min()) <= int(tokens.max()) < MAX_DOCUMENT_TOKENS:
        msg = f"a document has 0 to {MAX_DOCUMENT_TOKENS - 1:,} tokens"
        raise ValueError(msg)
    counts = np.zeros(NUM_ACTIVATION_BINS, dtype=np.int64)
    longest, consumed_tokens = 0, 0
    for start in range(0, weights.size, CHUNK):
        part = slice(start, start + CHUNK)
        is_drawable = weights[part] > 0.0
        w, u, t = weights[part][is_drawable], luck[part][is_drawable], tokens[part][is_drawable]
        before = None if consumed is None else consumed[part][is_drawable]
        activations = np.concatenate(list(activations_of(w, u, max_copies, before)))
        # A double adds integers exactly below 2^53: 2^17 documents x 2^28 tokens x 2^7 copies.
        doubles = np.tile(t.astype(np.float64), max_copies)
        if before is not None:
            doubles[np.isnan(activations)] = 0.0
            consumed_tokens += int((t * np.minimum(before, max_copies)).sum())
        found_counts = np.bincount(_bins(activations), doubles)
        counts[: found_counts.size] += found_counts.astype(np.int64)
        longest = max(longest, int(t.max(initial=0)))
    return ActivationHistogram(
        tokens=counts,
        max_document_tokens=longest,
        max_copies=max_copies,
        consumed_tokens=consumed_tokens,
    )


def merge_histograms(histograms: Iterable[ActivationHistogram]) -> ActivationHistogram:
    """Return the histogram of all shards together.

    Raises:
        ValueError: There is none, or they were made with different caps.
    """
    found = list(histograms)
    caps = {histogram.max_copies for histogram in found}
    if len(caps) != 1:
        msg = f"histograms of one cap are merged, not of the caps {sorted(caps)}"
        raise ValueError(msg)
    counts = np.zeros(NUM_ACTIVATION_BINS, dtype=np.int64)
    for histogram in found:
        counts += histogram.tokens
    return ActivationHistogram(
        tokens=counts,
        max_document_tokens=max(histogram.max_document_tokens for histogram in found),
        max_copies=caps.pop(),
        consumed_tokens=sum(histogram.consumed_tokens for histogram in found),
    )


def boundary_bins(
    histogram: ActivationHistogram, budget: int, slack_tokens: int = 0
) -> BoundaryBins:
    """Return the bins that hold the cut of any budget in [budget, budget + slack_tokens].

    The bin below is taken along, so that s* is an activation and does not depend on the bins.

    Args:
        histogram: Of the whole corpus, or of one source.
        budget: Tokens to draw.
        slack_tokens: What another source may hand over at most.

    Raises:
        InfeasibleMixtureError: The budget exceeds the capacity; the message has both.
    """
    capacity = histogram.capacity_tokens
    if budget > capacity:
        used = histogram.consumed_tokens
        less = f", less the {used:,} tokens that were consumed before," if used else ""
        msg = (
            f"a budget of {budget:,} tokens is more than there is: {histogram.max_copies} copies "
            f"of every document with a weight{less} are {capacity:,} tokens, the nearest feasible "
            "budget"
        )
        raise InfeasibleMixtureError(msg)
    filled = np.flatnonzero(histogram.tokens)
    if filled.size == 0:
        return BoundaryBins(first=0, last=0)
    sums = np.cumsum(histogram.tokens[filled])
    first, last = (
        min(int(np.searchsorted(sums, total, side="right")), filled.size - 1)
        for total in (budget, budget + slack_tokens)
    )
    return BoundaryBins(first=int(filled[max(first - 1, 0)]), last=int(filled[last]))


def boundary_activations(
    weights: Floats,
    luck: Floats,
    tokens: Integers,
    words_N2: Words,
    *,
    max_copies: int,
    bins: BoundaryBins,
    consumed: Integers | None = None,
) -> Activations:
    """Collect one shard's activations inside the boundary bins.

    Args:
        weights: N weights, as in the first pass.
        luck: N uniforms, as in the first pass.
        tokens: N token counts.
        words_N2: Document ids. With ``duplicates: keep``, ids of the occurrences: two equal ids
            are admitted together.
        max_copies: The cap.
        bins: From :func:`boundary_bins`.
        consumed: N copies that were consumed before, as in the first pass.
    """
    check_draw(weights, luck, max_copies)
    lower, upper = _edge(bins.first), _edge(bins.last + 1)
    found: list[tuple[Floats, Integers]] = []
    for start in range(0, weights.size, CHUNK):
        part = slice(start, start + CHUNK)
        has_tokens = tokens[part] > 0
        before = None if consumed is None else consumed[part]
        for activations in activations_of(weights[part], luck[part], max_copies, before):
            rows = np.flatnonzero((activations >= lower) & (activations < upper) & has_tokens)
            found.append((activations[rows], rows + start))
    rows = np.concatenate([rows for _, rows in found] or [np.empty(0, dtype=np.int64)])
    return Activations(
        activations=np.concatenate([values for values, _ in found] or [np.empty(0)]),
        tokens=tokens[rows].astype(np.int64),
        words_A2=words_N2[rows],
    )


def join_activations(parts: Iterable[Activations]) -> Activations:
    """Return the boundary activations of all shards together."""
    found = list(parts)
    return Activations(
        activations=np.concatenate([np.empty(0), *(part.activations for part in found)]),
        tokens=np.concatenate([np.empty(0, np.int64), *(part.tokens for part in found)]),
        words_A2=np.concatenate([np.empty((0, 2), np.uint64), *(p.words_A2 for p in found)]),
    )
