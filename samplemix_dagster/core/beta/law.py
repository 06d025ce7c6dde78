"""The bivariate beta: a law of (quality, diversity) with beta marginals and a Gaussian copula.

The copula carries dependence of either sign and leaves the marginals free. Estimating the five
parameters is :mod:`samplemix_dagster.core.beta.fit`.

Shape letters: B = bins of one axis, N = documents, Q = quadrature nodes, E = bin edges (B + 1).
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt
from scipy import special

Floats = npt.NDArray[np.float64]

_NUM_NODES = 48
_FAR = 9.0  # standard deviations; 1e-19 of the mass lies beyond
_DEEP_TAIL = 1e-280


@dataclass(frozen=True, slots=True, kw_only=True)
class Marginal:
    """A beta law of one coordinate: density x^(a-1) (1-x)^(b-1) / B(a, b)."""

    a: float
    b: float

    @property
    def mean(self) -> float:
        """Return a / (a + b)."""
        return self.a / (self.a + self.b)

    def log_density(self, values: Floats) -> Floats:
        """Return the log density in nats at values strictly inside (0, 1)."""
        powers = special.xlogy(self.a - 1.0, values) + special.xlog1py(self.b - 1.0, -values)
        result: Floats = powers - special.betaln(self.a, self.b)
        return result

    def cdf(self, values: Floats) -> Floats:
        """Return the probability below each value in [0, 1]."""
        result: Floats = special.betainc(self.a, self.b, values)
        return result

    def normal_scores(self, values: Floats) -> Floats:
        """Return Phi^-1(F(x)) for values strictly inside (0, 1), finite in both tails."""
        below = special.betainc(self.a, self.b, values)
        above = special.betaincc(self.a, self.b, values)
        scores: Floats = np.where(below < 0.5, special.ndtri(below), -special.ndtri(above))
        for tail, sign in ((below, 1.0), (above, -1.0)):
            is_deep = tail < _DEEP_TAIL
            if is_deep.any():
                log_tail = self._log_tail(values[is_deep], is_lower=sign > 0)
                scores[is_deep] = sign * special.ndtri_exp(log_tail)
        return scores

    def _log_tail(self, values: Floats, *, is_lower: bool) -> Floats:
        # DLMF 8.17.7: I_x(a,b) = x^a (1-x)^b / (a B(a,b)) F(a+b, 1; a+1; x).
        a, b = (self.a, self.b) if is_lower else (self.b, self.a)
        log_x, log_1mx = np.log(values), np.log1p(-values)
        if not is_lower:
            log_x, log_1mx, values = log_1mx, log_x, 1.0 - values
        series = np.log(special.hyp2f1(a + b, 1.0, a + 1.0, values))
        result: Floats = a * log_x + b * log_1mx - math.log(a) - special.betaln(a, b) + series
        return result

    def from_normal_scores(self, scores: Floats) -> Floats:
        """Return F^-1(Phi(z)): the inverse of :meth:`normal_scores`."""
        lower = special.betaincinv(self.a, self.b, special.ndtr(np.minimum(scores, 0.0)))
        upper = special.betainccinv(self.a, self.b, special.ndtr(-np.maximum(scores, 0.0)))
        result: Floats = np.where(scores < 0.0, lower, upper)
        return result


@dataclass(frozen=True, slots=True, kw_only=True)
class BivariateBeta:
    """Beta marginals joined by a Gaussian copula.

    Attributes:
        a_quality: First shape of quality, above 0; more of it moves mass towards 1.
        b_quality: Second shape of quality, above 0.
        a_diversity: First shape of diversity, above 0.
        b_diversity: Second shape of diversity, above 0.
        rho: Correlation of the normal scores, strictly inside (-1, 1).
    """

    a_quality: float
    b_quality: float
    a_diversity: float
    b_diversity: float
    rho: float

    def __post_init__(self) -> None:
        shapes = (self.a_quality, self.b_quality, self.a_diversity, self.b_diversity)
        if not all(0.0 < shape < math.inf for shape in shapes):
            msg = f"the shapes of a beta law are positive and finite, not {shapes}"
            raise ValueError(msg)
        if not -1.0 < self.rho < 1.0:
            msg = f"the copula's correlation lies strictly inside (-1, 1), not {self.rho}"
            raise ValueError(msg)

    @property
    def quality(self) -> Marginal:
        """Return the law of quality alone."""
        return Marginal(a=self.a_quality, b=self.b_quality)

    @property
    def diversity(self) -> Marginal:
        """Return the law of diversity alone."""
        return Marginal(a=self.a_diversity, b=self.b_diversity)

    def log_density(self, quality: Floats, diversity: Floats) -> Floats:
        """Return log f in nats: the marginals' log densities and the copula's.

        The copula's is -1/2 log(1 - r^2) - (r^2 (z1^2 + z2^2) - 2 r z1 z2) / (2 (1 - r^2)):
        Song (2000), "Multivariate dispersion models generated from Gaussian copula", eq. 7.

        Args:
            quality: N values strictly inside (0, 1).
            diversity: N values strictly inside (0, 1).

        Raises:
            ValueError: A value is not strictly inside (0, 1): squeeze it first.
        """
        for values in (quality, diversity):
            if not ((values > 0.0) & (values < 1.0)).all():
                msg = "a log density is taken strictly inside (0, 1): squeeze exact 0 and 1 first"
                raise ValueError(msg)
        z1, z2 = self.quality.normal_scores(quality), self.diversity.normal_scores(diversity)
        r, rest = self.rho, 1.0 - self.rho**2
        copula = -0.5 * math.log(rest) - (r * r * (z1 * z1 + z2 * z2) - 2.0 * r * z1 * z2) / (
            2.0 * rest
        )
        marginals = self.quality.log_density(quality) + self.diversity.log_density(diversity)
        return marginals + copula

    def grid_mass(self, num_bins: int) -> Floats:
        """Return the probability of each cell of an equal grid: shape (B, B), sum 1.

        Rows (quality) are integrated over normal scores by Gauss-Legendre; each row's sum is the
        marginal's own mass.

        Args:
            num_bins: Bins of each axis.
        """
        edges = np.linspace(0.0, 1.0, num_bins + 1)
        row_edges, column_edges = np.full((2, num_bins + 1), _FAR)
        row_edges[0] = column_edges[0] = -_FAR
        row_edges[1:-1] = self.quality.normal_scores(edges[1:-1]).clip(-_FAR, _FAR)
        column_edges[1:-1] = self.diversity.normal_scores(edges[1:-1])
        column_edges[[0, -1]] = -np.inf, np.inf
        nodes, weights = np.polynomial.legendre.leggauss(_NUM_NODES)
        halves = np.diff(row_edges) / 2.0
        z_BQ = (row_edges[:-1] + halves)[:, None] + halves[:, None] * nodes
        density_BQ = weights * halves[:, None] * np.exp(-0.5 * z_BQ**2)
        spread = math.sqrt(1.0 - self.rho**2)
        below_BQE = special.ndtr((column_edges - self.rho * z_BQ[:, :, None]) / spread)
        cells_BB = np.einsum("bq,bqc->bc", density_BQ, np.diff(below_BQE, axis=2))
        sums = cells_BB.sum(axis=1, keepdims=True)
        rows = np.diff(self.quality.cdf(edges))[:, None]
        mass_BB: Floats = np.where(sums > 0.0, cells_BB / np.where(sums > 0.0, sums, 1.0), 0.0)
        mass_BB *= rows
        mass_BB /= mass_BB.sum()
        return mass_BB

    def diversity_given_quality(self, quality: Floats, luck: Floats) -> Floats:
        """Return draws of diversity where quality is known: F2^-1(Phi(r z1 + sqrt(1-r^2) e)).

        Args:
            quality: N values strictly inside (0, 1).
            luck: N uniforms strictly inside (0, 1).
        """
        noise = math.sqrt(1.0 - self.rho**2) * special.ndtri(luck)
        scores = self.rho * self.quality.normal_scores(quality) + noise
        return self.diversity.from_normal_scores(scores)

    def sample(self, luck_N2: Floats) -> Floats:
        """Return draws of (quality, diversity): shape (N, 2), inside [0, 1].

        A shape far below 1 puts mass nearer to an end than a float can stand: such a draw is 0
        or 1.

        Args:
            luck_N2: Two independent uniforms strictly inside (0, 1) for each draw.
        """
        z1 = special.ndtri(luck_N2[:, 0])
        z2 = self.rho * z1 + math.sqrt(1.0 - self.rho**2) * special.ndtri(luck_N2[:, 1])
        pair = (self.quality.from_normal_scores(z1), self.diversity.from_normal_scores(z2))
        return np.stack(pair, axis=1)

    def to_json(self) -> dict[str, float]:
        """Return the five parameters as a JSON object."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, float]) -> "BivariateBeta":
        """Return the law that :meth:`to_json` wrote.

        Raises:
            ValueError: A parameter is missing, unknown or out of range.
        """
        names = set(cls.__slots__)
        if set(value) != names:
            msg = f"a bivariate beta has the parameters {sorted(names)}, not {sorted(value)}"
            raise ValueError(msg)
        return cls(**{name: float(number) for name, number in value.items()})
