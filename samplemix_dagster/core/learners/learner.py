"""What every learner can do."""

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.learners.ngram import NgramJudge
from samplemix_dagster.core.learners.ragged import TokenTexts


class Steps(Protocol):
    """Where a long training keeps how far it is, so that one that was killed goes on."""

    def load(self) -> Mapping[str, npt.NDArray[Any]] | None:
        """Return what was saved last; None where nothing was."""

    def is_due(self) -> bool:
        """Whether so much time has passed that saving is worth it."""

    def save(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Save named arrays in place of those before."""


class NoSteps:
    """Keeps nothing: for trainings that are over before it would be worth it."""

    def load(self) -> None:
        """Return None: nothing was saved."""

    def is_due(self) -> bool:
        """Return False."""
        return False

    def save(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Save nothing."""


NO_STEPS = NoSteps()


class Learner(Protocol):
    """Trains on a draw and judges what it was made with: texts, then options of tasks."""

    name: str
    recipe: Mapping[str, object]
    """What decides its result, beside the draw and the texts; a JSON value."""
    uses_luck: bool
    """Whether its result depends on the seed, beyond what is drawn."""
    side_by_side: bool
    """Whether several may train at once in one process."""
    reads_exports: bool
    """Whether it reads a draw out of the files of an export, as a trainer would."""

    def nats(self, draw: TokenTexts, seed: int, steps: Steps) -> npt.NDArray[np.float64]:
        """Return the loss of each text in nats after training on a draw: (D,)."""

    def at_decay(self, weight_decay: float) -> "Learner":
        """Return the learner with another weight decay; itself where it has no weights."""


class NgramLearner:
    """An n-gram model; its result does not depend on the order of a draw."""

    name = "ngram"
    uses_luck = False
    side_by_side = True
    reads_exports = False

    def __init__(
        self,
        texts: TokenTexts,
        *,
        order: int,
        vocabulary: int,
        options: TokenTexts | None = None,
    ) -> None:
        """Make ready what is judged: texts, then options after their contexts.

        Other arguments are as of :class:`.ngram.NgramJudge`.
        """
        self.recipe: Mapping[str, object] = {
            "learner": self.name,
            "version": 1,
            "order": order,
            "vocabulary": vocabulary,
        }
        every = texts if options is None else texts.and_then(options)
        self._judge = NgramJudge(every, order=order, vocabulary=vocabulary)

    def nats(self, draw: TokenTexts, seed: int, steps: Steps) -> npt.NDArray[np.float64]:
        """Return the loss of each text in nats after training on a draw: (D,)."""
        del seed, steps
        return self._judge.nats(draw)

    def at_decay(self, weight_decay: float) -> "NgramLearner":
        """Return itself: counts do not decay."""
        del weight_decay
        return self
