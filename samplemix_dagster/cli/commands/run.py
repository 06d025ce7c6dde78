"""The command ``samplemix run``: what is to run, and what to say when it has.

It knows without Dagster when there is nothing to do.
"""

import contextlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from samplemix_dagster.cli.options import CONFIG, ConfigOption, JsonOption, open_project
from samplemix_dagster.errors import (
    CheckFailedError,
    DamagedError,
    InfeasibleMixtureError,
    LakeError,
)
from samplemix_dagster.show.terminal import print_json, print_lines, say

if TYPE_CHECKING:
    from samplemix_dagster.engine.project import Project
    from samplemix_dagster.runs.standing.warned import Warned
    from samplemix_dagster.wiring.running.run_report import RunReport


def run(
    config: ConfigOption = CONFIG,
    select: Annotated[
        list[str] | None,
        typer.Option(help="Stages to bring up to date, with what they need (repeatable)."),
    ] = None,
    mixture: Annotated[
        list[str] | None, typer.Option(help="Mixtures to make (repeatable); all when absent.")
    ] = None,
    refit: Annotated[
        list[str] | None,
        typer.Option(help="Fits to make again whatever their drift (repeatable); `all` of them."),
    ] = None,
    check_lake: Annotated[
        bool,
        typer.Option("--check-lake", help="Read every file in use first; remake damaged ones."),
    ] = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Show Dagster's own log.")] = False,
    json: JsonOption = False,
) -> None:
    """Run what is stale, in the project's Dagster instance."""
    from samplemix_dagster.runs.work.choosing import check_mixtures, check_stages, fits_to_remake
    from samplemix_dagster.runs.work.unfinished import abandoned
    from samplemix_dagster.show.bars import waiting

    project = open_project(config)
    check_stages(select or [], "--select")
    check_mixtures(project, mixture or [], "--mixture")
    project.refits = fits_to_remake(project, refit or [], "--refit")
    if check_lake:
        _check_lake(project)
    with waiting("Looking at the corpus and the lake"):
        is_current, refused = _look(project, select, mixture)
    _refuse(refused)
    if is_current:
        # A lake made before there were markers gets its own, where it can be written at all.
        with contextlib.suppress(LakeError), project.at_work():
            _note_what_stands(project)
        if abandoned(project.home):
            _tell_of_killed_runs(project)
        warned = _lost(project)
        _show_run(None, warned, json=json)
        say("Everything is current: nothing to do.")
        _end_as_configured(project, warned)
        return
    with waiting("Starting Dagster"):
        from samplemix_dagster.cli.session import run_in_instance
        from samplemix_dagster.wiring.jobs.parts import Choice

    choice = Choice(
        select=select or [], mixtures=mixture or [], refit=refit or [], check_lake=check_lake
    )
    _end(project, run_in_instance(project, choice, verbose=verbose), config, json=json)


def _note_what_stands(project: "Project") -> None:
    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.engine.shards.carrying import note_what_stands
    from samplemix_dagster.stages.stepping.steps import build_steps

    stages = (stage for step in build_steps(project) for stage in step.stages)
    note_what_stands(Recipes(project), stages)


def _tell_of_killed_runs(project: "Project") -> None:
    from samplemix_dagster.cli.session import tell_of_killed_runs
    from samplemix_dagster.show.bars import waiting

    with waiting("Telling Dagster of a run that was killed"):
        tell_of_killed_runs(project)


def _check_lake(project: "Project") -> None:
    from samplemix_dagster.runs.upkeep.repair import check_lake

    num_good = check_lake(project)
    num_damaged = len(set(project.lake.damaged))
    say(f"{num_good:,} files of the lake are whole; {num_damaged:,} are damaged.")


def _refuse(refused: dict[str, str]) -> None:
    """End before anything is paid for: all scores would be made first.

    Raises:
        InfeasibleMixtureError: Something that was asked for cannot be made.
    """
    if refused:
        last = "Nothing was run."
        if all(asset.startswith("mixture/") for asset in refused):
            last = "Nothing was run; --mixture NAME runs the mixtures that can be made."
        sentences = [f"{asset}: {words}" for asset, words in refused.items()]
        raise InfeasibleMixtureError("\n".join([*sentences, last]))


