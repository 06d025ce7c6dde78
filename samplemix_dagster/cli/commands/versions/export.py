"""The command that writes a mixture's draws as files for trainers."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from samplemix_dagster.cli.options import CONFIG, ConfigOption, JsonOption, open_project
from samplemix_dagster.errors import ConfigError
from samplemix_dagster.export_formats.table import FORMATS
from samplemix_dagster.show.terminal import print_json, say


def export(
    name: Annotated[str, typer.Argument(help="Mixture: NAME, NAME@VERSION or a version.")],
    to: Annotated[
        str, typer.Option("--to", help="Empty folder, or s3://bucket/prefix, to write to.")
    ],
    form: Annotated[str, typer.Option("--format", help=f"{', '.join(FORMATS)}.")] = next(
        iter(FORMATS)
    ),
    files: Annotated[int, typer.Option(help="Files of near-equal size.", min=1)] = 4,
    eos: Annotated[
        str | None,
        typer.Option(help="Where a document has the EOS id, in formats of ids: end, start, none."),
    ] = None,
    options: Annotated[
        list[str] | None,
        typer.Option("--set", help="Another option of the format: KEY=VALUE, as under `export`."),
    ] = None,
    *,
    config: ConfigOption = CONFIG,
    json: JsonOption = False,
) -> None:
    """Write a mixture's draws as files for trainers."""
    from samplemix_dagster.export_formats.wanted import Wanted
    from samplemix_dagster.show.bars import Bars
    from samplemix_dagster.stages.export.exporting import export_version
    from samplemix_dagster.storage.corpus.home import left_beside
    from samplemix_dagster.storage.s3.bucket import SCHEME
    from samplemix_dagster.trace.takedown import held_words
    from samplemix_dagster.trace.versions import resolve_version

    if form not in FORMATS:
        raise ConfigError(f"--format is {' or '.join(FORMATS)}, not {form!r}.")
    project = open_project(config)
    mixture, version = resolve_version(project, name)
    with Bars() as bars:
        manifest = export_version(
            project,
            mixture,
            version,
            Wanted.of(form, files, _format_options(form, eos, options or [])),
            folder=to,
            progress=bars.update,
        )
    if held := held_words(project, mixture, version):
        say(f"warning: {held}")
    if left := [] if to.startswith(SCHEME) else left_beside(Path(to).resolve()):
        say(
            f"Beside it lie {', '.join(one.name for one in left)}: of exports that were killed, or "
            "that are at work. Remove them when none is."
        )
    if json:
        print_json({**manifest, "folder": to})
    else:
        say(
            f"Wrote {manifest['num_draws']:,} draws, {manifest['num_tokens']:,} tokens, in "
            f"{len(manifest['files'])} files to {to}; read back and counted.{_eos_words(manifest)}"
        )


def _format_options(form: str, eos: str | None, words: list[str]) -> Mapping[str, str]:
    """Return what was said of a format's options.

    Raises:
        ConfigError: A word is no KEY=VALUE, or the format has no such option.
    """
    said = {key: value for key, _, value in (word.partition("=") for word in words)}
    known = FORMATS[form].options
    for key in said:
        if key not in known:
            has = f"has {', '.join(known)}" if known else "has no options"
            raise ConfigError(f"--set {key}: format {form} {has}.")
    return said if eos is None else {**said, "eos": eos}


def _eos_words(manifest: Mapping[str, Any]) -> str:
    """Say what EOS and BOS add to an export of ids; nothing of one of texts."""
    if "eos_id" not in manifest:
        return ""
    num_bos = manifest.get("num_bos_tokens", 0)
    words = f" BOS ({manifest['bos_id']}) adds {num_bos:,} ids." if num_bos else ""
    if manifest["eos_id"] is None:
        return f"{words} The tokenizer names no EOS, so none stands between documents."
    pieces = manifest.get("num_escape_tokens", 0)
    added = manifest["num_added_tokens"] - num_bos - pieces
    inside, escaped = manifest["num_documents_holding_eos"], manifest.get("num_escaped_documents")
    eos = manifest["eos_id"]
    words += f" EOS ({eos}) adds {added:,} ids." if added else " EOS is not written."
    if escaped:
        words += (
            f" Words like it in {escaped:,} document{'' if escaped == 1 else 's'} are written in "
            f"pieces, which adds {pieces:,} ids."
        )
    if inside:
        words += f" {inside:,} documents hold its id in their text: go by the ends, not by EOS."
    return words
