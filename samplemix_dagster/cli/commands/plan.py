"""The commands that look and change nothing: ``plan`` and ``status``."""

from collections.abc import Collection

import typer

from samplemix_dagster.cli.options import (
    CONFIG,
    ConfigOption,
    FormatOption,
    JsonOption,
    open_project,
)
from samplemix_dagster.show.terminal import print_json, say


def plan(
    config: ConfigOption = CONFIG, json: JsonOption = False, form: FormatOption = "table"
) -> None:
    """Say what would run and why; run nothing."""
    from samplemix_dagster.runs.plan.cost.estimates import estimated
    from samplemix_dagster.runs.plan.foresight import notes, refusals
    from samplemix_dagster.runs.plan.plan import Planner
    from samplemix_dagster.runs.standing.losses import losses
    from samplemix_dagster.runs.standing.warned import as_json
    from samplemix_dagster.show.bars import waiting
    from samplemix_dagster.show.presentation import about, in_all
    from samplemix_dagster.show.printed_table import chosen_format, print_table, write_records

    form = chosen_format(form, json=json)
    project = open_project(config)
    with waiting("Looking at the corpus and the lake"):
        planner = Planner(project)
        found = planner.plan()
        stages = estimated(project, found, guesses=True)
        problems = {**found.problems, **refusals(planner.recipes, found)}
        warned = [*notes(planner.recipes, found), *losses(planner.recipes)]
    if form == "json":
        print_json({"stages": stages, "problems": problems, "warnings": as_json(warned)})
    elif form != "table":
        write_records(form, stages)
    elif found.is_empty:
        say("Everything is current.")
    else:
        print_table(
            ["stage", "asset", "shards", "documents", "about", "why"],
            [
                (
                    entry["stage"],
                    entry["asset"],
                    entry["num_shards"],
                    entry["num_documents"],
                    about(entry["seconds"], is_guess=entry["is_guess"]),
                    entry["why"],
                )
                for entry in stages
            ],
        )
        if stages:
            say(in_all(stages))
    for warning in warned:
        say(f"warning: {warning.sentence}")
    for problem in _sentences(problems, {step.asset for step in planner.steps}):
        say(f"problem: {problem}")
    if problems:
        raise typer.Exit(1)


def _sentences(problems: dict[str, str], assets: Collection[str]) -> list[str]:
    """Return problems as sentences: of a source as they are, of an asset with its name."""
    return [f"{key}: {words}" if key in assets else words for key, words in problems.items()]


def status(
    config: ConfigOption = CONFIG, json: JsonOption = False, form: FormatOption = "table"
) -> None:
    """Say for each asset whether it is current, stale and why, or failed."""
    from samplemix_dagster.runs.standing.status import project_status
    from samplemix_dagster.show.bars import waiting
    from samplemix_dagster.show.printed_table import chosen_format, print_table, write_records

    form = chosen_format(form, json=json)
    project = open_project(config)
    with waiting("Looking at the corpus and the lake"):
        found = project_status(project)
    if form == "json":
        print_json(found)
        return
    if form != "table":
        write_records(form, found["assets"])
        return
    print_table(
        ["stage", "asset", "state", "drift", "why"],
        [
            (entry["stage"], entry["asset"], entry["state"], entry["drift"], entry["why"])
            for entry in found["assets"]
        ],
    )
    for failure in found["failures"]:
        say(f"failed: {failure}")
    for problem in found["problems"].values():
        say(f"problem: {problem}")
    for warning in found["warnings"]:
        say(f"warning: {warning['where']}: {warning['words']}")
