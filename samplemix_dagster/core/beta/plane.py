"""The summary of one group's (quality, diversity): histograms and moments that add up exactly.

A plane is what leaves a shard: counts on a grid, and token-weighted sums in fixed point. All of
it is integers, so planes merge to the same bits in every order, on every machine. Fitting a law
to a plane is :mod:`samplemix_dagster.core.beta.fit`; nothing here reads or writes.

Shape letters: B = bins of one axis (128; the first axis is quality), M = moments, L = limbs (2).
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple, dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

NUM_BINS = 128
FIXED_POINT = 1 << 24  # one unit is 6e-8: far below a score's fifth digit
MAX_DOCUMENT_TOKENS = 1 << 28  # so that tokens x (log of the smallest float) stays in 64 bits

_CHUNK = 1 << 17
_CACHED = 1 << 14
_TINY = 2.0**-1022
_LN2_HIGH = 6.93147180369123816490e-01  # its low 32 bits are zero, so k * _LN2_HIGH is exact
_LN2_LOW = 1.90821492927058770002e-10
_SQRT_HALF_BITS = np.int64(0x3FE6A09E667F3BCD)
_LOG_SERIES = tuple(2.0 / k for k in range(23, 1, -2))
_EXP_SERIES = tuple(1.0 / math.factorial(k) for k in range(13, -1, -1))


def _in_chunks(function: Callable[[Floats], Floats], values: Floats) -> Floats:
    flat = np.ascontiguousarray(values, dtype=np.float64).ravel()
    result = np.empty_like(flat)
    for start in range(0, flat.size, _CACHED):
        result[start : start + _CACHED] = function(flat[start : start + _CACHED])
    return result.reshape(np.shape(values))


def _log_chunk(values: Floats) -> Floats:
    bits = values.view(np.int64)
    exponents = (bits - _SQRT_HALF_BITS) >> np.int64(52)
    mantissas = (bits - (exponents << np.int64(52))).view(np.float64)
    ratios = (mantissas - 1.0) / (mantissas + 1.0)
    squares = ratios * ratios
    series = np.full_like(ratios, _LOG_SERIES[0])
    for coefficient in _LOG_SERIES[1:]:
        series *= squares
        series += coefficient
    powers = exponents.astype(np.float64)
    return powers * _LN2_HIGH + (powers * _LN2_LOW + (2.0 * ratios + ratios * squares * series))


def portable_log(values: Floats) -> Floats:
    """Return natural logarithms that are the same bits on every machine, within 2 ulp.

    ``np.log`` depends on the processor's vector unit in its last bit. This takes only the
    operations that IEEE 754 rounds correctly: log m = 2 artanh((m - 1)/(m + 1)), as a series.

    Args:
        values: Any shape, positive, finite, not subnormal.
    """
    return _in_chunks(_log_chunk, values)


def _exp_chunk(values: Floats) -> Floats:
    powers = np.rint(values * 1.4426950408889634)
    rests = (values - powers * _LN2_HIGH) - powers * _LN2_LOW
    series = np.full_like(rests, _EXP_SERIES[0])
    for coefficient in _EXP_SERIES[1:]:
        series *= rests
        series += coefficient
    scales = ((powers.astype(np.int64) + np.int64(1023)) << np.int64(52)).view(np.float64)
    return series * scales


def portable_exp(values: Floats) -> Floats:
    """Return exponentials that are the same bits on every machine, within 2 ulp.

    Args:
        values: Any shape, inside [-700, 700].
    """
    return _in_chunks(_exp_chunk, values)


def exact_sum(values: Integers) -> int:
    """Return the sum of 64-bit integers without overflow: high and low halves apart."""
    high = int((values >> np.int64(32)).sum())
    return (high << 32) + int((values & np.int64(0xFFFFFFFF)).sum())


def squeeze(values: Floats, num_documents: int) -> Floats:
    """Move exact 0 and 1 inside: ((n - 1) x + 1/2) / n; everything else stays as it is.

    Smithson & Verkuilen (2006), "A better lemon squeezer?", p. 55, which moves every value; here
    only the ends move, so that no other document's score depends on the size of the corpus.

    Args:
        values: Scores in [0, 1].
        num_documents: n, of the whole group.
    """
    half = 0.5 / num_documents
    return np.where(values < _TINY, half, np.where(values >= 1.0, 1.0 - half, values))


@dataclass(frozen=True, slots=True, kw_only=True)
class AxisMoments:
    """Token-weighted sums over one axis, in units of 1 / FIXED_POINT; the ends stand apart."""

    log_x: int = 0
    log_1mx: int = 0
    x: int = 0
    tokens_at_0: int = 0
    tokens_at_1: int = 0
    num_at_0: int = 0
    num_at_1: int = 0

    def mean_log_x(self, num_tokens: int, num_documents: int) -> float:
        """Return the token-weighted mean of log x, the ends squeezed."""
        half = 0.5 / num_documents
        ends = self.tokens_at_0 * math.log(half) + self.tokens_at_1 * math.log1p(-half)
        return (self.log_x / FIXED_POINT + ends) / num_tokens

    def mean_log_1mx(self, num_tokens: int, num_documents: int) -> float:
        """Return the token-weighted mean of log(1 - x), the ends squeezed."""
        half = 0.5 / num_documents
        ends = self.tokens_at_1 * math.log(half) + self.tokens_at_0 * math.log1p(-half)
        return (self.log_1mx / FIXED_POINT + ends) / num_tokens


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Plane:
    """One group's documents on the (quality, diversity) square."""

    tokens_BB: Integers
    documents_BB: Integers
    quality: AxisMoments
    diversity: AxisMoments
    squared_tokens: int

    @property
    def num_tokens(self) -> int:
        """Return the group's tokens."""
        return int(self.tokens_BB.sum())

    @property
    def num_documents(self) -> int:
        """Return the group's documents."""
        return int(self.documents_BB.sum())

    @property
    def num_squeezed(self) -> int:
        """Return how many scores are exactly 0 or 1."""
        axes = (self.quality, self.diversity)
        return sum(axis.num_at_0 + axis.num_at_1 for axis in axes)

    @property
    def effective_sample_size(self) -> float:
        """Return (sum w)^2 / sum w^2 with w = tokens: documents of equal length worth as much."""
        return self.num_tokens**2 / self.squared_tokens if self.squared_tokens else 0.0

    @property
    def mean_quality(self) -> float:
        """Return the token-weighted mean quality, exact to 6e-8; NaN for an empty plane."""
        tokens = self.num_tokens
        return self.quality.x / FIXED_POINT / tokens if tokens else math.nan

    @property
    def mean_diversity(self) -> float:
        """Return the token-weighted mean diversity, exact to 6e-8; NaN for an empty plane."""
        tokens = self.num_tokens
        return self.diversity.x / FIXED_POINT / tokens if tokens else math.nan

    def to_arrays(self) -> dict[str, Integers]:
        """Return the plane as named arrays: two (B, B) and ``moments_ML`` in 32-bit limbs."""
        sums = (*astuple(self.quality), *astuple(self.diversity), self.squared_tokens)
        limbs = [(value >> 32, value & 0xFFFFFFFF) for value in sums]
        return {
            "tokens_BB": self.tokens_BB,
            "documents_BB": self.documents_BB,
            "moments_ML": np.array(limbs, dtype=np.int64),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Integers]) -> "Plane":
        """Return the plane that :meth:`to_arrays` took apart."""
        sums = [(int(high) << 32) + int(low) for high, low in arrays["moments_ML"]]
        names = AxisMoments.__slots__
        size = len(names)
        return cls(
            tokens_BB=np.asarray(arrays["tokens_BB"], dtype=np.int64),
            documents_BB=np.asarray(arrays["documents_BB"], dtype=np.int64),
            quality=AxisMoments(**dict(zip(names, sums[:size], strict=True))),
            diversity=AxisMoments(**dict(zip(names, sums[size : 2 * size], strict=True))),
            squared_tokens=sums[2 * size],
        )


