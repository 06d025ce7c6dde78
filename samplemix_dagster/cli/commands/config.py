"""The commands that make and describe ``samplemix.yaml``: ``init`` and ``config schema``."""

from typing import TYPE_CHECKING, Annotated

import typer

from samplemix_dagster.cli.options import CONFIG, ConfigOption, JsonOption
from samplemix_dagster.errors import ConfigError
from samplemix_dagster.show.terminal import print_json, say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from samplemix_dagster.cli.start.init import Found
    from samplemix_dagster.cli.start.references import Choice

config_app = typer.Typer(help="About samplemix.yaml.", no_args_is_help=True, rich_markup_mode=None)


def init(
    directory: Annotated[
        str, typer.Argument(help="Folder of text, or s3://bucket/prefix, to look into.")
    ] = ".",
    config: ConfigOption = CONFIG,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
    reference: Annotated[
        str,
        typer.Option(
            help="The model that scores: auto (the first of these that is there), installed, hub, "
            "ngram, bootstrap; or a folder, a GGUF file, package:NAME/..., org/name@COMMIT."
        ),
    ] = "auto",
) -> None:
    """Write a commented samplemix.yaml for a folder of text."""
    from samplemix_dagster.cli.start.init import describe, only_texts
    from samplemix_dagster.cli.start.references import NAMES, choices, chosen, named
    from samplemix_dagster.cli.start.written import write_config
    from samplemix_dagster.show.presentation import size
    from samplemix_dagster.show.printed_table import print_table
    from samplemix_dagster.storage.corpus.scan import unread_words

    if config.exists() and not force:
        raise ConfigError(f"{config} exists; --force replaces it, --config names another.")
    base = config.resolve().parent
    found = only_texts(describe(directory, base), directory)
    every = choices() if reference in NAMES else [named(reference, base)]
    choice = chosen(reference, every)
    write_config(found, config, choice)
    print_table(
        ["source", "folder", "files", "format", "text field", "id field", "size"],
        [
            (s.name, s.folder, s.num_files, s.format, s.text, s.id, size(s.num_bytes))
            for s in found.sources
        ],
    )
    if found.unread:
        say(f"Not read: {unread_words(found.unread)}.")
    _tell_references(found, every, choice)
    say(f"Wrote {config}. Read it, then `samplemix plan` and `samplemix run`.")


def _tell_references(found: "Found", every: "Sequence[Choice]", chosen: "Choice") -> None:
    """Say which models could score, what each costs here and is worth, and which is to."""
    from samplemix_dagster.cli.start.references import operations_per_second, seconds_to_score
    from samplemix_dagster.cli.start.written import corpus_documents, corpus_tokens
    from samplemix_dagster.show.presentation import took
    from samplemix_dagster.show.printed_table import print_table

    sizes = corpus_tokens(found.sources), corpus_documents(found.sources)
    rate = operations_per_second()
    rows = []
    for one in every:
        seconds = seconds_to_score(one, *sizes, rate)
        cost = "not known yet" if seconds is None else str(took(seconds))
        here = "chosen" if one is chosen else one.missing or "to be had"
        rows.append((one.name, one.model or "made here", cost, one.worth, here))
    print_table(["reference", "model", "about, on one core or GPU", "worth", "here"], rows)


@config_app.command("schema")
def config_schema(json: JsonOption = True) -> None:
    """Print the JSON schema of samplemix.yaml, for editors: always one JSON value."""
    del json
    from samplemix_dagster.config.text.reading import config_schema as schema

    print_json(schema())
