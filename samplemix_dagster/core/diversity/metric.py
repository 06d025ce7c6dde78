"""What a diversity metric of one's own looks like, and the one function that runs it.

A metric that looks at one text at a time has a name, a version and ``score``::

    class Vocabulary:
        name = "vocabulary"
        version = "1"

        def score(self, texts):
            words = [text.lower().split() for text in texts]
            return np.array([(len(set(w)) + 1) / (len(w) + 2) for w in words])

One that compares a text with the corpus is a :class:`FittedMetric`: it also summarises each shard,
and fits to the summaries of all. Neither inherits from anything here.

Not here: how a metric is named in the configuration and where its results are stored.

Shape letters: N = documents, E = embedding width.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, cast, runtime_checkable

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.diversity.combine import check_inside

Arrays = Mapping[str, npt.NDArray[Any]]
"""A summary or a fit: named arrays, which a file of arrays can hold."""

Batch = Sequence[str] | npt.NDArray[np.floating[Any]]
"""N texts, or N embeddings of shape (N, E)."""


@runtime_checkable
class DiversityMetric(Protocol):
    """Scores each text by itself.

    Attributes:
        name: A column's name: lower-case letters, digits and underscores.
        version: Another one says that scores of the former are stale.
    """

    name: str
    version: str

    def score(self, texts: Sequence[str], /) -> npt.NDArray[np.float64]:
        """Return N numbers strictly inside (0, 1), high = more diverse.

        A text's score must not depend on the other texts of the call.
        """
        ...


@runtime_checkable
class FittedMetric(Protocol):
    """Scores each document against something fitted to the corpus.

    Attributes:
        name: As for :class:`DiversityMetric`.
        version: Likewise.
        needs: What a batch is: ``text``, N texts, or ``embedding``, an array of shape (N, E).
    """

    name: str
    version: str
    needs: Literal["text", "embedding"]

    def summarise(self, batch: Any, /) -> Arrays:
        """Return what the fit has to know of one shard's documents; small, whatever the shard."""
        ...

    def fit(self, summaries: Sequence[Arrays], /) -> Arrays:
        """Return the fit to all shards' summaries, at least one; their order must not matter."""
        ...

    def score(self, batch: Any, fitted: Arrays, /) -> npt.NDArray[np.float64]:
        """Return N numbers strictly inside (0, 1), as :meth:`DiversityMetric.score` does."""
        ...


def is_fitted(metric: DiversityMetric | FittedMetric) -> bool:
    """Return whether a metric has to be fitted before it scores."""
    return isinstance(metric, FittedMetric)


def score_batch(
    metric: DiversityMetric | FittedMetric, batch: Batch, fitted: Arrays | None = None
) -> npt.NDArray[np.float64]:
    """Run a metric and check what it gives back.

    Args:
        metric: Of either kind.
        batch: N documents, as the metric needs them.
        fitted: What its ``fit`` gave; None for a metric that has none.

    Returns:
        N numbers strictly inside (0, 1).

    Raises:
        ValueError: A fitted metric comes without its fit, or the metric does not give one number
            strictly inside (0, 1) for each document.
    """
    if isinstance(metric, FittedMetric):
        if fitted is None:
            msg = f"the metric {metric.name!r} has to be fitted before it scores"
            raise ValueError(msg)
        scores = metric.score(batch, fitted)
    else:
        scores = metric.score(cast("Sequence[str]", batch))
    scores = np.asarray(scores, dtype=np.float64)
    if scores.shape != (len(batch),):
        msg = f"{metric.name!r} must give {len(batch)} numbers, not an array of {scores.shape}"
        raise ValueError(msg)
    check_inside(metric.name, scores)
    return scores