def _end(project: "Project", report: "RunReport", config: Path, *, json: bool) -> None:
    """Say what a run did, what it made, and what was lost.

    Raises:
        CheckFailedError: Something was lost, and ``corpus.warn`` is ``fail``.
    """
    from samplemix_dagster.runs.standing.warned import Warned

    warned = [*_lost(project), *(Warned(**check) for check in report.warnings)]
    _show_run(report, warned, json=json)
    if not report.succeeded:
        for warning in warned:
            say(f"warning: {warning.sentence}")
        for failure in report.failures:
            say(f"samplemix: {failure}")
        raise typer.Exit(1)
    if not json:
        made = {entry["asset"] for entry in report.done}
        _show_mixtures(project, [n for n in project.config.mixtures if f"mixture/{n}" in made])
        say(f"Open the Dagster UI on this project with `samplemix ui --config {config}`.")
    _end_as_configured(project, warned)


def _lost(project: "Project") -> "list[Warned]":
    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.runs.standing.losses import losses

    return losses(Recipes(project))


def _end_as_configured(project: "Project", warned: "Sequence[Warned]") -> None:
    """Say what was lost, last; end with exit code 3 where the configuration wants that.

    Raises:
        CheckFailedError: Something was lost, and ``corpus.warn`` is ``fail``.
    """
    for warning in warned:
        say(f"warning: {warning.sentence}")
    lost = [warning for warning in warned if warning.kind not in {"check", "workers"}]
    if lost and project.config.corpus.warn == "fail":
        raise CheckFailedError(
            f"{len(lost)} warning{'' if len(lost) == 1 else 's'} of the corpus, and corpus.warn is "
            "`fail`. What was made is kept."
        )


def _look(
    project: "Project", select: list[str] | None, mixture: list[str] | None
) -> tuple[bool, dict[str, str]]:
    """Return (whether there is nothing to do, what cannot be made): found without Dagster."""
    from samplemix_dagster.runs.plan.foresight import refusals
    from samplemix_dagster.runs.plan.plan import Planner
    from samplemix_dagster.stages.stepping.step import select_steps
    from samplemix_dagster.storage.report.published import report_reason

    planner = Planner(project)
    steps = select_steps(planner.steps, select, mixture)
    is_report_wanted = select is None or "report" in select
    try:
        plan = planner.plan([step.asset for step in steps])
        refused = refusals(planner.recipes, plan)
    except DamagedError:
        return False, {}
    if project.lake.damaged or not plan.is_empty:
        return False, refused
    return not is_report_wanted or not report_reason(project.lake), refused


def _show_run(report: "RunReport | None", warned: "Sequence[Warned]", *, json: bool) -> None:
    """Show what a run did; without one nothing was to be done."""
    from samplemix_dagster.runs.standing.warned import as_json
    from samplemix_dagster.show.presentation import duration
    from samplemix_dagster.show.printed_table import print_table

    stages = [] if report is None else report.done
    if json:
        print_json(
            {
                "stages": stages,
                "succeeded": report is None or report.succeeded,
                "failures": [] if report is None else report.failures,
                "repairs": [] if report is None else report.repairs,
                "run_ids": [] if report is None else report.run_ids,
                "warnings": as_json(warned),
            }
        )
    elif stages:
        print_table(
            ["stage", "asset", "shards", "documents", "took", "why"],
            [
                (
                    entry["stage"],
                    entry["asset"],
                    entry["num_shards"],
                    entry["num_documents"],
                    duration(entry["seconds"]),
                    entry["why"],
                )
                for entry in stages
            ],
        )


def _show_mixtures(project: "Project", names: Iterable[str]) -> None:
    """Show what the current versions of some mixtures are."""
    from samplemix_dagster.show.presentation import mixture_lines
    from samplemix_dagster.trace.versions import current_manifest

    for name in names:
        manifest = current_manifest(project, name)
        if manifest is not None:
            print_lines(["", *mixture_lines(manifest)])