def bins_of(values: Floats, num_bins: int = NUM_BINS) -> Integers:
    """Return each score's bin of equal width; 1 falls into the last."""
    return np.minimum((values * num_bins).astype(np.int64), num_bins - 1)


def plane_of(quality: Floats, diversity: Floats, tokens: Integers) -> Plane:
    """Summarise documents.

    Args:
        quality: N scores in [0, 1]; exact 0 and 1 are counted, and squeezed when a law is fitted.
        diversity: N scores in [0, 1].
        tokens: N token counts, which are the weights.

    Raises:
        ValueError: Lengths differ, a score is NaN or outside [0, 1], or a count is out of range.
    """
    if not quality.shape == diversity.shape == tokens.shape or quality.ndim != 1:
        shapes = f"{quality.shape}, {diversity.shape}, {tokens.shape}"
        msg = f"quality, diversity and tokens are three lists of one length, not {shapes}"
        raise ValueError(msg)
    _check_scores("quality", quality)
    _check_scores("diversity", diversity)
    if tokens.size and not 0 <= int(tokens.min()) <= int(tokens.max()) < MAX_DOCUMENT_TOKENS:
        msg = (
            f"a document has 0 to {MAX_DOCUMENT_TOKENS - 1:,} tokens; these have "
            f"{int(tokens.min()):,} to {int(tokens.max()):,}"
        )
        raise ValueError(msg)
    starts = range(0, quality.size, _CHUNK)
    slices = [slice(start, start + _CHUNK) for start in starts]
    return merge(_plane_of_chunk(quality[s], diversity[s], tokens[s]) for s in slices)


