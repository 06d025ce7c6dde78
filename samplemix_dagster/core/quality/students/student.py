"""A student: ridge regression that learns a reference's bits per byte from a sample of texts.

Ridge regression has one solution in closed form, found by Cholesky in the smaller of its two forms
(Hastie, Tibshirani & Friedman, *The Elements of Statistical Learning*, 2nd edition, sections 3.4.1
and 18.3.5). The penalty is that with the least error on texts that are held out. A second target is
how far off the student was on held-out texts, so that it says of a new one how unsure it is.

What is told of its agreement is cross-fitted: the texts are dealt into folds by hash, and each is
predicted by a student that has seen no text of its fold.

Shape letters: N = texts, H = hashed columns, S = measures, D = all columns, R = 2 targets.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.hashing import round_significant
from samplemix_dagster.core.quality.students.student_features import TextFeatures

NUM_FOLDS = 4
_PENALTIES = (0.1, 0.3, 1.0, 3.0)
"""On columns of which a text's have length 1, about, in each of three kinds."""
_FARTHEST = 4.0
"""Standard deviations at which a measure is cut, so that one odd text leads to no odd score."""
_LEAST_BITS, _MOST_BITS = 0.02, 16.0

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Student:
    """What was learnt.

    Attributes:
        weights_DR: Weight of each column for bits per byte, and for how far off they may be.
        offsets_R: What is added to both.
        mean_S: Mean of each measure over the sample.
        scale_S: Its standard deviation there; 1 where it has none.
    """

    weights_DR: Floats
    offsets_R: Floats
    mean_S: Floats
    scale_S: Floats

    def predict(self, seen: TextFeatures) -> tuple[Floats, Floats]:
        """Return bits per byte of N texts, and how far off those may be (mean absolute error)."""
        found_NR = _columns(seen, self.mean_S, self.scale_S) @ self.weights_DR + self.offsets_R
        bits = np.clip(found_NR[:, 0], _LEAST_BITS, _MOST_BITS)
        return bits, np.maximum(found_NR[:, 1], 0.0)

    def to_arrays(self) -> dict[str, Floats]:
        """Return the arrays that it is made of."""
        return {name: getattr(self, name) for name in _ARRAYS}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[np.generic]]) -> "Student":
        """Return the student that some arrays are."""
        return cls(**{name: np.asarray(arrays[name], dtype=np.float64) for name in _ARRAYS})


_ARRAYS = ("weights_DR", "offsets_R", "mean_S", "scale_S")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Taught:
    """A student, and what students that had not seen a text said of it.

    Attributes:
        student: Learnt from all N texts.
        held_out_N: Bits per byte of each text, by a student that had not seen its fold.
        unsure_N: How far off it would be, by one that had not seen its fold either.
        penalty: The penalty of all of them.
    """

    student: Student
    held_out_N: Floats
    unsure_N: Floats
    penalty: float


def teach(seen: TextFeatures, bits_N: Floats, luck_N: Floats) -> Taught:
    """Learn bits per byte from N texts.

    Weights are rounded to five significant digits, so that another machine's last bits of a sum
    change no score.

    Args:
        seen: What the student sees of the texts.
        bits_N: What the reference says of them.
        luck_N: Their luck in (0, 1), which deals them into folds.
    """
    mean_S = round_significant(seen.measures_NS.mean(axis=0))
    scale_S = round_significant(seen.measures_NS.std(axis=0))
    scale_S[scale_S == 0] = 1.0
    columns_ND = _columns(seen, mean_S, scale_S)
    folds = np.floor(luck_N * NUM_FOLDS).astype(np.int64)
    tried = [(_held_out(columns_ND, bits_N, folds, one), one) for one in _PENALTIES]
    held_out, penalty = min(tried, key=lambda item: float(((item[0] - bits_N) ** 2).sum()))
    off_N = np.abs(held_out - bits_N)
    unsure = np.maximum(_held_out(columns_ND, off_N, folds, penalty), 0.0)
    weights_DR, offsets_R = _ridge(columns_ND, np.stack([bits_N, off_N], axis=1), penalty)
    student = Student(
        weights_DR=round_significant(weights_DR.ravel()).reshape(weights_DR.shape),
        offsets_R=round_significant(offsets_R),
        mean_S=mean_S,
        scale_S=scale_S,
    )
    held_out = np.clip(held_out, _LEAST_BITS, _MOST_BITS)
    return Taught(student=student, held_out_N=held_out, unsure_N=unsure, penalty=penalty)


def _columns(seen: TextFeatures, mean_S: Floats, scale_S: Floats) -> Floats:
    """Return all columns of N texts, shape (N, D): hashed ones, measures, and their squares."""
    measures_NS = np.clip((seen.measures_NS - mean_S) / scale_S, -_FARTHEST, _FARTHEST)
    both = np.concatenate([measures_NS, measures_NS**2], axis=1) / np.sqrt(2 * mean_S.size)
    return np.concatenate([seen.hashed_NH, both], axis=1)


def _held_out(
    columns_ND: Floats, target_N: Floats, folds: npt.NDArray[np.int64], penalty: float
) -> Floats:
    """Return each text's target by a student that has not seen its fold."""
    found = np.zeros(target_N.size)
    for fold in range(NUM_FOLDS):
        mine = folds == fold
        weights_DR, offsets_R = _ridge(columns_ND[~mine], target_N[~mine, None], penalty)
        found[mine] = (columns_ND[mine] @ weights_DR + offsets_R)[:, 0]
    return found


def _ridge(columns_ND: Floats, targets_NR: Floats, penalty: float) -> tuple[Floats, Floats]:
    """Return the weights (D, R) and offsets (R,) with the least penalised squares."""
    from scipy.linalg import solve

    num_texts, num_columns = columns_ND.shape
    if num_texts == 0:
        return np.zeros((num_columns, targets_NR.shape[1])), np.zeros(targets_NR.shape[1])
    mean_D, mean_R = columns_ND.mean(axis=0), targets_NR.mean(axis=0)
    centred_ND, wanted_NR = columns_ND - mean_D, targets_NR - mean_R
    is_wide = num_texts <= num_columns
    square = centred_ND @ centred_ND.T if is_wide else centred_ND.T @ centred_ND
    square[np.diag_indices_from(square)] += penalty
    if is_wide:
        weights_DR = centred_ND.T @ solve(square, wanted_NR, assume_a="pos", overwrite_a=True)
    else:
        weights_DR = solve(square, centred_ND.T @ wanted_NR, assume_a="pos", overwrite_a=True)
    return weights_DR, mean_R - mean_D @ weights_DR
