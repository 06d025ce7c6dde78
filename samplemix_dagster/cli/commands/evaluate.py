"""``samplemix evaluate``: which mixture trains the better model."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from samplemix_dagster.cli.options import (
    CONFIG,
    ConfigOption,
    HtmlOption,
    JsonOption,
    open_project,
    write_page,
)
from samplemix_dagster.errors import ConfigError
from samplemix_dagster.show.terminal import print_json, say

if TYPE_CHECKING:
    from samplemix_dagster.config.evaluation import Evaluation
    from samplemix_dagster.engine.project import Project
    from samplemix_dagster.validation.evaluate import Prepared

_ARMS = "Mixtures, NAME@VERSION, versions, files of ids or draws; NAME=... calls one so."


def evaluate(
    arms: Annotated[list[str] | None, typer.Argument(help=_ARMS, show_default=False)] = None,
    *,
    config: ConfigOption = CONFIG,
    texts: Annotated[
        list[str] | None, typer.Option(help="GROUP=PATH of held-out texts (repeatable).")
    ] = None,
    tasks: Annotated[
        list[str] | None, typer.Option(help="NAME=PATH of questions with answers (repeatable).")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="Labels of a dirty pool: says what is recovered.")
    ] = None,
    learner: Annotated[str | None, typer.Option(help="ngram, or transformer.")] = None,
    size: Annotated[str | None, typer.Option(help="Size of the transformer: 0.9M to 125M.")] = None,
    budget: Annotated[str | None, typer.Option(help="Tokens that each learner reads.")] = None,
    seeds: Annotated[int | None, typer.Option(help="Pairs of draws; 8 make a claim.")] = None,
    pool: Annotated[str | None, typer.Option(help="auto, or the share to draw from.")] = None,
    order: Annotated[int | None, typer.Option(help="Order of the n-gram learner.")] = None,
    ladder: Annotated[
        str | None, typer.Option(help="Further budgets, as multiples: 0.5,0.75,1.5; none.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what it costs; a short trial times it.")
    ] = False,
    html: HtmlOption = None,
    json: JsonOption = False,
) -> None:
    """Judge mixtures: train small learners on draws of each, and compare them on held-out texts."""
    from samplemix_dagster.show.bars import Bars, waiting
    from samplemix_dagster.show.evaluated.judged import cost_line, print_judged

    project = open_project(config)
    settings = _settings(
        project,
        {
            "texts": _files(texts),
            "tasks": _files(tasks),
            "labels": str(Path(labels).absolute()) if labels else None,
            "learner": learner,
            "size": size,
            "budget_tokens": budget,
            "seeds": seeds,
            "pool": _pool(pool),
            "order": order,
            "ladder": _ladder(ladder),
        },
    )
    with waiting("Looking at the corpus"):
        from samplemix_dagster.pages.evaluation import evaluation_page
        from samplemix_dagster.validation.evaluate import prepare, run
        from samplemix_dagster.validation.verdicts.foreseen import cost_foreseen
    with Bars() as bars:
        prepared: Prepared = prepare(project, arms or [], settings, bars.update)
        cost = cost_foreseen(prepared) if dry_run else prepared.cost
        bars.note(cost_line(cost))
        found: dict[str, object] | None = None
        if not dry_run:
            with project.at_work(say):
                found = run(prepared, bars.update)
    if found is not None and html is not None:
        write_page(html, evaluation_page(found))
    if json:
        print_json({"cost": cost} if found is None else found)
    elif found is not None and html is None:
        print_judged(found)


def _settings(project: "Project", changes: dict[str, object]) -> "Evaluation":
    """Return the section of the configuration with what the options change.

    Raises:
        ConfigError: An option has a value that the section does not take.
    """
    from pydantic import ValidationError

    from samplemix_dagster.config.evaluation import Evaluation

    before = project.config.evaluation.model_dump()
    given = {key: value for key, value in changes.items() if value is not None}
    if "texts" in given:
        before["sets"] = {}
    try:
        return Evaluation.model_validate({**before, **given})
    except ValidationError as error:
        first = error.errors()[0]
        message = str(first["msg"]).removeprefix("Value error, ")
        # What concerns several keys has no place of its own, and begins with the key.
        where = "".join(f"{part}: " for part in first["loc"][:1])
        raise ConfigError(f"evaluation.{where}{message}") from None


def _files(words: Sequence[str] | None) -> dict[str, list[str]] | None:
    found: dict[str, list[str]] = {}
    for word in words or []:
        group, is_named, place = word.partition("=")
        if not is_named or Path(word).is_file():
            group, place = Path(word).name.partition(".")[0], word
        found.setdefault(group, []).append(str(Path(place).absolute()))
    return found or None


def _pool(words: str | None) -> str | float | None:
    if words is None or words == "auto":
        return words
    try:
        share = float(words)
    except ValueError:
        share = math.nan
    if not 0 < share <= 1:
        raise ConfigError(f"--pool: `auto` or a share such as 0.25, not {words!r}.")
    return share


def _ladder(words: str | None) -> list[float] | None:
    if words is None:
        return None
    try:
        return [] if words == "none" else [float(word) for word in words.split(",")]
    except ValueError:
        raise ConfigError(f"--ladder: multiples such as 0.5,1.5, not {words!r}.") from None
