"""Papers of a mixture version: public summaries, licences, the card and Croissant of an export."""

import json as json_text
from pathlib import Path
from typing import Annotated

import typer

from samplemix_dagster.cli.options import CONFIG, ConfigOption, JsonOption, open_project
from samplemix_dagster.errors import ConfigError, InputError
from samplemix_dagster.show.terminal import print_json, print_raw, say

_MixtureArgument = Annotated[str, typer.Argument(help="NAME, NAME@VERSION or a version.")]


def summary(
    mixture: _MixtureArgument,
    eu: Annotated[
        bool, typer.Option("--eu", help="The public summary that European law asks for.")
    ] = False,
    california: Annotated[
        bool, typer.Option("--california", help="The documentation that Californian law asks for.")
    ] = False,
    config: ConfigOption = CONFIG,
    *,
    json: JsonOption = False,
) -> None:
    """Say what a version was made from, for the public: sources, domains, licences, processing."""
    from samplemix_dagster.trace.papers.facts import facts_of
    from samplemix_dagster.trace.papers.summary import californian, european
    from samplemix_dagster.trace.versions import resolve_version

    if eu == california and not json:
        raise ConfigError("summary: name one of --eu and --california, or --json.")
    project = open_project(config)
    facts = facts_of(project, *resolve_version(project, mixture))
    if json:
        print_json(facts.to_json())
        return
    print_raw(european(facts) if eu else californian(facts))


def card(
    mixture: _MixtureArgument,
    to: Annotated[Path, typer.Option(help="A folder: README.md and croissant.json go there.")],
    export: Annotated[
        str, typer.Option("--export", help="Which of its exports, where there are several.")
    ] = "",
    config: ConfigOption = CONFIG,
) -> None:
    """Write the card of a version and the Croissant of its export, for whoever publishes it."""
    from samplemix_dagster.trace.exports.exported import open_export
    from samplemix_dagster.trace.papers.card import card as card_of
    from samplemix_dagster.trace.papers.croissant import croissant
    from samplemix_dagster.trace.papers.facts import facts_of
    from samplemix_dagster.trace.versions import resolve_version

    project = open_project(config)
    name, version = resolve_version(project, mixture)
    exported = open_export(project, f"{name}@{version}", export)
    facts = facts_of(project, name, version)
    described = json_text.dumps(croissant(facts, exported), indent=1, ensure_ascii=False)
    files = {"README.md": card_of(facts, exported.manifest), "croissant.json": described + "\n"}
    try:
        to.mkdir(parents=True, exist_ok=True)
        there = [file for file in files if (to / file).exists()]
        if there:
            raise InputError(f"{to} has {', '.join(there)} already; choose another folder.")
        for file, text in files.items():
            (to / file).write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"{to} could not be written: {error.strerror}") from error
    say(f"Wrote {' and '.join(files)} into {to}.")


def recipe(
    mixture: _MixtureArgument,
    to: Annotated[Path, typer.Option(help="An empty folder.")],
    config: ConfigOption = CONFIG,
) -> None:
    """Write a version without its texts: ids, digests and draws, from which others rebuild it."""
    from samplemix_dagster.trace.papers.rebuild import write_recipe
    from samplemix_dagster.trace.versions import resolve_version

    project = open_project(config)
    found = write_recipe(project, *resolve_version(project, mixture), to)
    say(
        f"Wrote the recipe of {found['name']}@{found['version'][:12]} into {to}: "
        f"{len(found['files']):,} files, no text. `samplemix rebuild {to} --to FOLDER` makes "
        f"{', '.join(found['exports'])} of it, from the same shards."
    )


def rebuild(
    folder: Annotated[Path, typer.Argument(help="The folder of a recipe.")],
    to: Annotated[Path, typer.Option(help="A folder; each export has one in it.")],
    config: ConfigOption = CONFIG,
    json: JsonOption = False,
) -> None:
    """Rebuild the exports of a recipe from this project's shards, and compare every byte."""
    from samplemix_dagster.trace.papers.rebuild import rebuild as rebuilt
    from samplemix_dagster.trace.takedown import held_words_of_recipe

    project = open_project(config)
    found = rebuilt(project, folder, to)
    if held := held_words_of_recipe(project, folder):
        say(f"warning: {held}")
    if json:
        print_json(found)
        return
    for done in found:
        say(
            f"{done['name']}@{done['version'][:12]} as {done['format']}: {len(done['files'])} "
            f"files with the recipe's bytes, {done['num_draws']:,} draws, "
            f"{done['num_tokens']:,} tokens."
        )
