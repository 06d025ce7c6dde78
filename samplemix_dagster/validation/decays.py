"""Weight decay by arm: one that repeats documents is tried at several, and keeps what teaches most.

A learner that reads a text several times learns it by heart unless its weights are held down, and
wants the more decay the more it repeats (Kim et al. 2025, arXiv 2509.14786). With one decay for
all, an arm that repeats would be judged by what does not suit it. The choice is made on a draw of a
seed that nothing else is judged on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from samplemix_dagster.config.evaluation import Evaluation
from samplemix_dagster.core.judging.paired import GroupLosses
from samplemix_dagster.validation.verdicts.judgement import JsonObject

if TYPE_CHECKING:
    from samplemix_dagster.validation.choosing.draws import Drawn
    from samplemix_dagster.validation.texts import JudgedText
    from samplemix_dagster.validation.training.trainings import Training, Trainings

REPEATED = 1.0 / 3.0
"""An arm repeats where so much of what it draws are copies beyond a document's first."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sweep:
    """What is tried: trainings by arm and weight decay.

    Attributes:
        tried: The trainings.
        trainings: Where they stand.
        places: Of each group of texts that chooses, the places of its texts.
        num_bytes: Bytes of each text: (D,).
        usual: The weight decay of an arm that is not tried, or not yet.
    """

    tried: Mapping[str, Mapping[float, "Training"]]
    trainings: "Trainings"
    places: Sequence[npt.NDArray[np.int64]]
    num_bytes: npt.NDArray[np.int64]
    usual: float

    @property
    def wanted(self) -> "list[Training]":
        """Every training."""
        return [one for by_decay in self.tried.values() for one in by_decay.values()]

    @property
    def missing(self) -> "list[Training]":
        """Those that are not in the lake."""
        return self.trainings.missing(self.wanted)

    def bits_per_byte(self, one: "Training") -> float:
        """Return what a training, which is there, lost; each group of texts counts alike."""
        nats = self.trainings.losses(one)[None]
        groups = (
            GroupLosses(nats_SD=nats[:, place], bytes_D=self.num_bytes[place])
            for place in self.places
        )
        return float(np.mean([group.bits_per_byte for group in groups]))

    def chosen(self) -> dict[str, float]:
        """Return the weight decay of each arm that is tried: the least of those that teach most.

        What is not trained yet has the usual one.
        """
        missing = {one.address for one in self.missing}
        found = {}
        for arm, by_decay in self.tried.items():
            if any(one.address in missing for one in by_decay.values()):
                found[arm] = self.usual
            else:
                found[arm] = min(by_decay, key=lambda w: (self.bits_per_byte(by_decay[w]), w))
        return found

    def told(self) -> list[JsonObject]:
        """Return what was tried and what came of it, once all is trained."""
        return [
            {
                "arm": arm,
                "seed": one.drawn.seed,
                "weight_decay": decay,
                "bits_per_byte": round(self.bits_per_byte(one), 5),
                "tokens": one.drawn.num_tokens,
                "address": one.address,
            }
            for arm, by_decay in self.tried.items()
            for decay, one in by_decay.items()
        ]


def sweep_of(
    trainings: "Trainings",
    settings: Evaluation,
    texts: "Sequence[JudgedText]",
    draws: "Sequence[Drawn]",
) -> Sweep | None:
    """Return what is tried; None where no arm repeats.

    Args:
        trainings: Of the learner whose figures are reported.
        settings: Which weight decays.
        texts: What is judged.
        draws: A draw of each arm and control, of a seed of its own.
    """
    decays = sorted({settings.weight_decay, *settings.weight_decays})
    tried = {
        one.arm: {decay: trainings.of(one, decay) for decay in decays}
        for one in draws
        if one.repeated >= REPEATED and len(decays) > 1
    }
    if not tried:
        return None
    groups = np.array([text.group if text.is_answer else "" for text in texts])
    places = [np.flatnonzero(groups == group) for group in settings.every_set["all"]]
    return Sweep(
        tried=tried,
        trainings=trainings,
        places=[place for place in places if place.size],
        num_bytes=np.array([text.num_bytes for text in texts], dtype=np.int64),
        usual=settings.weight_decay,
    )
