"""Maps from a robust z to a score strictly inside (0, 1), one for each direction of "good".

Where z comes from is ``calibration.py``, or :class:`Middle` where there are no groups.

Shape letters: N = documents.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

_SMALLEST = float(np.finfo(np.float64).tiny)
_LARGEST = float(np.nextafter(1.0, 0.0))
_MARGIN = 1e-5  # outlives rounding to five significant digits


@dataclass(frozen=True, slots=True, kw_only=True)
class Band:
    """The best values of z are near a centre; half a width's score at ``width`` from it."""

    centre: float
    width: float

    def __post_init__(self) -> None:
        """Refuse a band without width."""
        if not (np.isfinite([self.centre, self.width]).all() and self.width > 0):
            msg = f"a band needs a finite centre and width > 0, not {self.centre}, {self.width}"
            raise ValueError(msg)


Direction = Literal["low", "high"] | Band


def logistic_asinh(z: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return 1 / (1 + z + sqrt(1 + z^2)) = logistic(-asinh z): low z is good.

    Falls from 1 to 0 with tails of 1 / (2 |z|), strictly inside (0, 1): beyond |z| of about 1e15,
    infinities included, it stays at the floats next to the ends. NaN stays NaN.
    """
    magnitude = np.abs(z)
    with np.errstate(over="ignore"):
        # exp(asinh |z|): a sum of positive terms, so no digits cancel on either side.
        growth = magnitude + np.hypot(1.0, magnitude)
        result = np.where(z > 0, 1.0 / (1.0 + growth), 1.0 / (1.0 + 1.0 / growth))
    return np.clip(result, _SMALLEST, _LARGEST)


def score(z: npt.NDArray[np.float64], direction: Direction) -> npt.NDArray[np.float64]:
    """Return the score in (0, 1) of each robust z, shape (N,).

    ``low``: :func:`logistic_asinh` of z. ``high``: one less that, which is that of -z. A band:
    with t = |z - centre| / width, :func:`logistic_asinh` of t - 1 / t, which is 1 at the centre,
    falls with the distance, is 1/2 at t = 1, and has the tails of ``low``.
    """
    if direction == "low":
        return logistic_asinh(z)
    if direction == "high":
        return logistic_asinh(-z)
    with np.errstate(divide="ignore", over="ignore"):
        distance = np.abs(z - direction.centre) / direction.width
        return logistic_asinh(distance - 1.0 / distance)


@dataclass(frozen=True, slots=True, kw_only=True)
class Middle:
    """What values are measured against: their median, and a robust standard deviation."""

    median: float
    scale: float

    @classmethod
    def of(cls, values: npt.NDArray[np.float64]) -> "Middle":
        """Return the middle of the values that are numbers; 0 and 1 where there is none.

        The scale is 1.4826 x the median absolute deviation, or 1 where that is 0.
        """
        values = values[np.isfinite(values)]
        if not len(values):
            return cls(median=0.0, scale=1.0)
        median = float(np.median(values))
        scale = 1.4826 * float(np.median(np.abs(values - median)))
        return cls(median=median, scale=scale if scale > 0.0 else 1.0)

    def low_scores(self, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Return scores that are high for low values: (N,), 1/2 at the median and for NaN."""
        z = np.nan_to_num((values - self.median) / self.scale, nan=0.0)
        return np.clip(score(z, "low"), _MARGIN, 1.0 - _MARGIN)
