"""How much a text resembles good examples: logistic regression on hashed words and pairs.

Two models are learned, each on half of the examples and of the texts that they are told from. A
text is scored by the model that has not seen it, and so is what says how well they tell.

Shape letters: N = texts, F = features.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.quality.clean.shape import grams, parse

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

BITS = 18
"""Features are 2^18 slots."""
_PENALTY = 0.1
"""Of squared weights, on unit vectors; 1 / C as scikit-learn names it."""
_STEPS = 500
_FEWEST_OF_A_HALF = 5

Floats = npt.NDArray[np.float64]
Folds = npt.NDArray[np.int8]
Arrays = Mapping[str, npt.NDArray[np.generic]]


class TooFewExamplesError(Exception):
    """A half has too few texts of a side to learn from."""


def resemblance_features(texts: Sequence[str]) -> "csr_matrix":
    """Return square roots of counts of hashed words and pairs, each text a unit vector: (N, F).

    Case and digits are folded. Of a text its first 20,000 characters are read; one without a word
    is all zeros.
    """
    from scipy.sparse import csr_matrix

    columns, values, ends = [], [], [0]
    for text in texts:
        words = parse(text).words
        hashes = np.concatenate([words, grams(words, 2)])
        slots, counts = np.unique(hashes >> np.uint64(64 - BITS), return_counts=True)
        weights = np.sqrt(counts.astype(np.float64))
        columns.append(slots.astype(np.int64))
        values.append(weights / max(1.0, float(np.linalg.norm(weights))))
        ends.append(ends[-1] + slots.size)
    if not texts:
        return csr_matrix((0, 1 << BITS))
    parts = (np.concatenate(values), np.concatenate(columns), np.array(ends))
    return csr_matrix(parts, shape=(len(texts), 1 << BITS))


@dataclass(frozen=True, slots=True, eq=False)
class Resemblance:
    """Two models.

    Attributes:
        weights: Of the model that has not seen fold 0, and of the one without fold 1: (2, F).
        biases: Likewise, (2,).
    """

    weights: npt.NDArray[np.float32]
    biases: Floats

    def to_arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return what a file holds."""
        return {"weights": self.weights, "biases": self.biases}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> "Resemblance":
        """Return what :meth:`to_arrays` was given."""
        return cls(arrays["weights"].astype(np.float32), arrays["biases"].astype(np.float64))

    def scores(self, features_NF: "csr_matrix", folds: Folds) -> Floats:
        """Return the chance of each text to be an example, were there as many of both: (N,).

        Args:
            features_NF: As :func:`resemblance_features` gives them.
            folds: The half, 0 or 1, that each text belongs to.
        """
        both_N2 = features_NF @ self.weights.astype(np.float64).T + self.biases
        logits = both_N2[np.arange(folds.size), folds]
        chances: Floats = 1.0 / (1.0 + np.exp(-np.clip(logits, -30.0, 30.0)))
        return np.clip(chances, 1e-5, 1.0 - 1e-5)


def learn_resemblance(
    features_NF: "csr_matrix", is_example: npt.NDArray[np.bool_], folds: Folds
) -> Resemblance:
    """Learn to tell examples from others, for each half on the other one.

    Both sides weigh the same, however many there are. The optimum is one (the loss is convex), so
    no seed and no order is in it, but for the last digits of sums.

    Args:
        features_NF: Of examples and others.
        is_example: Which are which, (N,).
        folds: The half of each, (N,).

    Raises:
        TooFewExamplesError: A half has fewer than five texts of a side.
    """
    from sklearn.linear_model import LogisticRegression

    weights, biases = [], []
    for fold in (0, 1):
        seen = folds != fold
        for side, name in ((is_example, "examples"), (~is_example, "other documents")):
            if (found := int((side & seen).sum())) < _FEWEST_OF_A_HALF:
                raise TooFewExamplesError(
                    f"a half of the {name} has {found} texts, and {_FEWEST_OF_A_HALF} are the least"
                )
        model = LogisticRegression(
            C=1.0 / _PENALTY, class_weight="balanced", solver="lbfgs", max_iter=_STEPS
        ).fit(features_NF[seen], is_example[seen])
        weights.append(model.coef_[0])
        biases.append(float(model.intercept_[0]))
    return Resemblance(np.array(weights, dtype=np.float32), np.array(biases))
