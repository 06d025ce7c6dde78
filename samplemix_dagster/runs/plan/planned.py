"""What is to run, and in which order."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypedDict

from samplemix_dagster.stages.stepping.step import Step

ON_REQUEST = "on request: everything was current"
"""Why a step runs of which nothing is to be made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One step that is to run: for one partition, or for the corpus (partition empty)."""

    step: Step
    partition: str
    num_shards: int
    num_documents: int
    num_bytes: int
    why: str


class PlannedAsset(TypedDict):
    """What is to run of an asset, all its partitions together, as a JSON value."""

    stage: str
    asset: str
    num_shards: int
    num_documents: int
    num_bytes: int
    partitions: list[str]
    why: str
    """Each reason once, with semicolons between."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that is to run, in order; ``problems`` name sources that cannot be read."""

    tasks: tuple[Task, ...]
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether everything is current."""
        return not self.tasks and not self.problems

    def by_asset(self) -> list[PlannedAsset]:
        """Return the plan as JSON values: one for each asset, in order."""
        found: dict[str, list[Task]] = {}
        for task in self.tasks:
            found.setdefault(task.step.asset, []).append(task)
        return [_planned(tasks) for tasks in found.values()]


def _planned(tasks: Sequence[Task]) -> PlannedAsset:
    return {
        "stage": tasks[0].step.group,
        "asset": tasks[0].step.asset,
        "num_shards": sum(task.num_shards for task in tasks),
        "num_documents": sum(task.num_documents for task in tasks),
        "num_bytes": sum(task.num_bytes for task in tasks),
        "partitions": [task.partition for task in tasks if task.partition],
        "why": "; ".join(dict.fromkeys(task.why for task in tasks)),
    }
