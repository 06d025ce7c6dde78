"""What a mixture promises, from the plane re-weighted bin by bin; and dials for wished means.

The fitted law is not used: it errs by .02 to .09 where the histogram errs by under .001 (.002
where a tenth of the tokens lies in one bin). Inside a bin documents are taken as uniform, and
inside an outermost bin as a power of the distance to the end, which carries U-shaped corpora
through negative dials.

Shape letters: B = bins of one axis (quality first), Q = quadrature nodes.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.beta.plane import NUM_BINS, Plane
from samplemix_dagster.core.limits import MAX_DIAL
from samplemix_dagster.errors import ConfigError, DegenerateSampleError

if TYPE_CHECKING:
    from samplemix_dagster.core.beta.law import BivariateBeta

Floats = npt.NDArray[np.float64]

_NUM_NODES = 8
_MAX_POWER = 20.0
_MAX_STEPS = 100
_DIAL_DIGITS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Dials:
    """How strongly a mixture leans: target g ~ f q^quality d^diversity.

    Attributes:
        quality: Exponent of quality; 0 leaves it alone, negative leans to low quality.
        diversity: Exponent of diversity.
        flip_quality: Put the dial on 1 - q, for ``direction: high``; not a negative exponent.
        flip_diversity: Put the dial on 1 - d.
    """

    quality: float
    diversity: float
    flip_quality: bool = False
    flip_diversity: bool = False

    def check(self, law: "BivariateBeta") -> None:
        """Refuse dials under which the target is no law: a shape plus its dial at or below 0.

        Raises:
            ConfigError: A dial is outside (-shape, MAX_DIAL]; the message names the range.
        """
        shapes = {
            "quality": law.b_quality if self.flip_quality else law.a_quality,
            "diversity": law.b_diversity if self.flip_diversity else law.a_diversity,
        }
        for name, dial in (("quality", self.quality), ("diversity", self.diversity)):
            if not -shapes[name] < dial <= MAX_DIAL:
                msg = (
                    f"balance.{name} is {dial:g}, and no mixture is: the fitted shape is "
                    f"{shapes[name]:.4g}, so the dial lies above {-shapes[name]:.4g} and at or "
                    f"below {MAX_DIAL:g}"
                )
                raise ConfigError(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """What a mixture is expected to be; token-weighted.

    Attributes:
        mean_quality: Mean quality of the drawn tokens.
        mean_diversity: Mean diversity of the drawn tokens.
        kl_nats: KL(mixture || corpus) on the plane's cells.
        effective_sample_share: (sum w t)^2 / (sum w^2 t sum t), in (0, 1].
        effective_sample_tokens: The same in tokens of the corpus.
    """

    mean_quality: float
    mean_diversity: float
    kl_nats: float
    effective_sample_share: float
    effective_sample_tokens: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BinWeights:
    """Weights of the plane's cells, with the mean scores of a cell's weighted documents."""

    log_weights_BB: Floats
    mean_quality: Floats
    mean_diversity: Floats


def bin_centres() -> Floats:
    """Return the centres of an axis's bins, for strategies that are evaluated on the plane."""
    return (np.arange(NUM_BINS) + 0.5) / NUM_BINS


def weights_of_dials(plane: Plane, dials: Dials) -> BinWeights:
    """Return the mean of q^lq d^ld over each cell's documents (log, not normalised)."""
    log_q, mean_q = _tilt(plane, 1, dials.quality, is_flipped=dials.flip_quality)
    log_d, mean_d = _tilt(plane, 0, dials.diversity, is_flipped=dials.flip_diversity)
    return BinWeights(
        log_weights_BB=log_q[:, None] + log_d, mean_quality=mean_q, mean_diversity=mean_d
    )


def log_mean_weight(plane: Plane, weights: BinWeights) -> float:
    """Return the log of the corpus's token-weighted mean weight.

    Raises:
        DegenerateSampleError: No token has a weight.
    """
    logs_BB = np.where(plane.tokens_BB > 0, weights.log_weights_BB, -np.inf)
    peak = float(logs_BB.max())
    if plane.num_tokens == 0 or peak == -math.inf:
        msg = f"no document of the corpus ({plane.num_tokens:,} tokens) has a weight above 0"
        raise DegenerateSampleError(msg)
    terms = plane.tokens_BB * np.exp(logs_BB - peak)
    return peak + math.log(math.fsum(terms.ravel()) / plane.num_tokens)


