"""The commands of ``samplemix mixture``: which versions there are, whence, and what differs.

Thin, as all commands are: each opens the project, calls one function, shows the answer.
"""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from samplemix_dagster.cli.options import (
    CONFIG,
    ConfigOption,
    FormatOption,
    HtmlOption,
    JsonOption,
    open_project,
    write_page,
)
from samplemix_dagster.errors import CheckFailedError
from samplemix_dagster.show.terminal import (
    print_json,
    print_lines,
    print_raw,
    say,
    terminal_width,
)

mixture_app = typer.Typer(
    help="Mixture versions: list, show, lineage, diff, verify.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
VersionArgument = Annotated[str, typer.Argument(help="NAME, NAME@VERSION or a version.")]


@mixture_app.command("list")
def mixture_list(
    config: ConfigOption = CONFIG, json: JsonOption = False, form: FormatOption = "table"
) -> None:
    """List every mixture version; the current one of each is marked."""
    from samplemix_dagster.show.printed_table import chosen_format, print_table, write_records
    from samplemix_dagster.trace.takedown import num_held
    from samplemix_dagster.trace.versions import list_versions

    form = chosen_format(form, json=json)
    project = open_project(config)
    found: list[Mapping[str, Any]] = [{**entry} for entry in list_versions(project)]
    held = num_held(project)
    if held:
        found = [
            {**entry, "num_taken_down": held.get((entry["name"], entry["version"]), 0)}
            for entry in found
        ]
    if form == "json":
        print_json(found)
        return
    if form != "table":
        write_records(form, found)
        return
    print_table(
        ["", "name", "version", "made", "tokens", "budget"],
        [
            (
                "*" if entry["is_current"] else "",
                entry["name"],
                entry["version"],
                entry["made_at"],
                entry["realised_tokens"],
                entry["budget_tokens"],
            )
            for entry in found
        ],
    )
    for (name, version), count in held.items():
        say(f"{name}@{version[:12]} holds documents taken down since: {count:,}.")
    if not found:
        say("No mixture has been made; `samplemix run` makes them.")


@mixture_app.command("show")
def mixture_show(
    name: Annotated[str, typer.Argument(help="NAME, NAME@VERSION or a version.")],
    config: ConfigOption = CONFIG,
    json: JsonOption = False,
) -> None:
    """Show what a mixture version is."""
    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.runs.standing.losses import losses
    from samplemix_dagster.show.presentation import mixture_lines, share
    from samplemix_dagster.show.printed_table import print_table
    from samplemix_dagster.stages.mixture.drawing.axes import axes_in_words
    from samplemix_dagster.trace.takedown import num_held
    from samplemix_dagster.trace.versions import load_manifest, resolve_version, summary

    project = open_project(config)
    mixture, version = resolve_version(project, name)
    manifest = load_manifest(project, mixture, version)
    if json:
        print_json(summary(manifest))
        return
    print_lines([*mixture_lines(manifest), ""])
    report = manifest["report"]
    axes = axes_in_words(manifest["config"])
    for what, shares in (("source", report["sources"]), (axes, report.get("groups"))):
        if shares is not None:
            print_table(
                [what, "before", "after", "tokens"],
                [
                    (
                        name,
                        share(entry["share_before"]),
                        share(entry["share_after"]),
                        entry["tokens"],
                    )
                    for name, entry in shares.items()
                ],
            )
            print_lines([""])
    print_table(["copies", "documents"], [(int(k), count) for k, count in report["copies"].items()])
    if held := num_held(project).get((mixture, version)):
        say(f"warning: this version holds documents taken down since: {held:,}.")
    for warning in losses(Recipes(project)):
        say(f"warning, of the corpus as it is now: {warning.sentence}")


@mixture_app.command("lineage")
def mixture_lineage(
    name: VersionArgument,
    config: ConfigOption = CONFIG,
    html: HtmlOption = None,
    json: JsonOption = False,
) -> None:
    """Show what a version was made from, down to shard files and model files."""
    from samplemix_dagster.pages.lineage import lineage_page
    from samplemix_dagster.show.lineage_tree import lineage_text
    from samplemix_dagster.trace.lineage import lineage
    from samplemix_dagster.trace.versions import resolve_version

    project = open_project(config)
    found = lineage(project, *resolve_version(project, name))
    if html is not None:
        write_page(html, lineage_page(found))
    if json:
        print_json(found)
    elif html is None:
        print_raw(lineage_text(found, terminal_width()))


@mixture_app.command("diff")
def mixture_diff(
    first: Annotated[str, typer.Argument(help="A: NAME, NAME@VERSION or a version.")],
    second: Annotated[str, typer.Argument(help="B: NAME, NAME@VERSION or a version.")],
    config: ConfigOption = CONFIG,
    html: HtmlOption = None,
    json: JsonOption = False,
) -> None:
    """Say what differs between two versions, and why, split by cause."""
    from samplemix_dagster.pages.difference import difference_page
    from samplemix_dagster.trace.difference.causes import cause_name
    from samplemix_dagster.trace.difference.difference import difference
    from samplemix_dagster.trace.versions import resolve_version

    project = open_project(config)
    say("Drawing what stands between the two, from stored features; the lake is only read.")
    found = difference(project, resolve_version(project, first), resolve_version(project, second))
    names = [cause_name(cause["causes"]) for cause in found["causes"]]
    if html is not None:
        write_page(html, difference_page(found, names))
    if json:
        print_json(found)
    elif html is None:
        print_lines(found["words"])
        _show_causes(found, names)


def _show_causes(found: Mapping[str, Any], names: list[str]) -> None:
    from samplemix_dagster.show.printed_table import print_table

    if not names:
        return
    print_lines([""])
    columns = ["tokens", "draws", "documents_drawn", "mean_quality", "mean_diversity"]
    rows = [
        (name, *(cause["change"][column] for column in columns))
        for name, cause in zip(names, found["causes"], strict=True)
    ]
    rows.append(("together", *(found["change"][column] for column in columns)))
    print_table(["cause", *(column.replace("_", " ") for column in columns)], rows)


@mixture_app.command("verify")
def mixture_verify(
    name: VersionArgument,
    config: ConfigOption = CONFIG,
    deep: Annotated[
        bool, typer.Option("--deep", help="Score a sample of documents again from raw text.")
    ] = False,
    sample: Annotated[int, typer.Option(help="Documents that --deep scores again.", min=1)] = 20,
    json: JsonOption = False,
) -> None:
    """Draw a version again from what is stored, and compare; exit code 3 when it does not hold."""
    from samplemix_dagster.trace.verify.verifying import verify
    from samplemix_dagster.trace.versions import resolve_version

    project = open_project(config)
    mixture, version = resolve_version(project, name)
    found = verify(project, mixture, version, deep=sample if deep else 0)
    if json:
        print_json(found)
    else:
        marks = {"holds": "ok", "broken": "BROKEN", "not_checked": "not checked"}
        print_lines(
            f"{marks[check['state']]:<12} {check['check']:<16} {check['words']}"
            for check in found["checks"]
        )
    if not found["holds"]:
        broken = [check["check"] for check in found["checks"] if check["state"] == "broken"]
        words = "does not hold: " + ", ".join(broken)
        if not broken:
            words = "could not be drawn again, so nothing vouches for its ledger"
        raise CheckFailedError(f"mixture {mixture}@{version[:12]} {words}.")


@mixture_app.command("schema")
def mixture_schema(json: JsonOption = True) -> None:
    """Print the JSON schema of a version's manifest: always one JSON value."""
    del json
    from samplemix_dagster.stages.mixture.published.mixture_manifest import manifest_schema

    print_json(manifest_schema())
