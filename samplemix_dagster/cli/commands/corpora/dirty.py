"""The command that makes dirty pools with known labels."""

from pathlib import Path
from typing import Annotated

import typer

from samplemix_dagster.cli.options import JsonOption
from samplemix_dagster.show.terminal import print_json, say


def dirty(
    source: Annotated[
        str, typer.Argument(help="Folder of text (each folder in it is a source), glob or file.")
    ],
    out: Annotated[Path, typer.Argument(help="New folder for the pool.")],
    share: Annotated[
        float, typer.Option(help="Share of each source's characters that is junk.")
    ] = 0.5,
    kinds: Annotated[
        str | None, typer.Option(help="Kinds of junk, with commas between; all when absent.")
    ] = None,
    weights: Annotated[
        str | None, typer.Option(help="KIND=NUMBER, with commas between: parts of the junk.")
    ] = None,
    seed: Annotated[str, typer.Option(help="Another name gives another pool.")] = "dirty",
    documents: Annotated[
        float, typer.Option(help="Fraction of the clean documents that is kept.")
    ] = 1.0,
    *,
    json: JsonOption = False,
) -> None:
    """Mix labelled junk into a folder of text, to see whether a choice of documents sees it."""
    from samplemix_dagster.cli.start.corpora.dirty import make_dirty, weights_of
    from samplemix_dagster.core.junk.pool import Asked
    from samplemix_dagster.show.presentation import share as in_percent
    from samplemix_dagster.show.printed_table import print_table
    from samplemix_dagster.storage.formats.names import POOL_LABELS

    asked = Asked(share=share, weights=weights_of(kinds, weights), seed=seed, documents=documents)
    pool = make_dirty(source, out, asked)
    if json:
        print_json({**pool.to_json(), "folder": str(out)})
        return
    counted = pool.kinds
    total = sum(each.num_characters for each in counted.values())
    print_table(
        ["kind", "documents", "characters", "share"],
        [
            (kind, each.num_documents, each.num_characters, in_percent(each.num_characters / total))
            for kind, each in counted.items()
        ],
    )
    say(
        f"Wrote sources {', '.join(pool.sources)} to {out}; {POOL_LABELS} there says which is what."
    )