def mean_one_weights(plane: Plane, weights: BinWeights) -> Floats:
    """Return the cells' weights with token-weighted mean 1: shape (B, B), 0 for empty cells."""
    log_mean = log_mean_weight(plane, weights)
    is_used = plane.tokens_BB > 0
    ratios_BB: Floats = np.exp(np.where(is_used, weights.log_weights_BB - log_mean, -np.inf))
    return ratios_BB


def promise(
    plane: Plane,
    weights: BinWeights,
    *,
    scale: float | None = None,
    max_copies: int | None = None,
) -> Promise:
    """Return the means, the KL and the effective sample of a re-weighted plane.

    Args:
        plane: The corpus.
        weights: From :func:`weights_of_dials` or ``strategies.bin_weights``.
        scale: s, where expected copies are min(max_copies, s w) and w has mean 1; None where no
            cap acts.
        max_copies: The cap; it counts only with a scale.
    """
    copies_BB = mean_one_weights(plane, weights)
    if scale is not None and max_copies is not None:
        copies_BB = np.minimum(max_copies, scale * copies_BB)
    tokens_BB = copies_BB * plane.tokens_BB
    drawn, total = float(tokens_BB.sum()), float(plane.num_tokens)
    shares_BB = tokens_BB / drawn
    is_drawn = shares_BB > 0.0
    ratios = copies_BB[is_drawn] / (drawn / total)
    sample = drawn * drawn / float((copies_BB * tokens_BB).sum())
    return Promise(
        mean_quality=float(shares_BB.sum(axis=1) @ weights.mean_quality),
        mean_diversity=float(shares_BB.sum(axis=0) @ weights.mean_diversity),
        kl_nats=max(0.0, float(shares_BB[is_drawn] @ np.log(ratios))),
        effective_sample_share=sample / total,
        effective_sample_tokens=sample,
    )


def solve_dials(
    plane: Plane,
    *,
    mean_quality: float | None = None,
    mean_diversity: float | None = None,
    law: "BivariateBeta | None" = None,
    others: Dials | None = None,
) -> Dials:
    """Return the dials under which the drawn tokens have the wished means.

    Damped Newton on the plane; each mean rises with its own dial, since Cov_g(q, log q) > 0. No cap
    acts: where copies are held at ``max_copies`` a mixture falls short of its wish.

    Args:
        plane: The corpus.
        mean_quality: Wished mean quality, in (0, 1); None: its dial stays.
        mean_diversity: Wished mean diversity, in (0, 1); None: its dial stays.
        law: The fitted law, whose shapes bound negative dials.
        others: The dials that stay; 0 without any.

    Raises:
        ConfigError: No dials give these means; the message names what each axis can reach alone.
    """
    wishes = (mean_quality, mean_diversity)
    is_free = np.array([wish is not None for wish in wishes])
    wished = np.array([0.0 if wish is None else wish for wish in wishes])
    stay = others or Dials(quality=0.0, diversity=0.0)
    lowest = np.full(2, -MAX_DIAL)
    if law is not None:
        lowest = np.maximum(lowest, -np.array([law.a_quality, law.a_diversity]) + 1e-3)
    point = np.where(is_free, 0.0, [stay.quality, stay.diversity])
    gap = np.where(is_free, _means(plane, point) - wished, 0.0)
    for _ in range(_MAX_STEPS):
        step = np.zeros(2)
        slopes = _slopes(plane, point)[np.ix_(is_free, is_free)]
        step[is_free] = np.linalg.lstsq(slopes, -gap[is_free], rcond=None)[0]
        step *= min(1.0, 5.0 / max(1e-300, float(np.abs(step).max())))
        # The longest of the halved steps that brings the means nearer; none does: it has settled.
        for length in 0.5 ** np.arange(30):
            trial = np.where(is_free, np.clip(point + length * step, lowest, MAX_DIAL), point)
            trial_gap = np.where(is_free, _means(plane, trial) - wished, 0.0)
            if np.linalg.norm(trial_gap) < np.linalg.norm(gap):
                point, gap = trial, trial_gap
                break
        else:
            break
        if np.abs(gap).max() < 1e-10:
            break
    if np.abs(gap).max() > 1e-6:
        raise ConfigError(_unreachable(plane, wishes, lowest))
    quality, diversity = (round(float(dial), _DIAL_DIGITS) for dial in point)
    return Dials(quality=quality, diversity=diversity)


