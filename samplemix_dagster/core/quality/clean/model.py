"""From measures to the chance of being text: a logistic model in steps that cannot be rewarded.

Each measure x has a range in which text of any kind lies. Inside, it counts by a slope, cut off at
2.5 deviations; how far it lies outside of the range, on a logarithmic scale, only ever counts
against a document. So what is unlike anything that was learned from is not taken for text.

The coefficients that come along are from ``tools/learn_clean.py``, which says how.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

CUT = 2.5
"""Deviations from the centre at which a measure's slope ends."""
_FLOOR = 1e-4


@dataclass(frozen=True, slots=True, kw_only=True)
class CleanModel:
    """M measures' ranges and weights.

    Attributes:
        measures: Their names: (M,).
        centre: What is usual: (M,).
        scale: A deviation: (M,), above 0.
        lower: Least value of the range of text: (M,).
        upper: Greatest: (M,).
        slope: Weight of the standardised value: (M,).
        below: Weight of ln(1 + deviations below the range): (M,), none above 0.
        above: Weight of ln(1 + deviations above it): (M,), none above 0.
        bias: The log odds where nothing counts.
    """

    measures: Sequence[str]
    centre: Sequence[float]
    scale: Sequence[float]
    lower: Sequence[float]
    upper: Sequence[float]
    slope: Sequence[float]
    below: Sequence[float]
    above: Sequence[float]
    bias: float

    def log_odds(self, values: Floats) -> Floats:
        """Return ln(p / (1 - p)) of N documents' measures: (N, M) to (N,)."""
        weights = np.concatenate([self.slope, self.below, self.above])
        terms = steps(values, self.centre, self.scale, self.lower, self.upper)
        return np.asarray(self.bias + (terms * weights).sum(axis=1), dtype=np.float64)

    def rows(self, found: Sequence[Mapping[str, float]]) -> Floats:
        """Return N documents' measures in the model's order: (N, M)."""
        return np.array([[one[name] for name in self.measures] for one in found]).reshape(
            len(found), len(self.measures)
        )

    def score(self, found: Sequence[Mapping[str, float]]) -> Floats:
        """Return the chance of being text of N documents, inside (0, 1): (N,)."""
        with np.errstate(over="ignore"):
            chance = 1.0 / (1.0 + np.exp(-self.log_odds(self.rows(found))))
        return np.asarray(np.clip(chance, _FLOOR, 1.0 - _FLOOR), dtype=np.float64)

    def to_json(self) -> dict[str, object]:
        """Return plain values for JSON."""
        return asdict(self)


def steps(
    values: Floats,
    centre: Sequence[float] | Floats,
    scale: Sequence[float] | Floats,
    lower: Sequence[float] | Floats,
    upper: Sequence[float] | Floats,
) -> Floats:
    """Return the terms of the model: (N, M) to (N, 3 M), standardised values, below, above."""
    deviations = np.asarray(scale)
    inside = np.clip((values - np.asarray(centre)) / deviations, -CUT, CUT)
    below = np.log1p(np.maximum(0.0, (np.asarray(lower) - values) / deviations))
    above = np.log1p(np.maximum(0.0, (values - np.asarray(upper)) / deviations))
    return np.concatenate([inside, below, above], axis=1)
