"""Median and scale of a histogram, linear inside its bins."""

import numpy as np
import numpy.typing as npt

# A normal distribution's standard deviation is 1.4826 of its median absolute deviation, and
# sqrt(pi / 2) of its mean absolute deviation.
_MAD_TO_SIGMA = 1.4826


# Half the weight inside one bin gives a MAD of up to a bin; a little more leaves room for rounding.
UNRESOLVED_BINS = 1.0 + 1e-9


def median_and_scale(
    weights: npt.NDArray[np.int64], edges: npt.NDArray[np.float64]
) -> tuple[float, float | None]:
    """Return the median and 1.4826 MAD, linear inside bins; no scale where no bin resolves it."""
    mass = np.concatenate([[0], np.cumsum(weights)]).astype(np.float64)
    median = _middle(edges, mass)
    # The mass within a distance of the median bends only where either end meets an edge.
    distances = np.unique(np.concatenate([[0.0], np.abs(edges - median)]))
    within = np.interp(median + distances, edges, mass)
    within -= np.interp(median - distances, edges, mass)
    mad = _middle(distances, np.maximum.accumulate(within))
    is_resolved = mad > UNRESOLVED_BINS * (edges[1] - edges[0])
    return median, _MAD_TO_SIGMA * mad if is_resolved else None


def _middle(knots: npt.NDArray[np.float64], mass: npt.NDArray[np.float64]) -> float:
    """Return where a piecewise linear, non-decreasing mass passes its half; a flat's midpoint."""
    crossings = []
    # Rounding must not decide at which end of a flat stretch the half is passed.
    for level in ((0.5 - 1e-12) * mass[-1], (0.5 + 1e-12) * mass[-1]):
        after = int(np.searchsorted(mass, level))
        share = (level - mass[after - 1]) / (mass[after] - mass[after - 1])
        crossings.append(knots[after - 1] + share * (knots[after] - knots[after - 1]))
    return float(0.5 * (crossings[0] + crossings[1]))


def mean_absolute_deviation(
    weights: npt.NDArray[np.int64], edges: npt.NDArray[np.float64], centre: float
) -> float:
    """Return the mean distance from the median, weights even inside each bin."""
    left, right = edges[:-1] - centre, edges[1:] - centre
    # The integral of |x| over a bin is a difference of x |x| / 2.
    means = (right * np.abs(right) - left * np.abs(left)) / (2.0 * (right - left))
    return float(np.average(means, weights=weights))
