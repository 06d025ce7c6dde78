"""Run what is stale, phase by phase, as a plain loop: no Dagster in it.

The command line runs the same steps inside Dagster; this is what tests and the cost of
orchestration are measured against.
"""

from collections.abc import Callable

from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.outcome import Outcome, Progress, no_progress
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.shards.carrying import note_what_stands
from samplemix_dagster.errors import DamagedError, InputError
from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.runs.upkeep.repair import MOST_REPAIRS, repair, retry_deferred
from samplemix_dagster.stages.doing import Call, run_step
from samplemix_dagster.stages.mixture.publishing import publish_if_it_holds
from samplemix_dagster.stages.step import Step
from samplemix_dagster.stages.steps import build_steps


def run_project(
    project: Project,
    progress: Progress = no_progress,
    on_outcome: Callable[[Outcome], None] | None = None,
    steps: list[Step] | None = None,
    on_repair: Callable[[str], None] | None = None,
) -> list[Outcome]:
    """Run every stale step of a project (or of some) and return what each did.

    A damaged file is removed and made again: then the run starts over, and what is current stays.

    Raises:
        InputError: A source cannot be read; the others were read first.
        CheckFailedError: A mixture does not hold what it must; its last version stays current.
        DamagedError: Files are damaged again and again.
    """
    with project.at_work():
        return _run_and_repair(project, progress, on_outcome, steps, on_repair)


def _run_and_repair(
    project: Project,
    progress: Progress,
    on_outcome: Callable[[Outcome], None] | None,
    steps: list[Step] | None,
    on_repair: Callable[[str], None] | None,
) -> list[Outcome]:
    outcomes: list[Outcome] = []
    for attempt in range(MOST_REPAIRS + 1):
        for sentence in repair(project):
            if on_repair is not None:
                on_repair(sentence)
        try:
            _run(project, progress, on_outcome, steps, outcomes)
        except DamagedError:
            if attempt == MOST_REPAIRS:
                raise
        else:
            if not retry_deferred(project):
                break
    return outcomes


def _run(
    project: Project,
    progress: Progress,
    on_outcome: Callable[[Outcome], None] | None,
    steps: list[Step] | None,
    outcomes: list[Outcome],
) -> None:
    project.refresh()
    every = build_steps(project)
    chosen = every if steps is None else steps
    for phase in sorted({step.phase for step in chosen}):
        of_phase = [step for step in chosen if step.phase == phase]
        for step in of_phase:
            # Planned one by one: a step may make the next one's address known.
            planner = Planner(project, every)
            for task in planner.plan([step.asset]).tasks:
                call = Call(
                    project=project,
                    partition=task.partition,
                    why=task.why,
                    run_id=None,
                    progress=progress,
                )
                outcome = run_step(step, call)
                if step.is_published:
                    publish_if_it_holds(project, step.name, outcome.data_version)
                outcomes.append(outcome)
                if on_outcome is not None:
                    on_outcome(outcome)
        stages = (stage for step in of_phase for stage in step.stages)
        note_what_stands(Recipes(project), stages)
        if phase == 0 and (problems := Planner(project, every).problems):
            raise InputError("\n".join(problems.values()))