def _means(plane: Plane, point: Floats) -> Floats:
    dials = Dials(quality=float(point[0]), diversity=float(point[1]))
    result = promise(plane, weights_of_dials(plane, dials))
    return np.array([result.mean_quality, result.mean_diversity])


def _slopes(plane: Plane, point: Floats) -> Floats:
    width = 1e-4
    sides = [_means(plane, point + d) - _means(plane, point - d) for d in width * np.eye(2)]
    return np.stack(sides, axis=1) / (2.0 * width)


def _unreachable(plane: Plane, wishes: tuple[float | None, float | None], lowest: Floats) -> str:
    ranges, wished = [], []
    for axis, name in enumerate(("quality", "diversity")):
        if wishes[axis] is not None:
            wished.append(f"mean {name} {wishes[axis]:g}")
        alone = np.eye(2)[axis]
        ends = [float(_means(plane, alone * dial)[axis]) for dial in (lowest[axis], MAX_DIAL)]
        ranges.append(f"{name} alone reaches {ends[0]:.3f} to {ends[1]:.3f}")
    return (
        f"no dials give {' and '.join(wished)}; {', '.join(ranges)}, and both at once reach less "
        "where few documents have both"
    )


def _tilt(plane: Plane, other_axis: int, dial: float, *, is_flipped: bool) -> tuple[Floats, Floats]:
    """Return each bin's log mean of x^dial (of (1-x)^dial), and its mean x under that weight."""
    tokens = plane.tokens_BB.sum(axis=other_axis)
    documents = plane.documents_BB.sum(axis=other_axis)
    if is_flipped:
        log_weights, means = _tilt_bins(tokens[::-1], documents[::-1], dial)
        return log_weights[::-1], 1.0 - means[::-1]
    return _tilt_bins(tokens, documents, dial)


def _tilt_bins(
    tokens: npt.NDArray[np.int64], documents: npt.NDArray[np.int64], dial: float
) -> tuple[Floats, Floats]:
    width = 1.0 / NUM_BINS
    nodes, weights = np.polynomial.legendre.leggauss(_NUM_NODES)
    x_BQ = (np.arange(NUM_BINS)[:, None] + (nodes + 1.0) / 2.0) * width
    log_x_BQ = np.log(x_BQ)
    middle = log_x_BQ.mean(axis=1, keepdims=True)
    powers_BQ = weights / 2.0 * np.exp(dial * (log_x_BQ - middle))
    sums = powers_BQ.sum(axis=1)
    log_weights = np.log(sums) + dial * middle[:, 0]
    means = (powers_BQ * x_BQ).sum(axis=1) / sums
    if tokens[0] > 0:
        power, nearest = _local_power(tokens, documents)
        base, tilted = (_log_integral(power + lean, nearest) for lean in (0.0, dial))
        log_weights[0] = dial * math.log(width) + tilted - base
        means[0] = width * math.exp(_log_integral(power + dial + 1.0, nearest) - tilted)
    if tokens[-1] > 0:
        power, nearest = _local_power(tokens[::-1], documents[::-1])
        base, farther = (_log_integral(power + lean, nearest) for lean in (0.0, 1.0))
        means[-1] = 1.0 - width * math.exp(farther - base)
        log_weights[-1] = dial * math.log(means[-1])
    return log_weights, means


def _local_power(
    tokens: npt.NDArray[np.int64], documents: npt.NDArray[np.int64]
) -> tuple[float, float]:
    """Return c of a density t^(c-1) at the end of an axis, and the log of its nearest t."""
    # F(2h) / F(h) = 2^c: two bins against one.
    power = min(_MAX_POWER, max(0.05, math.log2(1.0 + float(tokens[1] / tokens[0]))))
    return power, -math.log(float(documents[0]) + 1.0) / power


def _log_integral(power: float, nearest: float) -> float:
    """Return log of the integral of t^(power - 1) over [exp(nearest), 1], nearest < 0."""
    span = power * nearest
    if abs(span) < 1e-6:
        return math.log(-nearest) + span / 2.0
    if power > 0.0:
        return math.log(-math.expm1(span) / power)
    return span + math.log(-math.expm1(-span) / -power)
