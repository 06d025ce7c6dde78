"""An evaluation that somebody stops: trainings at work keep their steps, and go on from them."""

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from samplemix_dagster.core.learners.learner import Steps
from samplemix_dagster.core.learners.ragged import TokenTexts
from samplemix_dagster.engine.outcome import no_progress
from samplemix_dagster.storage.lake.lake import Lake
from samplemix_dagster.validation.choosing.draws import Drawn
from samplemix_dagster.validation.texts import JudgedText
from samplemix_dagster.validation.training.trainings import Training, Trainings

LONG, STOPPED = 0, 1
ENOUGH = 1_000_000


class Endless:
    """A learner of which one training does not end by itself, and another is interrupted."""

    name = "endless"
    recipe: Mapping[str, object] = {"learner": name}
    uses_luck = True
    side_by_side = True
    reads_exports = False

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.is_to_end = False
        self.first_steps: list[int] = []

    def nats(self, draw: TokenTexts, seed: int, steps: Steps) -> npt.NDArray[np.float64]:
        del draw
        if seed == STOPPED and not self.is_to_end:
            self.begun.wait()
            raise KeyboardInterrupt
        saved = steps.load()
        step = int(saved["step"][0]) if saved else 0
        self.first_steps.append(step)
        while not self.is_to_end and step < ENOUGH:
            step += 1
            if step == 3:
                self.begun.set()
            if steps.is_due():
                steps.save({"step": np.array([step])})
        return np.array([float(seed)])

    def at_decay(self, weight_decay: float) -> "Endless":
        del weight_decay
        return self


def drawn(seed: int) -> Drawn:
    none: npt.NDArray[Any] = np.zeros(0, np.int64)
    return Drawn(
        arm="mine",
        seed=seed,
        rung=1.0,
        rows=none,
        copies=none,
        num_tokens=0,
        repeated=0.0,
        digest=f"{seed:032x}",
    )


def tokens_of(_: Drawn) -> TokenTexts:
    return TokenTexts(tokens=np.zeros(0, np.uint32), ends=np.zeros(0, np.int64))


def test_a_training_at_work_keeps_its_step_and_goes_on_from_it(tmp_path: Path) -> None:
    learner = Endless()
    text = JudgedText(group="web", doc_id="0" * 32, piece="a text")
    trainings = Trainings(Lake(tmp_path), learner, [text], tokens="t", judged="j")
    missing: list[Training] = [trainings.of(drawn(seed)) for seed in (LONG, STOPPED)]
    with pytest.raises(KeyboardInterrupt):
        trainings.run(missing, tokens_of, 2, no_progress)
    assert trainings.missing(missing) == missing
    kept = trainings.steps(missing[LONG]).load()
    assert kept is not None
    assert 3 <= kept["step"][0] < ENOUGH

    learner.is_to_end = True
    trainings.run(missing, tokens_of, 2, no_progress)
    assert kept["step"][0] in learner.first_steps
    assert trainings.missing(missing) == []
    assert trainings.losses(missing[STOPPED]).tolist() == [float(STOPPED)]
    assert trainings.steps(missing[LONG]).load() is None
