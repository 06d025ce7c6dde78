"""Sensors: shards that came, changed or went; what follows from a changed data version; failures.

All are switched on in the UI, but the one that tells of failures: it is on when a failure hook is
configured. What a look finds is in ``engine/watching/``; the nightly run, in
``schedules.py``.
"""

import json
import warnings
from collections.abc import Iterable, Sequence
from typing import Any, TypedDict, cast

import dagster as dg

from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.watching.findings import Finding
from samplemix_dagster.engine.watching.looking import look_at_all
from samplemix_dagster.engine.watching.telling import digest_of, in_words
from samplemix_dagster.errors import SampleMixError
from samplemix_dagster.wiring.automation.failures import tell_failures_sensor
from samplemix_dagster.wiring.names import PLAIN, PUBLISH, READ_SHARDS, Belongings, Names
from samplemix_dagster.wiring.run_tags import (
    ASKED_BY_TAG,
    ATTEMPT_TAG,
    FILES_TAG,
    FINDING_TAG,
    LASTS_TAG,
    SETTLED,
    WHY_CHARACTERS,
    WHY_TAG,
    old_name,
    tag_of,
)
from samplemix_dagster.wiring.running.reaping import reap_dead_runs
from samplemix_dagster.wiring.running.resources import ProjectResource

AUTOMATION = "follow_changes"
MAX_ATTEMPTS = 3
_AT_WORK = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def build_sensors(
    project: Project,
    jobs: Sequence[Any],
    assets: Iterable[dg.AssetKey],
    names: Names = PLAIN,
) -> list[dg.SensorDefinition]:
    """Return the sensors of a project, which look at its own assets and runs alone.

    Args:
        project: The project.
        jobs: Its jobs.
        assets: The keys of its assets.
        names: What the definitions are called.
    """
    ours = Belongings(keys=frozenset(assets), jobs=frozenset(job.name for job in jobs))
    # Dagster warns of its own parameter whenever it copies a sensor.
    warnings.filterwarnings("ignore", "Parameter `owners`", dg.BetaWarning)
    return [
        _new_shards(project, jobs, ours, names),
        _follow_changes(ours, names),
        tell_failures_sensor(project, ours, names),
    ]


def _new_shards(
    project: Project, jobs: Sequence[Any], ours: Belongings, names: Names
) -> dg.SensorDefinition:
    asked = [job for job in jobs if job.name in {names.of(PUBLISH), names.of(READ_SHARDS)}]

    @dg.sensor(
        name=names.of("new_shards"),
        jobs=asked,
        minimum_interval_seconds=project.config.sensor.interval,
        description=(
            "Looks for new, changed and removed shards and asks for one run of everything stale; "
            f"while the sensor {AUTOMATION} is on, for the reading of the changed sources alone. "
            "Files that are still being written wait."
        ),
    )
    @names.hand_project
    def new_shards(
        context: dg.SensorEvaluationContext, project: ProjectResource
    ) -> dg.SensorResult:
        try:
            opened = project.open_anew()
        except SampleMixError as error:
            return dg.SensorResult(skip_reason=str(error), cursor=context.cursor)
        return tick(context, opened, ours, names)

    return new_shards


def tick(
    context: dg.SensorEvaluationContext,
    project: Project,
    ours: Belongings | None = None,
    names: Names = PLAIN,
) -> dg.SensorResult:
    """Look once, and say what is asked for, or why nothing is.

    Args:
        context: Dagster's.
        project: The project.
        ours: Which runs are the project's; all of the instance when absent.
        names: What the definitions are called.
    """
    reap_dead_runs(context.instance)
    findings = look_at_all(project)
    words = in_words(findings)
    before = _read_cursor(context.cursor)
    taken = [found for found in findings if found.taken]
    if not taken and not _ended_early(context.instance, before):
        return _skip(words, before, words)
    if any(found.moving for found in findings):
        return _skip(f"{words}. Nothing is asked for until these files are settled.", before, words)
    if _is_at_work(context.instance, ours):
        more = "A run is at work; they are asked for when it has ended."
        return _skip(f"{words}. {more}", before, words)
    digest = names.of(digest_of(findings)) if taken else str(before["finding"])
    attempt = 1
    if before.get("finding") == digest:
        attempt = int(before["attempt"])
        ended = _ended(context.instance, digest, attempt)
        reason = _not_again(ended, attempt)
        if reason:
            return _skip(f"{words}. {reason}", before, words)
        attempt += 1 if ended else 0
        words = words if taken else "the run that was asked for ended early: it is asked for again"
    context.log.info(words)
    return dg.SensorResult(
        run_requests=_requests(context.instance, taken, digest, words, attempt, names),
        cursor=_cursor(words, digest, attempt),
    )


