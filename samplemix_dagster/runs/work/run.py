"""Run what is stale in plain calls: no Dagster in it.

The command line runs the same steps inside Dagster; this is what tests and the cost of
orchestration are measured against.
"""

from collections.abc import Callable, Mapping, Sequence

from samplemix_dagster.engine.outcome import Outcome, Progress, no_progress
from samplemix_dagster.engine.project import Project
from samplemix_dagster.errors import DamagedError, InputError
from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.runs.plan.planned import Plan, Task
from samplemix_dagster.runs.upkeep.repair import repair
from samplemix_dagster.runs.work.loop import bring_up_to_date
from samplemix_dagster.stages.mixture.published.publishing import publish_if_it_holds
from samplemix_dagster.stages.stepping.doing import Call, run_step
from samplemix_dagster.stages.stepping.step import Step
from samplemix_dagster.stages.stepping.steps import build_steps


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
        hands = _Plainly(project, progress, on_outcome or _ignore, on_repair or _ignore)
        hands.start_over(repair(project))
        project.refresh()
        hands.every = build_steps(project)
        chosen = hands.every if steps is None else steps
        bring_up_to_date(project, chosen, hands, every=hands.every)
    return hands.outcomes


def _ignore(found: object) -> None:
    del found


class _Plainly:
    """Makes what is stale in plain calls, one after the other; the first failure ends it."""

    def __init__(
        self,
        project: Project,
        progress: Progress,
        on_outcome: Callable[[Outcome], None],
        on_repair: Callable[[str], None],
    ) -> None:
        self.project = project
        self.progress = progress
        self.on_outcome = on_outcome
        self.on_repair = on_repair
        self.every: list[Step] = []
        self.broken: set[str] = set()
        self.outcomes: list[Outcome] = []

    def cannot_read(self, problems: Mapping[str, str], steps: Sequence[Step]) -> None:
        """End it: what can be read has been read.

        Raises:
            InputError: Always; it names each source.
        """
        del steps
        raise InputError("\n".join(problems.values()))

    def make(self, plan: Plan) -> None:
        """Run what is stale of a phase.

        Each step is planned once more when its turn comes: one before it may have made its
        address known, and it is current then, perhaps.
        """
        for step in {task.step.asset: task.step for task in plan.tasks}.values():
            for task in Planner(self.project, self.every).plan([step.asset]).tasks:
                self._run(task)

    def _run(self, task: Task) -> None:
        call = Call(
            project=self.project,
            partition=task.partition,
            why=task.why,
            run_id=None,
            progress=self.progress,
        )
        outcome = run_step(task.step, call)
        if task.step.is_published:
            publish_if_it_holds(self.project, task.step.name, outcome.data_version)
        self.outcomes.append(outcome)
        self.on_outcome(outcome)

    def when_through(self) -> None:
        """Nothing follows."""

    def start_over(self, repairs: Sequence[str]) -> None:
        """Say what became of damaged files."""
        for sentence in repairs:
            self.on_repair(sentence)

    def give_up(self, repairs: Sequence[str], error: DamagedError | None) -> None:
        """Say it, and raise what was raised last."""
        self.start_over(repairs)
        if error is not None:
            raise error
