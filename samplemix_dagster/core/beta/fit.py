"""Fit a bivariate beta to a plane: maximum likelihood for the marginals, rank scores for rho.

The marginals come from exact log-moments, so U-shaped ones are recovered; only rho comes from the
histogram. How well the law describes the plane is :mod:`samplemix_dagster.core.beta.goodness`.

Shape letters: B = bins of one axis, K = Hermite terms.
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import optimize, special

from samplemix_dagster.core.beta.law import BivariateBeta
from samplemix_dagster.core.beta.plane import FIXED_POINT, AxisMoments, Plane
from samplemix_dagster.errors import DegenerateSampleError

Floats = npt.NDArray[np.float64]

MIN_SPREAD = 1e-5  # 1 - exp(mean log x) - exp(mean log(1 - x)): a deviation of about .003
MAX_CORRELATION = 0.999
_NUM_TERMS = 24
_DIGITS = 9  # below this, another machine's digamma may differ; the law is rounded to agree


@dataclass(frozen=True, slots=True, kw_only=True)
class LawFit:
    """A fitted law with what it was fitted on.

    Attributes:
        law: The five parameters.
        standard_errors: One for each parameter, by name, at the effective sample size.
        num_documents: Documents of the plane.
        effective_sample_size: (sum w)^2 / sum w^2, w = tokens of a document.
        num_squeezed: Scores that are exactly 0 or 1.
    """

    law: BivariateBeta
    standard_errors: dict[str, float]
    num_documents: int
    effective_sample_size: float
    num_squeezed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shapes:
    a: float
    b: float
    error_a: float
    error_b: float


def fit_law(plane: Plane) -> LawFit:
    """Fit the law of a corpus, weighting documents by their tokens.

    Standard errors take the plane's effective sample size as the number of observations. For the
    shapes they are the inverse Fisher information; for rho (1 - rho^2) / sqrt(n), which normal
    scores reach: Klaassen & Wellner (1997), "Efficient estimation in the bivariate normal copula
    model", theorem 3.1.

    Args:
        plane: The corpus, or one group of it.

    Raises:
        DegenerateSampleError: There are under two documents, an axis has no spread, or the axes
            are one.
    """
    size = plane.effective_sample_size
    if plane.num_documents < 2 or plane.num_tokens == 0:
        msg = (
            f"a law needs at least two documents with tokens; there are {plane.num_documents:,} "
            f"documents with {plane.num_tokens:,} tokens"
        )
        raise DegenerateSampleError(msg)
    quality = _fit_axis("quality", plane.quality, plane)
    diversity = _fit_axis("diversity", plane.diversity, plane)
    rho = normal_score_correlation(plane.tokens_BB)
    law = BivariateBeta(
        a_quality=_rounded(quality.a),
        b_quality=_rounded(quality.b),
        a_diversity=_rounded(diversity.a),
        b_diversity=_rounded(diversity.b),
        rho=_rounded(rho),
    )
    errors = {
        "a_quality": quality.error_a,
        "b_quality": quality.error_b,
        "a_diversity": diversity.error_a,
        "b_diversity": diversity.error_b,
        "rho": (1.0 - rho * rho) / math.sqrt(size),
    }
    return LawFit(
        law=law,
        standard_errors=errors,
        num_documents=plane.num_documents,
        effective_sample_size=size,
        num_squeezed=plane.num_squeezed,
    )


def uniform_law(plane: Plane) -> LawFit:
    """Return the law that says nothing, for a corpus to which none can be fitted.

    Both marginals are Beta(1, 1), independent: so a dial lies above -1. Weights do not depend on
    the law (docs/decisions/0005).
    """
    law = BivariateBeta(a_quality=1.0, b_quality=1.0, a_diversity=1.0, b_diversity=1.0, rho=0.0)
    return LawFit(
        law=law,
        standard_errors={},
        num_documents=plane.num_documents,
        effective_sample_size=plane.effective_sample_size if plane.num_tokens else 0.0,
        num_squeezed=plane.num_squeezed,
    )


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS - 1}e}")


def _fit_axis(name: str, moments: AxisMoments, plane: Plane) -> _Shapes:
    tokens, documents = plane.num_tokens, plane.num_documents
    mean_log_x = moments.mean_log_x(tokens, documents)
    mean_log_1mx = moments.mean_log_1mx(tokens, documents)
    spread = 1.0 - math.exp(mean_log_x) - math.exp(mean_log_1mx)
    if spread < MIN_SPREAD:
        mean = moments.x / FIXED_POINT / tokens
        msg = (
            f"{name} has no spread: {documents:,} documents lie about {mean:.5f} "
            f"(1 - the two geometric means = {spread:.2e}, at least {MIN_SPREAD:.0e} is needed)"
        )
        raise DegenerateSampleError(msg)
    return _solve_shapes(mean_log_x, mean_log_1mx, plane.effective_sample_size)


def _solve_shapes(mean_log_x: float, mean_log_1mx: float, size: float) -> _Shapes:
    # Johnson, Kotz & Balakrishnan (1995), vol. 2, eq. 25.27 to start; then Newton on
    # psi(a) - psi(a+b) = mean log x, psi(b) - psi(a+b) = mean log(1-x), which is concave.
    geometric = np.exp([mean_log_x, mean_log_1mx])
    shapes = 0.5 + geometric / (2.0 * (1.0 - geometric.sum()))
    means = np.array([mean_log_x, mean_log_1mx])
    for _ in range(200):
        gradient = means - special.digamma(shapes) + special.digamma(shapes.sum())
        step = np.linalg.solve(_information(shapes), gradient)
        while (shapes + step <= 0.0).any():
            step = step / 2.0
        # Half steps until the likelihood no longer falls: far starts of small shapes need it.
        start = _log_likelihood(shapes, means)
        slack = 1e-12 * (1.0 + abs(start))
        while _log_likelihood(shapes + step, means) < start - slack:
            step = step / 2.0
        shapes = shapes + step
        if (np.abs(step) <= 1e-13 * shapes).all():
            break
    covariance = np.linalg.inv(_information(shapes)) / size
    a, b = (float(shape) for shape in shapes)
    error_a, error_b = (float(error) for error in np.sqrt(np.diag(covariance)))
    return _Shapes(a=a, b=b, error_a=error_a, error_b=error_b)


def _information(shapes: Floats) -> Floats:
    shared = special.polygamma(1, shapes.sum())
    information: Floats = np.diag(special.polygamma(1, shapes)) - shared
    return information


def _log_likelihood(shapes: Floats, means: Floats) -> float:
    return float((shapes - 1.0) @ means - special.betaln(shapes[0], shapes[1]))


def normal_score_correlation(tokens_BB: npt.NDArray[np.int64]) -> float:
    """Return the Gaussian copula's correlation from a histogram, with no loss to its bins.

    A row's score is the mean of a standard normal between the row's empirical quantiles, which is
    what midranks become for ties this large. The covariance of two binned scores is
    sum_k g_k h_k rho^k, g and h the Hermite coefficients of the two step functions (Mehler's
    formula); it is solved for rho.

    Args:
        tokens_BB: Token counts, first axis quality.

    Raises:
        DegenerateSampleError: One axis lies in a single bin, or |rho| reaches .999.
    """
    shares_BB = tokens_BB / tokens_BB.sum()
    axes = {"quality": shares_BB.sum(axis=1), "diversity": shares_BB.sum(axis=0)}
    for name, shares in axes.items():
        if np.count_nonzero(shares) < 2:
            row = int(shares.argmax())
            msg = f"{name} lies in one bin of {shares.size} (number {row}): nothing correlates"
            raise DegenerateSampleError(msg)
    scores_q, terms_q = _binned_scores(axes["quality"])
    scores_d, terms_d = _binned_scores(axes["diversity"])
    covariance = float(scores_q @ shares_BB @ scores_d)
    polynomial = np.polynomial.Polynomial(np.concatenate([[0.0], terms_q * terms_d]))

    def excess(rho: float) -> float:
        return float(polynomial(rho)) - covariance

    if excess(-MAX_CORRELATION) >= 0.0 or excess(MAX_CORRELATION) <= 0.0:
        msg = (
            f"quality and diversity are one coordinate: their normal scores have covariance "
            f"{covariance:.4f}, which only |rho| >= {MAX_CORRELATION} gives"
        )
        raise DegenerateSampleError(msg)
    return float(optimize.brentq(excess, -MAX_CORRELATION, MAX_CORRELATION, xtol=1e-14))


def _binned_scores(shares: Floats) -> tuple[Floats, Floats]:
    """Return each bin's mean normal score, and the step function's Hermite coefficients (K,)."""
    cuts = special.ndtri(np.clip(np.cumsum(shares)[:-1], 0.0, 1.0))
    heights = np.where(np.isfinite(cuts), np.exp(-0.5 * cuts**2) / math.sqrt(2.0 * math.pi), 0.0)
    finite = np.where(np.isfinite(cuts), cuts, 0.0)
    falls = -np.diff(np.concatenate([[0.0], heights, [0.0]]))
    scores = np.where(shares > 0.0, falls / np.where(shares > 0.0, shares, 1.0), 0.0)
    # g_k = sum over cuts of (jump of the score) He_(k-1)(cut) phi(cut) / sqrt(k!), by recursion
    # on the orthonormal polynomials h_k = He_k / sqrt(k!).
    jumps = np.diff(scores) * heights
    previous, current = np.zeros_like(finite), np.ones_like(finite)
    terms = []
    for k in range(1, _NUM_TERMS + 1):
        terms.append(float(jumps @ current) / math.sqrt(k))
        previous, current = (
            current,
            (finite * current - math.sqrt(k - 1) * previous) / math.sqrt(k),
        )
    return scores, np.array(terms)
