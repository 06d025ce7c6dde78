"""Commands that look back at an export: which document stands where, and what a trainer takes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from samplemix_dagster.cli.options import CONFIG, ConfigOption, JsonOption, open_project
from samplemix_dagster.errors import ConfigError
from samplemix_dagster.show.terminal import print_json, print_lines

_ExportArgument = Annotated[
    str,
    typer.Argument(metavar="EXPORT", help="An export's folder, or NAME[@VERSION] of a mixture."),
]
_NameOption = Annotated[
    str, typer.Option("--export", help="Which of the mixture's exports, where there are several.")
]
_SequenceOption = Annotated[
    int | None,
    typer.Option(help="Ids of a training sequence; 2048, or what rows were written for.", min=1),
]


def trace(
    of: _ExportArgument,
    file: Annotated[str | None, typer.Argument(help="A file of draws in it.")] = None,
    offset: Annotated[
        int | None, typer.Argument(help="Which id in it from 0; in a file of texts, which row.")
    ] = None,
    step: Annotated[
        int | None, typer.Option(help="A training step instead, from 0.", min=0)
    ] = None,
    batch: Annotated[int, typer.Option(help="Sequences of a step.", min=1)] = 1,
    sequence: _SequenceOption = None,
    *,
    cache: Annotated[
        Path | None,
        typer.Option(help="Megatron's --data-cache-path: its own order of the steps."),
    ] = None,
    export: _NameOption = "",
    config: ConfigOption = CONFIG,
    json: JsonOption = False,
) -> None:
    """Say which document stands at a place of an export, or in a training step, and why."""
    from samplemix_dagster.trace.exports.exported import open_export, trace_place, trace_step
    from samplemix_dagster.trace.exports.megatron_steps import trace_cached_step

    project = open_project(config)
    exported = open_export(project, of, export)
    if step is not None:
        if cache is None:
            spans = trace_step(exported, step, batch, sequence)
        else:
            spans = trace_cached_step(exported, cache, step, batch, file)
        if json:
            print_json(spans)
        else:
            _print_spans(spans)
        return
    if file is None or offset is None:
        raise ConfigError("trace: name FILE and OFFSET, or a --step.")
    draws = trace_place(exported, file, offset)
    found = {"draws": draws, **_explained(project, exported.manifest, draws[0]["doc_id"])}
    if json:
        print_json(found)
        return
    from samplemix_dagster.show.explained import explanation_lines

    is_text = exported.wanted.form.unit == "text"
    for draw in draws:
        end = draw["offset"] + draw["num_ids"]
        where = f"row {draw['offset']:,}" if is_text else f"{draw['offset']:,} to {end:,}"
        print_lines([f"draw: copy {draw['copy']}, {draw['file']} {where}"])
    document = found["document"]
    print_lines([found["problem"]] if document is None else explanation_lines(document))


def _explained(project: Any, manifest: Mapping[str, Any], doc_id: str) -> Mapping[str, Any]:
    """Return what is known of a document in the version, or why nothing is."""
    from samplemix_dagster.errors import SampleMixError
    from samplemix_dagster.trace.explain import explain_document

    version = f"{manifest['name']}@{manifest['version']}"
    try:
        return {"document": explain_document(project, doc_id, version)}
    except SampleMixError as error:
        return {"document": None, "problem": f"document {doc_id} of {version}: {error}"}


def _print_spans(spans: Sequence[Mapping[str, Any]]) -> None:
    from samplemix_dagster.show.printed_table import print_table

    names = ("sequence", "begin", "end", "doc_id", "source", "copy", "file")
    print_table(list(names), [tuple(span[name] for name in names) for span in spans])


def sees(
    of: _ExportArgument,
    sequence: _SequenceOption = None,
    steps: Annotated[
        int | None,
        typer.Option(help="Steps of the training, as the mixture's `budget` has them.", min=1),
    ] = None,
    batch: Annotated[int, typer.Option(help="Sequences of a step.", min=1)] = 1,
    *,
    export: _NameOption = "",
    config: ConfigOption = CONFIG,
    json: JsonOption = False,
) -> None:
    """Say what a trainer takes of an export: tokens kept, cropped, dropped, padded, repeated."""
    from samplemix_dagster.show.presentation import share
    from samplemix_dagster.show.printed_table import print_table
    from samplemix_dagster.trace.exports.exported import as_seen, budget_in_steps, open_export

    project = open_project(config)
    exported = open_export(project, of, export)
    asked = budget_in_steps(project, exported)
    if steps is None and sequence is None and asked is not None:
        steps, batch, sequence = asked.steps, asked.batch, asked.sequence
    found = as_seen(exported, sequence, None if steps is None else steps * batch)
    if json:
        print_json(found)
        return
    counts = [name for name in found[0] if name not in {"reading", "sequence", "shares"}]
    print_table(
        ["a trainer that reads", *counts, "kept of all"],
        [
            (
                row["reading"],
                *(f"{row[name]:,}" for name in counts),
                share(row["kept"] / row["ids"]),
            )
            for row in found
        ],
        title=f"{exported.wanted.words}, sequences of {found[0]['sequence']:,} ids, "
        + ("one pass" if steps is None else f"{steps:,} steps of {batch:,}"),
    )
    names = list(found[0]["shares"]["before"])
    print_table(
        ["share of ids", *names],
        [
            (f"{row['reading']}: {when}", *(share(row["shares"][when][name]) for name in names))
            for row in found
            for when in ("before", "after")
        ],
    )


def launch(
    of: _ExportArgument,
    sequence: _SequenceOption = None,
    *,
    export: _NameOption = "",
    config: ConfigOption = CONFIG,
    json: JsonOption = False,
) -> None:
    """Say what to type so that a trainer takes an export as it is, in its order if it can."""
    from dataclasses import asdict

    from samplemix_dagster.trace.exports.exported import open_export
    from samplemix_dagster.trace.exports.launching import fragments_of

    found = fragments_of(open_export(open_project(config), of, export), sequence)
    if json:
        print_json([asdict(one) for one in found])
        return
    for number, one in enumerate(found):
        order = f"not in the order of the export: {one.order}" if one.order else "in its order"
        gap = [""] if number else []
        print_lines([*gap, f"{one.trainer} ({one.language}), {order}:", ""])
        print_lines([f"    {line}" for line in one.text.split("\n")])
