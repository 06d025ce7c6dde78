"""Combine components of diversity into one number: a weighted geometric mean.

Not here: the calibration of the result within a language, which quality shares with diversity.
"""

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy import special

FloatArray = npt.NDArray[np.float64]

LEAST = 1e-9
"""The least that gates leave of a score, so that it stays inside (0, 1)."""


def combine(components: Mapping[str, FloatArray], weights: Mapping[str, float]) -> FloatArray:
    """Return exp(sum_i w_i log c_i / sum_i w_i) for each document: shape (N,), inside (0, 1).

    The result lies between the least and the greatest component of the document, and does not
    depend on the order in which components or weights are named.

    Args:
        components: N values strictly inside (0, 1) for each name.
        weights: At least 0 for each component. 0 leaves a component out, and only such a one may be
            missing from ``components``.

    Raises:
        ValueError: A weight is negative, not finite or for a name that is no component; a component
            has no weight; all weights are 0; shapes differ; or a value is not inside (0, 1).
    """
    _check_weights(components, weights)
    used = sorted(name for name, weight in weights.items() if weight > 0.0)
    shapes = {name: components[name].shape for name in used}
    if len(set(shapes.values())) > 1:
        msg = f"components must have one value for each document; their shapes are {shapes}"
        raise ValueError(msg)
    total = math.fsum(weights[name] for name in used)
    log_mean = np.zeros(next(iter(shapes.values())))
    lowest, highest = np.full_like(log_mean, 1.0), np.zeros_like(log_mean)
    for name in used:
        values = np.asarray(components[name], dtype=np.float64)
        check_inside(name, values)
        log_mean += weights[name] / total * np.log(values)
        lowest, highest = np.minimum(lowest, values), np.maximum(highest, values)
    # A mean lies between; rounding may put it a last bit outside, which next to 1 would be 1.
    return np.clip(np.exp(log_mean), lowest, highest)


def gated(values: FloatArray, gates: Mapping[str, tuple[FloatArray, float]]) -> FloatArray:
    """Return values times each gate's score to the power of its exponent: shape (N,), in (0, 1).

    A calibrated score says where a document stands among its like; a gate says something absolute
    (this is no text; this has been said before), and takes the value to near 0 where it is low.

    Args:
        values: Strictly inside (0, 1).
        gates: N scores strictly inside (0, 1) and an exponent of at least 0, by name.

    Raises:
        ValueError: A value or score is not inside (0, 1).
    """
    check_inside("values", values)
    found = np.log(values)
    for name in sorted(gates):
        scores, exponent = gates[name]
        check_inside(name, scores)
        found = found + exponent * np.log(scores)
    return np.maximum(np.exp(found), LEAST)


def logit(values: FloatArray) -> FloatArray:
    """Return log(x / (1 - x)) of values strictly inside (0, 1), which lie on the whole line.

    Raises:
        ValueError: A value is not inside (0, 1).
    """
    values = np.asarray(values, dtype=np.float64)
    check_inside("logit's argument", values)
    return np.asarray(special.logit(values), dtype=np.float64)


def check_inside(name: str, values: FloatArray) -> None:
    """Refuse values that are not strictly inside (0, 1).

    Args:
        name: What the values are, for the message.
        values: (N,).

    Raises:
        ValueError: With the name, the number of values outside and the first of them.
    """
    is_inside = (values > 0.0) & (values < 1.0)  # false for NaN
    if not is_inside.all():
        first = int(np.argmin(is_inside))
        msg = (
            f"values must lie strictly inside (0, 1); {name!r} has {int((~is_inside).sum())}"
            f" outside, first {float(values[first])!r} at position {first}"
        )
        raise ValueError(msg)


def _check_weights(components: Mapping[str, FloatArray], weights: Mapping[str, float]) -> None:
    for name, weight in weights.items():
        if not (math.isfinite(weight) and weight >= 0.0):
            msg = f"weights must be finite and >= 0; {name!r} has {weight!r}"
            raise ValueError(msg)
        if weight > 0.0 and name not in components:
            msg = f"{name!r} has a weight but is no component; components are {sorted(components)}"
            raise ValueError(msg)
    missing = sorted(set(components) - set(weights))
    if missing:
        msg = f"every component needs a weight (0 leaves it out); {missing} have none"
        raise ValueError(msg)
    if not any(weight > 0.0 for weight in weights.values()):
        msg = f"a weight must be above 0; the weights are {dict(weights)}"
        raise ValueError(msg)
