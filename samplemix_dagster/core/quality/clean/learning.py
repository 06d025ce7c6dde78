"""Learn the model of ``clean`` from measured documents that are known to be text or junk.

Shape letters: N = documents, M = measures.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize

from samplemix_dagster.core.quality.clean.model import CleanModel, steps

Floats = npt.NDArray[np.float64]

_OUTSIDE = 0.03
_OUTSIDE_WEIGHT = -0.5
_PULL_OF_SLOPES = 3e-3
_PULL_OF_SIDES = 3e-4
_LEAST_SCALE = 1e-3
_EIGHTY_PER_CENT = 2.563
"""Standard deviations between the tenth and the ninetieth percentile of a normal distribution."""
_DIGITS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """Documents to learn from.

    Attributes:
        values: Their measures: (N, M).
        sources: Where each stands: (N,).
        kinds: ``clean``, or the kind of junk: (N,).
    """

    values: Floats
    sources: npt.NDArray[np.str_]
    kinds: npt.NDArray[np.str_]

    @property
    def is_clean(self) -> npt.NDArray[np.bool_]:
        """Whether each is text: (N,)."""
        return np.asarray(self.kinds == "clean")

    def select(self, chosen: npt.NDArray[np.bool_]) -> "Labelled":
        """Return the chosen documents."""
        return Labelled(
            values=self.values[chosen], sources=self.sources[chosen], kinds=self.kinds[chosen]
        )


def learn(measures: Sequence[str], documents: Labelled) -> CleanModel:
    """Fit ranges to the text, and weights to text against junk.

    Every source counts alike; of each, text counts as much as all its junk, and each kind as much
    as another. The range of a measure is that of the middle 94 % of all text, sources alike. The
    weights minimise the log loss plus a pull: slopes to 0, what lies outside of a range to -0.5, so
    that what no kind of junk has shown to be harmless counts against a document.

    Args:
        measures: M names.
        documents: Of both labels.
    """
    ranges = _ranges(documents)
    terms = steps(documents.values, *ranges)
    signs = np.where(documents.is_clean, 1.0, -1.0)
    found = _minimum(terms, signs, _weights(documents), len(measures))
    slope, below, above = np.split(found[1:], 3)
    centre, scale, lower, upper = ranges
    return CleanModel(
        measures=list(measures),
        centre=_rounded(centre),
        scale=_rounded(scale),
        lower=_rounded(lower),
        upper=_rounded(upper),
        slope=_rounded(slope),
        below=_rounded(below),
        above=_rounded(above),
        bias=_rounded(found[:1])[0],
    )


def _ranges(documents: Labelled) -> tuple[Floats, Floats, Floats, Floats]:
    """Return centre, scale, lower and upper of each measure, each source's text counting alike."""
    text = documents.select(documents.is_clean)
    grid = np.linspace(0.0, 1.0, 401)
    by_source = [
        np.quantile(text.values[text.sources == source], grid, axis=0)
        for source in np.unique(text.sources)
    ]
    pooled = np.concatenate(by_source).astype(np.float64)
    low, tenth, middle, ninetieth, high = np.quantile(
        pooled, (_OUTSIDE, 0.1, 0.5, 0.9, 1.0 - _OUTSIDE), axis=0
    )
    scale = np.maximum((ninetieth - tenth) / _EIGHTY_PER_CENT, _LEAST_SCALE)
    return middle, scale, low, high


def _weights(documents: Labelled) -> Floats:
    weights = np.zeros(len(documents.kinds))
    for source in np.unique(documents.sources):
        here = documents.sources == source
        kinds = np.unique(documents.kinds[here & ~documents.is_clean])
        for kind in np.unique(documents.kinds[here]):
            chosen = here & (documents.kinds == kind)
            weights[chosen] = (1.0 if kind == "clean" else 1.0 / len(kinds)) / chosen.sum()
    return np.asarray(weights / weights.sum(), dtype=np.float64)


def _minimum(terms: Floats, signs: Floats, weights: Floats, num_measures: int) -> Floats:
    """Return bias and weights of least penalised log loss; outside of ranges none is above 0."""
    aims = np.concatenate([np.zeros(num_measures), np.full(2 * num_measures, _OUTSIDE_WEIGHT)])
    pulls = np.concatenate(
        [np.full(num_measures, _PULL_OF_SLOPES), np.full(2 * num_measures, _PULL_OF_SIDES)]
    )

    def loss(point: Floats) -> tuple[float, Floats]:
        margins = signs * (point[0] + terms @ point[1:])
        slopes = -signs * weights * np.exp(-np.logaddexp(0.0, margins))
        away = point[1:] - aims
        value = float((weights * np.logaddexp(0.0, -margins)).sum() + (pulls * away**2).sum())
        return value, np.concatenate([[slopes.sum()], terms.T @ slopes + 2.0 * pulls * away])

    bounds = [(None, None)] * (1 + num_measures) + [(None, 0.0)] * (2 * num_measures)
    start = np.concatenate([[1.0], aims])
    found = minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 2_000}
    )
    return np.asarray(found.x, dtype=np.float64)


def _rounded(values: Floats) -> list[float]:
    return [float(f"{value:.{_DIGITS - 1}e}") for value in values]
