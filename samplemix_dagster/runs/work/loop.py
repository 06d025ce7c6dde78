"""The loop that brings a project up to date: one for commands, jobs, tests and benchmarks.

Phase by phase it plans, has what is stale made, and notes what stands. What was found damaged is
taken out of the lake, and it starts over: what is missing is made again, what is current stays.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Protocol

from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.shards.carrying import note_what_stands
from samplemix_dagster.errors import DamagedError
from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.runs.plan.planned import Plan
from samplemix_dagster.runs.upkeep.repair import MOST_REPAIRS, repair, retry_deferred
from samplemix_dagster.stages.stepping.step import Step


class Hands(Protocol):
    """Who makes what is stale: plain calls, or runs of Dagster."""

    broken: set[str]
    """Assets that failed: what depends on them is not started."""

    def make(self, plan: Plan) -> None:
        """Make what is stale of one phase.

        Raises:
            DamagedError: A file of the lake is damaged, and the lake has noted which.
        """

    def cannot_read(self, problems: Mapping[str, str], steps: Sequence[Step]) -> None:
        """Hear, after a phase, which sources cannot be listed.

        Args:
            problems: Why each partition cannot be listed.
            steps: The steps of the phase that did not depend on what failed.
        """

    def when_through(self) -> None:
        """Do what follows when every phase was gone through, and nothing was damaged."""

    def start_over(self, repairs: Sequence[str]) -> None:
        """Forget what failed for damaged files; sentences say what became of these."""

    def give_up(self, repairs: Sequence[str], error: DamagedError | None) -> None:
        """Files are damaged again and again; ``error`` is what was raised last, if anything."""


def bring_up_to_date(
    project: Project,
    steps: Sequence[Step],
    hands: Hands,
    *,
    every: list[Step],
    needed: Sequence[Step] | None = None,
) -> None:
    """Have what is stale of some steps made, phase by phase; start over where damage was found.

    Args:
        project: The project.
        steps: What is looked at first.
        hands: Who makes it.
        every: Every step of the project.
        needed: What is looked at after damage was found: the steps, and all that they need; the
            same when absent.
    """
    for attempt in range(MOST_REPAIRS + 1):
        error = _gone_through(project, steps, hands, every)
        if error is None and not project.lake.damaged and not retry_deferred(project):
            return
        repairs = repair(project)
        if attempt == MOST_REPAIRS:
            hands.give_up(repairs, error)
        else:
            hands.start_over(repairs)
            steps = needed or steps


def _gone_through(
    project: Project, steps: Sequence[Step], hands: Hands, every: list[Step]
) -> DamagedError | None:
    """Go through every phase once; return the damage that ended it, if any did."""
    try:
        for _, phase in groupby(sorted(steps, key=_phase), key=_phase):
            _bring_phase(project, list(phase), hands, every)
        if not project.lake.damaged:
            hands.when_through()
    except DamagedError as error:
        return error
    return None


def _phase(step: Step) -> int:
    return step.phase


def _bring_phase(project: Project, steps: list[Step], hands: Hands, every: list[Step]) -> None:
    """Have a phase's stale steps made, but for those that depend on what failed."""
    runnable = [step for step in steps if not hands.broken.intersection(step.deps)]
    hands.broken |= {step.asset for step in steps if step not in runnable}
    plan = Planner(project, every).plan({step.asset for step in runnable})
    hands.make(plan)
    note_what_stands(Recipes(project), (stage for step in runnable for stage in step.stages))
    if plan.problems:
        hands.cannot_read(plan.problems, runnable)
