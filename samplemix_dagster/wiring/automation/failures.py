"""The sensor that calls the failure hook."""

import dagster as dg

from samplemix_dagster.engine.project import Project
from samplemix_dagster.errors import SampleMixError
from samplemix_dagster.runs.hooks.hooks import tell_failure
from samplemix_dagster.wiring.names import Belongings, Names
from samplemix_dagster.wiring.run_tags import REPORTS_TO_TAG, TOLD_TAG, tag_of
from samplemix_dagster.wiring.running.resources import ProjectResource
from samplemix_dagster.wiring.running.results import failure_sentence, is_failed_check


def _failures_of(context: dg.RunFailureSensorContext, names: Names) -> list[str]:
    """Return a sentence for each step and each blocking check that failed, else one for the run."""
    run = context.dagster_run
    found = [
        f"{names.asset_of_step(event.step_key)}: {failure_sentence(event.step_failure_data.error)}"
        for event in context.get_step_failure_events()
        if not is_failed_check(event.step_failure_data.error)
    ]
    checks = context.instance.get_records_for_run(
        run.run_id, of_type=dg.DagsterEventType.ASSET_CHECK_EVALUATION
    )
    for record in checks.records:
        event = record.event_log_entry.dagster_event
        check = event.asset_check_evaluation_data if event else None
        if check and not check.passed and check.severity == dg.AssetCheckSeverity.ERROR:
            why = check.description or f"the check {check.check_name} did not hold"
            found.append(f"{names.asset(check.asset_key)}: {why}")
    text = context.failure_event.message or "the run failed"
    return list(dict.fromkeys(found)) or [f"{run.job_name}: {text}"]


def tell_failures_sensor(project: Project, ours: Belongings, names: Names) -> dg.SensorDefinition:
    """Return the sensor that tells of failed runs which nobody else tells of."""
    is_wanted = project.config.hooks.failure is not None

    @dg.run_failure_sensor(
        name=names.of("tell_failures"),
        default_status=(
            dg.DefaultSensorStatus.RUNNING if is_wanted else dg.DefaultSensorStatus.STOPPED
        ),
        minimum_interval_seconds=10,
        description=(
            "Calls the failure hook of samplemix.yaml for runs that the UI, a sensor or a backfill "
            "started. Jobs and the command line call it themselves, at their end."
        ),
    )
    @names.hand_project
    def tell_failures(
        context: dg.RunFailureSensorContext, project: ProjectResource
    ) -> dg.SkipReason | None:
        run = context.dagster_run
        if not ours.has(run):
            return dg.SkipReason("It is no run of this project.")
        if tag_of(run.tags, TOLD_TAG) or tag_of(run.tags, REPORTS_TO_TAG):
            return dg.SkipReason("What ran it has told of it.")
        try:
            opened = project.open_anew()
        except SampleMixError as error:
            return dg.SkipReason(f"Nobody is told: {error}")
        if opened.config.hooks.failure is None:
            return dg.SkipReason("samplemix.yaml has no hooks.failure.")
        where = ", ".join(sorted(names.asset(key) for key in run.asset_selection or ()))
        failures = _failures_of(context, names)
        for problem in tell_failure(opened, failures, [run.run_id], where or run.job_name):
            context.log.warning(problem)
        return None

    return tell_failures