def _check_scores(axis: str, values: Floats) -> None:
    is_inside = (values >= 0.0) & (values <= 1.0)
    if not is_inside.all():
        row = int(is_inside.argmin())
        num_outside = int(values.size - is_inside.sum())
        msg = f"{axis} lies in [0, 1]; {num_outside} do not, first {values[row]} at row {row}"
        raise ValueError(msg)


def _plane_of_chunk(quality: Floats, diversity: Floats, tokens: Integers) -> Plane:
    weights = tokens.astype(np.int64)
    cells = bins_of(quality) * NUM_BINS + bins_of(diversity)
    shape = (NUM_BINS, NUM_BINS)
    token_counts = np.bincount(cells, weights.astype(np.float64), NUM_BINS**2)
    return Plane(
        tokens_BB=token_counts.astype(np.int64).reshape(shape),
        documents_BB=np.bincount(cells, minlength=NUM_BINS**2).astype(np.int64).reshape(shape),
        quality=_axis_moments(quality, weights),
        diversity=_axis_moments(diversity, weights),
        squared_tokens=exact_sum(weights * weights),
    )


def _axis_moments(values: Floats, weights: Integers) -> AxisMoments:
    is_0, is_1 = values < _TINY, values >= 1.0
    inner = np.where(is_0 | is_1, 0.5, values)
    inner_weights = np.where(is_0 | is_1, 0, weights)
    return AxisMoments(
        log_x=exact_sum(inner_weights * _fixed(portable_log(inner))),
        log_1mx=exact_sum(inner_weights * _fixed(portable_log(1.0 - inner))),
        x=exact_sum(weights * _fixed(values)),
        tokens_at_0=int(weights[is_0].sum()),
        tokens_at_1=int(weights[is_1].sum()),
        num_at_0=int(is_0.sum()),
        num_at_1=int(is_1.sum()),
    )


def _fixed(values: Floats) -> Integers:
    return np.rint(values * FIXED_POINT).astype(np.int64)


def merge(planes: Iterable[Plane]) -> Plane:
    """Return the plane of all documents together; no planes give an empty one."""
    tokens_BB = np.zeros((NUM_BINS, NUM_BINS), dtype=np.int64)
    documents_BB = np.zeros_like(tokens_BB)
    axes = [AxisMoments(), AxisMoments()]
    squared_tokens = 0
    for plane in planes:
        tokens_BB += plane.tokens_BB
        documents_BB += plane.documents_BB
        axes = [_add(axes[0], plane.quality), _add(axes[1], plane.diversity)]
        squared_tokens += plane.squared_tokens
    return Plane(
        tokens_BB=tokens_BB,
        documents_BB=documents_BB,
        quality=axes[0],
        diversity=axes[1],
        squared_tokens=squared_tokens,
    )


def _add(left: AxisMoments, right: AxisMoments) -> AxisMoments:
    sums = (a + b for a, b in zip(astuple(left), astuple(right), strict=True))
    return AxisMoments(**dict(zip(AxisMoments.__slots__, sums, strict=True)))
