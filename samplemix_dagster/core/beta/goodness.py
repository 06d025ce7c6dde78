"""How well a fitted law describes its corpus, and what to tell a person when it does not.

Judgement only: weights and budgets never pass through the fitted law's errors, since promises
come from the histogram itself (:mod:`samplemix_dagster.core.mixture.dials`).

Shape letters: B = bins of one axis of the plane, C = bins of the coarse grid.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

from samplemix_dagster.core.beta.fit import LawFit
from samplemix_dagster.core.beta.law import BivariateBeta, Marginal
from samplemix_dagster.core.beta.plane import NUM_BINS, Plane

Floats = npt.NDArray[np.float64]

COARSE_BINS = 16  # at 128 x 128 the total variation is noise
MAX_KS = 0.1
MAX_VARIATION_OVER_FLOOR = 2.0
MAX_SIGNIFICANCE = 0.01
MAX_SQUEEZED_SHARE = 0.01
MIN_SAMPLE_SIZE = 200.0


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginalFit:
    """One coordinate against its fitted beta.

    Attributes:
        ks: Kolmogorov-Smirnov distance, seen at the bin edges: at most one bin's mass too small.
        significance: Asymptotic P(distance >= ks) at the effective sample size. The parameters
            were fitted on the same corpus, so the true one is smaller (Lilliefors).
    """

    ks: float
    significance: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Goodness:
    """How far a law is from a plane.

    Attributes:
        quality: The quality marginal.
        diversity: The diversity marginal.
        total_variation: Half the sum of absolute differences at 16 x 16, in [0, 1].
        total_variation_floor: What a sample of this effective size from the law itself shows.
        mean_log_likelihood_nats: Token-weighted mean log density under the law.
        independence_log_likelihood_nats: The same with rho = 0.
    """

    quality: MarginalFit
    diversity: MarginalFit
    total_variation: float
    total_variation_floor: float
    mean_log_likelihood_nats: float
    independence_log_likelihood_nats: float

    @property
    def dependence_gain_nats(self) -> float:
        """Return what rho adds to the mean log-likelihood; negative: it does harm."""
        return self.mean_log_likelihood_nats - self.independence_log_likelihood_nats


def goodness_of_fit(plane: Plane, law: BivariateBeta) -> Goodness:
    """Compare a law with a corpus.

    The marginals' log-likelihood is exact, from the log-moments; the copula's part is the mean
    log of (cell probability / product of its marginals') over the plane's cells.

    Args:
        plane: The corpus that the law was fitted on, or another one.
        law: The law.

    Raises:
        ValueError: The plane is empty.
    """
    if plane.num_tokens == 0:
        msg = "a law is compared with a plane that has tokens; this one is empty"
        raise ValueError(msg)
    shares_BB = plane.tokens_BB / plane.num_tokens
    size = plane.effective_sample_size
    coarse_CC = _coarse(law.grid_mass(NUM_BINS))
    independence = _marginal_log_likelihood(plane, law)
    return Goodness(
        quality=_marginal_fit(law.quality, shares_BB.sum(axis=1), size),
        diversity=_marginal_fit(law.diversity, shares_BB.sum(axis=0), size),
        total_variation=float(np.abs(_coarse(shares_BB) - coarse_CC).sum() / 2.0),
        total_variation_floor=variation_floor(coarse_CC, size),
        mean_log_likelihood_nats=independence + _copula_log_likelihood(shares_BB, law),
        independence_log_likelihood_nats=independence,
    )


def variation_floor(mass: Floats, sample_size: float) -> float:
    """Return the expected total variation between a law and a sample of it.

    Half the sum of E|p_hat - p|, which a normal approximation puts at sqrt(2 p (1-p) / (pi n))
    and which is never above 2p(1-p): the better of the two where a cell expects under one draw.

    Args:
        mass: Cell probabilities of any shape, sum 1.
        sample_size: n, effective observations.
    """
    normal = np.sqrt(2.0 * mass * (1.0 - mass) / (math.pi * sample_size))
    return float(np.minimum(normal, 2.0 * mass * (1.0 - mass)).sum() / 2.0)


def warnings(goodness: Goodness, fit: LawFit) -> list[str]:
    """Return, in plain words, why the law should not be read as the corpus; empty: it may be."""
    messages = []
    if fit.effective_sample_size < MIN_SAMPLE_SIZE:
        messages.append(
            f"The law rests on {fit.num_documents:,} documents that weigh like "
            f"{fit.effective_sample_size:.0f}; under {MIN_SAMPLE_SIZE:.0f} its shapes are guesses."
        )
    missed = [
        f"{name} by up to {marginal.ks:.0%} of the tokens"
        for name, marginal in (("quality", goodness.quality), ("diversity", goodness.diversity))
        if marginal.ks > MAX_KS and marginal.significance < MAX_SIGNIFICANCE
    ]
    if missed:
        messages.append(
            f"A beta law misses {' and '.join(missed)}. Weights and the budget come "
            "from the histogram and hold; read nothing from the law's shapes."
        )
    if goodness.total_variation > MAX_VARIATION_OVER_FLOOR * goodness.total_variation_floor:
        messages.append(
            f"Both at once misplace {goodness.total_variation:.0%} of the tokens (chance alone "
            f"{goodness.total_variation_floor:.0%}): a ruler, not a portrait."
        )
    if goodness.dependence_gain_nats < 0.0:
        messages.append(
            f"The fitted correlation {fit.law.rho:+.2f} describes the corpus worse than none "
            f"({goodness.dependence_gain_nats:+.4f} nats a token): the dependence has another form."
        )
    squeezed_share = fit.num_squeezed / (2 * fit.num_documents)
    if squeezed_share > MAX_SQUEEZED_SHARE:
        messages.append(
            f"{fit.num_squeezed:,} scores ({squeezed_share:.1%}) are exactly 0 or 1 and were moved "
            "inside: the shapes depend on where to. Look at what gives such scores."
        )
    return messages


def _coarse(cells_BB: Floats) -> Floats:
    width = NUM_BINS // COARSE_BINS
    shape = (COARSE_BINS, width, COARSE_BINS, width)
    coarse_CC: Floats = cells_BB.reshape(shape).sum(axis=(1, 3))
    return coarse_CC


def _marginal_fit(marginal: Marginal, shares: Floats, size: float) -> MarginalFit:
    edges = np.linspace(0.0, 1.0, shares.size + 1)[1:-1]
    ks = float(np.abs(np.cumsum(shares)[:-1] - marginal.cdf(edges)).max())
    return MarginalFit(ks=ks, significance=float(special.kolmogorov(math.sqrt(size) * ks)))


def _marginal_log_likelihood(plane: Plane, law: BivariateBeta) -> float:
    tokens, documents = plane.num_tokens, plane.num_documents
    total = 0.0
    for moments, marginal in ((plane.quality, law.quality), (plane.diversity, law.diversity)):
        total += (marginal.a - 1.0) * moments.mean_log_x(tokens, documents)
        total += (marginal.b - 1.0) * moments.mean_log_1mx(tokens, documents)
        total -= float(special.betaln(marginal.a, marginal.b))
    return total


def _copula_log_likelihood(shares_BB: Floats, law: BivariateBeta) -> float:
    mass_BB = law.grid_mass(NUM_BINS)
    product_BB = np.outer(mass_BB.sum(axis=1), mass_BB.sum(axis=0))
    is_used = shares_BB > 0.0
    # A cell that the law all but excludes counts as the smallest float, not as minus infinity.
    tiny = np.finfo(np.float64).tiny
    ratios = np.log(np.maximum(mass_BB[is_used], tiny))
    ratios -= np.log(np.maximum(product_BB[is_used], tiny))
    return float(shares_BB[is_used] @ ratios)
