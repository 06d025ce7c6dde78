"""The command that runs the whole pipeline on text that is on every machine."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from samplemix_dagster.cli.commands.run import run
from samplemix_dagster.cli.options import JsonOption, open_project
from samplemix_dagster.show.terminal import say

if TYPE_CHECKING:
    from samplemix_dagster.engine.project import Project


def demo(
    directory: Annotated[Path, typer.Argument(help="Folder of the demo project.")] = Path("demo"),
    documents: Annotated[int, typer.Option(help="Documents to gather.", min=200)] = 2000,
    json: JsonOption = False,
) -> None:
    """Make a project from text that is on every machine, and run the whole pipeline on it."""
    from samplemix_dagster.cli.start.corpora.demo import make_demo

    config = make_demo(directory, documents)
    run(
        config=config,
        select=None,
        mixture=None,
        refit=None,
        check_lake=False,
        verbose=False,
        json=json,
    )
    project = open_project(config)
    _show_demo(project)
    say(f"\nThe UI on this very instance:\n\n    samplemix ui --config {config}\n")


def _show_demo(project: "Project") -> None:
    from samplemix_dagster.show.presentation import share
    from samplemix_dagster.show.printed_table import print_table
    from samplemix_dagster.stages.mixture.published.version_files import export_key
    from samplemix_dagster.trace.versions import current_manifest

    name = next(iter(project.config.mixtures))
    manifest = current_manifest(project, name)
    if manifest is None:
        return
    from samplemix_dagster.storage.ask.query import query as ask

    means = {
        row["source"]: row
        for row in ask(
            project.lake,
            "select source, count(*) as documents, avg(quality) as quality, "
            "avg(diversity) as diversity from scores group by source",
        ).to_pylist()
    }
    say("")
    print_table(
        ["source", "documents", "quality", "diversity", "share before", "share after"],
        [
            (
                source,
                means[source]["documents"],
                round(means[source]["quality"], 3),
                round(means[source]["diversity"], 3),
                share(entry["share_before"]),
                share(entry["share_after"]),
            )
            for source, entry in manifest["report"]["sources"].items()
            if source in means
        ],
        title=f"What the mixture {name!r} changes",
    )
    for export in project.config.exports_of(name):
        key = export_key(project, name, manifest["version"], export)
        say(f"\nThe export: {project.lake.place(key)}")
