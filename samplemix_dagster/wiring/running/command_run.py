"""A run of the job ``publish`` in this process, which the command line asks for and waits for.

Dagster's first page shows no run without an origin, so this one says where its job stands in
``samplemix ui``. What the run is made of carries its id, and no origin.
"""

import uuid
from collections.abc import Callable

import dagster as dg

from samplemix_dagster.engine.project import Project
from samplemix_dagster.errors import SampleMixError
from samplemix_dagster.wiring.jobs.job_run import COMMAND, JobRun, going_on
from samplemix_dagster.wiring.jobs.parts import Choice
from samplemix_dagster.wiring.names import PUBLISH
from samplemix_dagster.wiring.run_tags import ASKED_BY_TAG, LOCATION, REPOSITORY
from samplemix_dagster.wiring.running.launch import Flow
from samplemix_dagster.wiring.running.reaping import reap_dead_runs
from samplemix_dagster.wiring.running.results import stop_if_interrupted
from samplemix_dagster.wiring.running.run_report import RunReport

_ONCE = {"dagster/max_retries": "0"}
"""The daemon of a UI starts a killed run again; this one is for whoever typed it to repeat."""


def publish_here(
    project: Project,
    repository: dg.RepositoryDefinition,
    instance: dg.DagsterInstance,
    choice: Choice,
    *,
    on_event: Callable[[str], None],
    quiet: bool,
) -> RunReport:
    """Run the job ``publish`` in this process, and return what it did.

    Args:
        project: The project, which was looked at already: its refits, its lake's damage.
        repository: The repository of its definitions.
        instance: The project's instance.
        choice: What is asked for.
        on_event: Told in a sentence what starts.
        quiet: Whether to keep Dagster's own log off the console.

    Raises:
        SampleMixError: The run ended before it could say what failed.
        KeyboardInterrupt: Somebody stopped it.
    """
    project.refresh()
    reap_dead_runs(instance)
    flow = Flow(project, repository, instance, on_event=on_event, quiet=quiet)
    run, run_id = JobRun(flow=flow, where=COMMAND), str(uuid.uuid4())
    with going_on(run_id, run, quiet=quiet):
        result = _execute(repository.get_job(PUBLISH), instance, run_id, choice, flow)
    stop_if_interrupted(result)
    if run.error is not None:
        raise run.error
    if not result.success and flow.report.succeeded:
        raise SampleMixError("the run ended early; --verbose shows Dagster's own log.")
    return flow.report


def _execute(
    job: dg.JobDefinition, instance: dg.DagsterInstance, run_id: str, choice: Choice, flow: Flow
) -> dg.JobExecutionResult:
    from dagster._core.definitions.job_base import InMemoryJob
    from dagster._core.execution.api import execute_run
    from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteRepositoryOrigin

    place = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(LOCATION), REPOSITORY)
    run = instance.create_run_for_job(
        job,
        run_id=run_id,
        run_config=choice.model_dump(exclude_defaults=True),
        tags={**flow.tags, **_ONCE, ASKED_BY_TAG: "command line"},
        remote_job_origin=place.get_job_origin(job.name),
    )
    return execute_run(InMemoryJob(job), run, instance)
