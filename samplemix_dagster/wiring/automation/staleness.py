"""Staleness: what ``samplemix plan`` calls stale is what Dagster calls unsynced.

The planner is the truth, since it sees shards, settings and models. After each look, where the two
differ, one event in Dagster's log makes them agree:

- stale by the plan, in sync by Dagster: a new version, with the reason, of the asset's partition in
  ``inputs/<stage>`` (``wiring/assets/inputs.py``);
- current by the plan, never made by Dagster (the lake was made by another instance): it is noted as
  found, with the version that it has;
- current by the plan, unsynced by Dagster: the asset's last materialisation is noted again, with
  the versions that its dependencies have now. That is so after a dial was turned and turned back,
  and for a fit that is kept although its corpus has grown;
- a mixture that is current by both, and was noted before the last night: noted again, since Dagster
  would call it overdue (``freshness.py``).
"""

import contextlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg

from samplemix_dagster import __version__
from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.engine.project import Project
from samplemix_dagster.errors import InputError, SampleMixError
from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.stages.exclusions.takedown import takedown_file
from samplemix_dagster.stages.stepping.step import Step
from samplemix_dagster.stages.stepping.steps import build_steps
from samplemix_dagster.wiring.assets.inputs import inputs_key
from samplemix_dagster.wiring.automation.mirror import Mirror, observe_inputs_of
from samplemix_dagster.wiring.names import PLAIN, Names
from samplemix_dagster.wiring.running.reaping import reap_dead_runs
from samplemix_dagster.wiring.running.resources import ProjectResource

LOOK_SENSOR = "observe_inputs"
_LEAST_SECONDS, _MOST_SECONDS = 30, 600
_MOST_NAMED = 4
_RUNS_LOOKED_AT = 20
_CURSOR_CHARACTERS = 2000


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What a look found, and what it had to note."""

    stale: Mapping[str, str]
    """Why each stale asset is stale, in the order of the flow."""
    num_assets: int
    num_noted: int
    """Events that were written, so that Dagster says the same."""
    problems: Mapping[str, str]
    """Why a partition's files cannot be listed."""
    is_known: bool
    """Whether every asset of the configuration is among Dagster's definitions."""

    @property
    def in_words(self) -> str:
        """What a person reads of a look."""
        words = [f"{where}: {problem}" for where, problem in self.problems.items()]
        if not self.is_known:
            words.append("samplemix.yaml has other assets than are shown: reload this location")
        if self.stale:
            named = [f"{asset} ({why})" for asset, why in self.stale.items()]
            more = "" if len(named) <= _MOST_NAMED else f" and {len(named) - _MOST_NAMED} more"
            list_ = ", ".join(named[:_MOST_NAMED])
            words.append(f"{len(named)} of {self.num_assets} assets are stale: {list_}{more}")
        return "; ".join(words) or "everything is current"


def look_and_note(
    project: Project,
    instance: dg.DagsterInstance,
    repository: dg.RepositoryDefinition,
    names: Names = PLAIN,
    *,
    is_night: bool = False,
) -> Seen:
    """Compare the plan with what Dagster says, and make Dagster say what the plan says.

    Args:
        project: The project as its configuration is now.
        instance: The instance whose log is read and written.
        repository: The definitions that the instance's pages show.
        names: What the project's definitions are called there.
        is_night: Whether current mixtures are noted whatever their age: the next look that is sure
            to come is a whole night's period away.
    """
    project.refresh()
    planner = Planner(project, counts=False)
    plan = planner.plan()
    stale = {(task.step.asset, task.partition): task.why for task in plan.tasks}
    mirror = Mirror(instance, repository, project, names)
    for step in planner.steps:
        if not mirror.knows(step):
            continue
        if plan.problems and not step.is_partitioned:
            mirror.leave_open(step, "; ".join(plan.problems.values()))
            continue
        for partition in project.partitions if step.is_partitioned else [""]:
            if partition not in plan.problems:
                why = stale.get((step.asset, partition))
                mirror.agree(step, partition, why)
                if step.is_published:
                    mirror.say_how_it_stands(step, why, {asset for asset, _ in stale})
                    if why is None:
                        mirror.note_seen(step, is_night=is_night)
    return Seen(
        stale={entry["asset"]: entry["why"] for entry in plan.by_asset()},
        num_assets=len(planner.steps),
        num_noted=mirror.num_noted,
        problems=plan.problems,
        is_known=all(mirror.knows(step) for step in planner.steps),
    )


