"""Trainings by address: each is made once, whoever asks for it, and outlives a kill.

What a learner lost on each text stands in the lake under a hash of the learner, the draw and the
texts; of the seed, too, where the learner has luck of its own. So an evaluation that was stopped
goes on, one that is asked for again trains nothing, and two arms that drew the same share one.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from samplemix_dagster import tables
from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.core.learners.learner import Learner
from samplemix_dagster.core.learners.ragged import TokenTexts
from samplemix_dagster.engine.outcome import Progress
from samplemix_dagster.errors import DamagedError
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.lake import Lake
from samplemix_dagster.validation.training.exported import exported

if TYPE_CHECKING:
    from samplemix_dagster.validation.choosing.draws import Drawn
    from samplemix_dagster.validation.texts import JudgedText

_SAVED_SECONDS = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """A learner that is trained on a draw."""

    address: str
    drawn: "Drawn"
    learner: Learner

    @property
    def key(self) -> str:
        """Where its losses stand in the lake."""
        return keys.evaluation_losses(self.address)


class _StoppedError(Exception):
    """A training ends before its end, since somebody stopped the evaluation; its steps are kept."""


class KeptSteps:
    """How far a training is, in the lake, every two minutes; gone when the training is done.

    One that is to stop saves after the step that it is at, and ends.
    """

    def __init__(
        self,
        lake: Lake,
        address: str,
        stopping: threading.Event | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lake, self._key, self._clock = lake, keys.evaluation_steps(address), clock
        self._stopping = stopping or threading.Event()
        self._last = clock()

    def load(self) -> Mapping[str, npt.NDArray[Any]] | None:
        """Return what was saved last; None where nothing whole was."""
        if not self._lake.exists(self._key):
            return None
        try:
            return self._lake.read_arrays(self._key)
        except DamagedError:
            self._lake.damaged.remove(self._key)  # nobody else needs it
            self.forget()
            return None

    def is_due(self) -> bool:
        """Whether two minutes have passed, or the training is to stop."""
        return self._stopping.is_set() or self._clock() - self._last >= _SAVED_SECONDS

    def save(self, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
        """Save named arrays in place of those before.

        Raises:
            _StoppedError: The training is to stop.
        """
        self.forget()
        self._lake.write_arrays(self._key, arrays)
        self._last = self._clock()
        if self._stopping.is_set():
            raise _StoppedError

    def forget(self) -> None:
        """Remove what was saved."""
        self._lake.remove(self._key)


class Trainings:
    """The trainings of one learner on one set of texts."""

    def __init__(
        self,
        lake: Lake,
        learner: Learner,
        texts: "Sequence[JudgedText]",
        *,
        tokens: str,
        judged: str,
    ) -> None:
        """Take what decides an address.

        Args:
            lake: Where losses are kept.
            learner: The learner.
            texts: What it judges.
            tokens: Digest of the tokenizer.
            judged: Digest of the texts.
        """
        self.lake, self.learner, self.texts = lake, learner, texts
        self._stopping = threading.Event()
        self._read = {"tokenizer": tokens, "texts": judged}

    def _base(self, learner: Learner) -> dict[str, object]:
        return {**learner.recipe, **self._read}

    def of(self, drawn: "Drawn", weight_decay: float | None = None) -> Training:
        """Return the training on a draw; at another weight decay than the learner's, if any."""
        learner = self.learner if weight_decay is None else self.learner.at_decay(weight_decay)
        luck = {"seed": drawn.seed} if learner.uses_luck else {}
        recipe = {**self._base(learner), **luck, "draw": drawn.digest}
        return Training(address=fingerprint(recipe), drawn=drawn, learner=learner)

    def missing(self, trainings: Iterable[Training]) -> list[Training]:
        """Return those that are to be made, each address once."""
        there = self.lake.names(keys.EVALUATION_LOSSES)
        wanted = {one.address: one for one in trainings}
        return [one for one in wanted.values() if one.key.rpartition("/")[2] not in there]

    def run(
        self,
        missing: Sequence[Training],
        tokens_of: "Callable[[Drawn], TokenTexts]",
        workers: int,
        progress: Progress,
    ) -> None:
        """Make trainings, several at once where the learner can.

        Where it is stopped, those at work keep their steps and end with the step that they are at.

        Args:
            missing: Which.
            tokens_of: Gives the tokens of a draw, in the order in which they are read.
            workers: How many at once.
            progress: Told how many are done.
        """
        done, lock = 0, threading.Lock()
        self._stopping.clear()

        def make(one: Training) -> None:
            nonlocal done
            self._keep(one, self._nats(one, tokens_of(one.drawn)))
            with lock:
                done += 1
                progress("evaluation", self.learner.name, done, len(missing))

        with ThreadPoolExecutor(workers if self.learner.side_by_side else 1) as pool:
            futures = [pool.submit(make, one) for one in missing]
            try:
                for future in as_completed(futures):
                    future.result()
            except BaseException:
                self._stopping.set()
                pool.shutdown(cancel_futures=True)
                raise

    def _nats(self, one: Training, texts: TokenTexts) -> npt.NDArray[np.float64]:
        seed, steps = one.drawn.seed, self.steps(one)
        if not one.learner.reads_exports:
            return one.learner.nats(texts, seed, steps)
        size = int(str(one.learner.recipe["vocabulary"]))
        with exported(texts, vocabulary=size, tokenizer=self._read["tokenizer"]) as read:
            return one.learner.nats(read, seed, steps)

    def steps(self, one: Training) -> "KeptSteps":
        """Return where a training keeps how far it is."""
        return KeptSteps(self.lake, one.address, self._stopping)

    def _keep(self, one: Training, nats: npt.NDArray[np.float64]) -> None:
        table = tables.LOSSES.make(
            group=[text.group for text in self.texts],
            doc_id=[text.doc_id for text in self.texts],
            num_bytes=[text.num_bytes for text in self.texts],
            nats=np.round(nats, 6),
        )
        self.lake.write_table(one.key, table, tables.LOSSES, self._base(one.learner))
        self.steps(one).forget()

    def losses(self, one: Training) -> npt.NDArray[np.float64]:
        """Return the loss of each text in nats: (D,)."""
        found: npt.NDArray[np.float64] = self.lake.read_table(one.key, ["nats"])["nats"].to_numpy()
        return found