def _skip(reason: str, before: "_Cursor", words: str) -> dg.SensorResult:
    """Ask for nothing; the cursor keeps what was asked for last, and shows what was seen."""
    attempt = int(before.get("attempt", 0))
    return dg.SensorResult(
        skip_reason=reason, cursor=_cursor(words, str(before.get("finding", "")), attempt)
    )


class _Cursor(TypedDict, total=False):
    saw: str
    finding: str
    attempt: int


def _cursor(words: str, digest: str, attempt: int) -> str:
    """Return the cursor: small, whatever the number of files, and first what a person reads."""
    value = {"saw": words[:WHY_CHARACTERS], "finding": digest, "attempt": attempt}
    return json.dumps(value, ensure_ascii=False)


def _is_at_work(instance: dg.DagsterInstance, ours: Belongings | None) -> bool:
    runs = instance.get_runs(dg.RunsFilter(statuses=_AT_WORK))
    return any(ours is None or ours.has(run) for run in runs)


def _requests(
    instance: dg.DagsterInstance,
    taken: list[Finding],
    digest: str,
    words: str,
    attempt: int,
    names: Names,
) -> list[dg.RunRequest]:
    key = f"{digest}-{attempt}"
    tags = {
        FILES_TAG: SETTLED,
        FINDING_TAG: digest,
        ATTEMPT_TAG: str(attempt),
        ASKED_BY_TAG: "sensor new_shards",
        WHY_TAG: words[:WHY_CHARACTERS],
    }
    if not automation_is_on(instance, names):
        return [dg.RunRequest(run_key=key, job_name=names.of(PUBLISH), tags=tags)]
    return [
        dg.RunRequest(
            run_key=f"{key}-{found.partition}",
            job_name=names.of(READ_SHARDS),
            partition_key=found.partition,
            tags=tags,
        )
        for found in taken
    ]


def automation_is_on(instance: dg.DagsterInstance, names: Names = PLAIN) -> bool:
    """Whether the sensor of the automation conditions is switched on."""
    return any(
        state.instigator_name == names.of(AUTOMATION) and state.status.value == "RUNNING"
        for state in instance.all_instigator_state()
    )


def _ended(instance: dg.DagsterInstance, digest: str, attempt: int) -> list[dg.DagsterRun]:
    """Return the runs of an earlier attempt at the same finding: none where it never started."""
    tags = {FINDING_TAG: digest, ATTEMPT_TAG: str(attempt)}
    old = {old_name(tag): value for tag, value in tags.items()}
    found = (instance.get_runs(dg.RunsFilter(tags=named)) for named in (tags, old))
    return [run for runs in found for run in runs]


def _ended_early(instance: dg.DagsterInstance, before: "_Cursor") -> bool:
    """Whether the last run that was asked for read its shards, and then died or lost a network."""
    if not before.get("finding"):
        return False
    ended = _ended(instance, str(before["finding"]), int(before["attempt"]))
    statuses = {run.status for run in ended}
    if dg.DagsterRunStatus.FAILURE not in statuses or dg.DagsterRunStatus.SUCCESS in statuses:
        return False  # Dagster starts a killed run again by itself: then it went well
    return not _not_again(ended, int(before["attempt"]))


def _not_again(ended: list[dg.DagsterRun], attempt: int) -> str:
    """Return why an ended attempt is not made again; nothing where it is worth another try."""
    bad = [run for run in ended if run.status == dg.DagsterRunStatus.FAILURE]
    if any(run.status == dg.DagsterRunStatus.CANCELED for run in ended):
        return "The run that was asked for was stopped by a person, so it is not asked for again."
    lasting = [run for run in bad if tag_of(run.tags, LASTS_TAG)]
    if lasting:
        return (
            f"The run that was asked for failed ({lasting[0].run_id[:8]}) and would fail again; it "
            f"is asked for when a file changes, or start the job {PUBLISH} yourself."
        )
    if ended and attempt >= MAX_ATTEMPTS:
        return (
            f"{attempt} runs were asked for and none read them; start the job {PUBLISH} yourself."
        )
    return ""


def _read_cursor(cursor: str | None) -> _Cursor:
    try:
        value = json.loads(cursor or "{}")
    except ValueError:
        return {}
    return cast(_Cursor, value) if isinstance(value, dict) else {}


def _follow_changes(ours: Belongings, names: Names) -> dg.SensorDefinition:
    """The automation conditions of the assets, evaluated by the daemon."""
    return dg.AutomationConditionSensorDefinition(
        name=names.of(AUTOMATION),
        target=dg.AssetSelection.assets(*sorted(ours.keys)),
        minimum_interval_seconds=15,
        description=(
            "Runs an asset when the data version of something it reads has changed, or its own "
            "code; not when an upstream was made again to the same. With new_shards on as well, a "
            "changed shard leads to a published mixture, with no schedule."
        ),
        run_tags={FILES_TAG: SETTLED, ASKED_BY_TAG: f"sensor {AUTOMATION}"},
        # One run a partition: a result is stamped on every partition of its run.
        emit_backfills=False,
    )