def observe(context: dg.OpExecutionContext, project: ProjectResource, names: Names) -> None:
    """Look because a person asked, and say what was seen."""
    seen = look_and_note(project.open_anew(), context.instance, context.repository_def, names)
    context.log.info("%s", seen.in_words)


def build_look(project: Project, names: Names) -> dg.SensorDefinition:
    """Return the sensor that looks by itself: it is on from the start, and starts no run."""

    def observe_inputs(
        context: dg.SensorEvaluationContext, project: ProjectResource
    ) -> dg.SensorResult:
        return _tick(context, project, names)

    return dg.sensor(
        name=names.of(LOOK_SENSOR),
        default_status=dg.DefaultSensorStatus.RUNNING,
        minimum_interval_seconds=max(_LEAST_SECONDS, project.config.sensor.interval),
        description=(
            "Looks at samplemix.yaml, at the files of the sources and at the lake, and notes which "
            "assets are stale and why, so that these pages say what `samplemix plan` says. It "
            "starts no run."
        ),
    )(names.hand_project(observe_inputs))


def _tick(
    context: dg.SensorEvaluationContext, resource: ProjectResource, names: Names
) -> dg.SensorResult:
    """Look, unless nothing has moved since the last look a few minutes ago."""
    assert context.repository_def is not None  # noqa: S101  a sensor's context has one
    reap_dead_runs(context.instance)  # others wait for what a dead run holds
    try:
        project = resource.open_anew()
        moved = _what_is_seen(project, context.instance)
        before, _, words = (context.cursor or "").partition(" ")
        if before != moved or not words:
            seen = look_and_note(project, context.instance, context.repository_def, names)
            words = seen.in_words
            # What was just noted is no news to the next tick.
            moved = _what_is_seen(project, context.instance)
    except SampleMixError as error:
        return dg.SensorResult(skip_reason=str(error), cursor="")
    return dg.SensorResult(skip_reason=words, cursor=f"{moved} {words}"[:_CURSOR_CHARACTERS])


def _what_is_seen(project: Project, instance: dg.DagsterInstance) -> str:
    """Return a digest of what mostly moves, for the price of listing files.

    What else a plan sees (a model's files, a table that somebody removed) is looked at when the
    next ten minutes begin.
    """
    project.refresh()
    return fingerprint(
        {
            "code": __version__,
            "moment": int(time.time() // _MOST_SECONDS),
            "settings": project.config.model_dump(mode="json"),
            "files": {name: _listed(project, name) for name in project.partitions},
            "joined": [_stamp(project.root / one.file) for one in project.config.joined],
            "takedown": _stamp(takedown_file(project)),
            "evaluation": _held_out(project),
            "runs": [
                [run.run_id, run.status.value] for run in instance.get_runs(limit=_RUNS_LOOKED_AT)
            ],
        }
    )


def _held_out(project: Project) -> list[str]:
    """Return the files of the texts that must not be drawn, as they are seen now."""
    found = []
    for name in project.config.exclude.evaluation:
        source = project.config.exclude.source(name)
        with contextlib.suppress(InputError):
            listing = project.files.matching(source.paths, reads_any=source.format != "auto")
            found += [f"{path} {project.files.look(path)}" for path in listing.files]
    return found


def _stamp(file: Path) -> list[int]:
    """Return a file's size and time; nothing where it is not there."""
    try:
        seen = file.stat()
    except OSError:
        return []
    return [seen.st_size, seen.st_mtime_ns]


def _listed(project: Project, partition: str) -> Any:
    try:
        return project.scan(partition).to_json()
    except InputError as error:
        return str(error)


def begin_to_observe(project: Project, instance: dg.DagsterInstance, names: Names = PLAIN) -> None:
    """Give each stage's inputs a first version, where they have none.

    What is materialised afterwards notes up to which event it knew them.
    """
    first: dict[str, Step] = {}
    for step in build_steps(project):
        first.setdefault(step.group, step)
    for group, step in first.items():
        key = inputs_key(group, names)
        if instance.get_latest_data_version_record(key, is_source=True) is None:
            partition = project.partitions[0] if step.is_partitioned else ""
            observe_inputs_of(instance, step, partition, "at first", "", names)
