"""A stage of your own: how many lines each document has, and how long the longest is.

A file like this one, and a line in ``FLOW`` of ``samplemix_dagster/stages/flow.py``::

    LINES,

It then has an asset, tables in the lake, two columns in ``scores``, and a place in the recipes of
mixtures.
"""

from dataclasses import dataclass

import pyarrow as pa

from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.stages import Stage
from samplemix_dagster.table_contract import Column, Table
from samplemix_dagster.tables import DOC_ID


@dataclass(frozen=True)
class CountLines:
    """Runs in a worker, which is sent this object: plain data, and imported by name."""

    def run(self, doc_ids, texts):
        """Return a row for each text; a row must not depend on the other texts of the call."""
        lines = [text.splitlines() for text in texts]
        return Lines.table.make(
            doc_id=doc_ids,
            num_lines=[len(found) for found in lines],
            longest_line=[max(map(len, found), default=0) for found in lines],
        )


class Lines(Stage):
    """Lines of each document."""

    name = "lines"  # in the lake: lower-case letters
    asset = "line_lengths"
    group = "quality"  # the word of --select, and the group in the UI
    table = Table(
        "lines",
        "One row per document of a shard: its lines.",
        (
            DOC_ID,
            Column("num_lines", pa.int64(), "lines of the text"),
            Column("longest_line", pa.int64(), "characters of its longest line"),
        ),
    )
    words = "How many lines each document has, and how long the longest is."
    version = 1  # raise it when the code computes something else
    is_base = True  # it reads text: what it computed is stored, or cannot be had
    carries_over = True  # a row depends on its text alone: a rewritten shard keeps those it had
    is_wide = True  # its columns stand in the wide table of scores

    def needs(self, project):
        """Return the assets that it reads."""
        del project
        return (DOCUMENTS.asset,)

    def settings(self, recipes, source):
        """Return all that a row depends on beside the shard: it becomes the address."""
        return {"text": recipes.text(source)}

    def work(self, recipes, partition):
        """Return what computes rows: from texts here; from tables, a function of a shard."""
        del recipes, partition
        return CountLines()


LINES = Lines()
