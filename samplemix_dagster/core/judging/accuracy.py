"""How often an answer is found likelier than the other options, and paired differences of that.

Shape letters: S = seeds, O = options, I = items.
"""

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.judging.paired import Difference, GroupLosses, paired_difference

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_ALIKE = 1e-6
"""Nats per byte: losses are kept to so many digits."""
_BIT = float(np.log(2.0))


def right_answers(nats_SO: Floats, bytes_O: Integers, begins_I: Integers) -> Floats:
    """Return what is right of each item, by seed: 1, 0, or a share where options tie: (S, I).

    The option that loses the fewest nats per byte is taken, as longer ones lose more in all. Of n
    options that are alike, one is taken by chance: 1/n is right where the answer is one of them, so
    half of two.

    Args:
        nats_SO: Loss of each seed's learner on each option.
        bytes_O: UTF-8 bytes of each option, above 0.
        begins_I: Where each item's options begin; the first one is the answer.
    """
    per_byte_SO = nats_SO / bytes_O
    least_SI = np.minimum.reduceat(per_byte_SO, begins_I, axis=1)
    counts_I = _counts(begins_I, bytes_O.size)
    is_least_SO = per_byte_SO <= np.repeat(least_SI, counts_I, axis=1) + _ALIKE
    found: Floats = is_least_SO[:, begins_I] / np.add.reduceat(
        is_least_SO.astype(np.float64), begins_I, axis=1
    )
    return found


def chance(begins_I: Integers, num_options: int) -> float:
    """Return the accuracy of who knows nothing."""
    return float((1.0 / _counts(begins_I, num_options)).mean())


def accuracy_difference(arm_SI: Floats, baseline_SI: Floats) -> Difference:
    """Return an arm's accuracy less the baseline's, with the interval that losses have.

    Above 0 the arm answers better, so its ``verdict``, which is of losses, is the contrary.
    """
    arm, baseline = ({"": _counted(found)} for found in (arm_SI, baseline_SI))
    return paired_difference(arm, baseline, [""])


def _counted(right_SI: Floats) -> GroupLosses:
    """Return what is right as bits of items of one byte, so that bits per byte are the accuracy."""
    ones = np.ones(right_SI.shape[1], dtype=np.int64)
    return GroupLosses(nats_SD=right_SI * _BIT, bytes_D=ones)


def _counts(begins_I: Integers, num_options: int) -> Integers:
    return np.diff(np.append(begins_I, num_options))
