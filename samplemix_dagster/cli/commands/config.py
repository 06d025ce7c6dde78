"""The commands that make and describe ``samplemix.yaml``: ``init`` and ``config schema``."""

from typing import Annotated

import typer

from samplemix_dagster.cli.options import CONFIG, ConfigOption, JsonOption
from samplemix_dagster.errors import ConfigError
from samplemix_dagster.show.terminal import print_json, say

config_app = typer.Typer(help="About samplemix.yaml.", no_args_is_help=True, rich_markup_mode=None)


def init(
    directory: Annotated[
        str, typer.Argument(help="Folder of text, or s3://bucket/prefix, to look into.")
    ] = ".",
    config: ConfigOption = CONFIG,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing file.")] = False,
) -> None:
    """Write a commented samplemix.yaml for a folder of text."""
    from samplemix_dagster.cli.start.init import describe, write_config
    from samplemix_dagster.show.presentation import size
    from samplemix_dagster.show.printed_table import print_table
    from samplemix_dagster.storage.corpus.manifest import unread_words

    if config.exists() and not force:
        raise ConfigError(f"{config} exists; --force replaces it, --config names another.")
    found = describe(directory, config.resolve().parent)
    write_config(found, config)
    print_table(
        ["source", "folder", "files", "format", "text field", "id field", "size"],
        [
            (s.name, s.folder, s.num_files, s.format, s.text, s.id, size(s.num_bytes))
            for s in found.sources
        ],
    )
    if found.unread:
        say(f"Not read: {unread_words(found.unread)}.")
    say(f"Wrote {config}. Read it, then `samplemix plan` and `samplemix run`.")


@config_app.command("schema")
def config_schema(json: JsonOption = True) -> None:
    """Print the JSON schema of samplemix.yaml, for editors: always one JSON value."""
    del json
    from samplemix_dagster.config.reading import config_schema as schema

    print_json(schema())
