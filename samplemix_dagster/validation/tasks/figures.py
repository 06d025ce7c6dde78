"""What an evaluation found about tasks: what became of their rows, and each arm's accuracy."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.judging.accuracy import accuracy_difference, chance, right_answers
from samplemix_dagster.validation.verdicts.judgement import JsonObject, as_json

if TYPE_CHECKING:
    from samplemix_dagster.validation.evaluate import Prepared
    from samplemix_dagster.validation.judges import Judge
    from samplemix_dagster.validation.tasks.reading import Task
    from samplemix_dagster.validation.texts import JudgedText

Floats = npt.NDArray[np.float64]


def counts_of_tasks(prepared: "Prepared") -> JsonObject:
    """Return what became of the rows of each task."""
    return {task.name: _counts(prepared, task) for task in prepared.tasks}


def _counts(prepared: "Prepared", task: "Task") -> JsonObject:
    refused = prepared.judged.refused.get(task.name, 0)
    return {
        "form": task.form,
        "rows": task.num_rows,
        "judged": len(task.items) - refused,
        "refused": refused,
        "left_out": task.left_out,
        "rejected": dict(task.rejected),
    }


def accuracies(
    prepared: "Prepared", judge: "Judge", arms: Sequence[str], baseline: str
) -> dict[str, JsonObject]:
    """Return each arm's accuracy by task, beside the baseline's; null where nothing is chosen."""
    found: dict[str, JsonObject] = {arm: {} for arm in arms}
    nats = {arm: _nats(judge, arm) for arm in arms}
    for task in prepared.tasks:
        places, begins = _options(prepared.judged.texts, task.name)
        num_bytes = np.array([prepared.judged.texts[place].num_bytes for place in places])
        right = {arm: right_answers(nats[arm][:, places], num_bytes, begins) for arm in arms}
        by_chance = chance(begins, places.size)
        for arm in arms:
            is_chosen = by_chance < 1.0
            found[arm][task.name] = (
                _figures(right[arm], right[baseline], by_chance) if is_chosen else _NO_FIGURES
            )
    return found


_NO_FIGURES: JsonObject = dict.fromkeys(["accuracy", "difference", "low", "high", "chance"])


def _figures(right: Floats, baseline: Floats, by_chance: float) -> JsonObject:
    difference = as_json(accuracy_difference(right, baseline))
    return {
        "accuracy": round(float(right.mean()), 5),
        **{key: difference[key] for key in ("difference", "low", "high")},
        "chance": round(by_chance, 5),
    }


def _options(
    texts: "Sequence[JudgedText]", task: str
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return the places of a task's options, and which of these begin an item."""
    places = [place for place, text in enumerate(texts) if text.task == task]
    begins = [number for number, place in enumerate(places) if texts[place].is_answer]
    return np.array(places, dtype=np.int64), np.array(begins, dtype=np.int64)


def _nats(judge: "Judge", arm: str) -> Floats:
    mine = [one for one in judge.wanted if one.drawn.arm == arm and one.drawn.rung == 1.0]
    return np.stack([judge.trainings.losses(one) for one in mine])
