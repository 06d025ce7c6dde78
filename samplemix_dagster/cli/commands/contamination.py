"""``samplemix contamination``: what of evaluations stands in the corpus, with snippets."""

from typing import Annotated

import typer

from samplemix_dagster.cli.options import CONFIG, ConfigOption, JsonOption, open_project
from samplemix_dagster.show.terminal import print_json, print_lines, say


def contamination(
    config: ConfigOption = CONFIG,
    json: JsonOption = False,
    limit: Annotated[int, typer.Option(help="Documents that are shown.", min=0)] = 10,
) -> None:
    """Say which documents hold text of the evaluations that `exclude` names, and show it."""
    from samplemix_dagster.show.presentation import share
    from samplemix_dagster.show.printed_table import print_table
    from samplemix_dagster.trace.contaminated import contaminated

    found = contaminated(open_project(config))
    if json:
        print_json(found)
        return
    print_table(
        ["evaluation", "items", "too short", "found", "documents", "half an item or more"],
        [
            (
                one["evaluation"],
                one["items"],
                one["too_short"],
                one["items_found"],
                one["documents"],
                one["documents_with_half"],
            )
            for one in found["sets"]
        ],
    )
    for row in found["documents"][:limit]:
        print_lines(
            [
                "",
                f"{row['doc_id']} {row['source']}: {row['shard']} row {row['row']}",
                f"  {row['evaluation']} item {row['item']}, {share(row['share'])} of it",
                f"  ... {row['snippet']} ...",
            ]
        )
    if (rest := len(found["documents"]) - limit) > 0:
        say(f"{rest:,} more: --limit, or the view `contamination` of `samplemix query`.")
