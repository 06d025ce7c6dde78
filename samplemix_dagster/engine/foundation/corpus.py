"""corpus: the set of documents that there is, with its duplicates and its hash sample."""

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from samplemix_dagster import tables
from samplemix_dagster.config.project import Config
from samplemix_dagster.engine.fitting.hash_sample import HashSample
from samplemix_dagster.engine.fitting.writer import FitWriter
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.outcome import Progress
from samplemix_dagster.engine.shards.rejected import num_rejected
from samplemix_dagster.engine.stages import Facts, Fit, Settings
from samplemix_dagster.errors import InputError

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.engine.placed_shard import PlacedShard
    from samplemix_dagster.engine.project import Project


class Corpus(Fit):
    """Which documents there are: duplicates, the hash sample, counts by source and language."""

    name = "corpus"
    asset = "corpus"
    group = "shards"
    words = (
        "The set of documents: duplicates, the hash sample that fits are made on, and counts "
        "by source and language. Its version changes when a shard comes, changes or goes."
    )
    is_frozen = False

    def needs(self, project: "Project", name: str) -> tuple[str, ...]:
        """Return the first reading."""
        del project, name
        return (DOCUMENTS.asset,)

    def waits(self) -> tuple[str, ...]:
        """Return nothing: it is what others wait for."""
        return ()

    def settings(self, recipes: "Recipes", name: str) -> Settings:
        """Return which documents there are, and how many of them the sample holds."""
        del name
        return {
            "documents": recipes.by_source(DOCUMENTS),
            "sample": self.sample_size(recipes.config),
        }

    @staticmethod
    def sample_size(config: Config) -> int:
        """Return how many documents fits are made on, at most."""
        taught = 0 if config.quality.student is None else config.quality.student.sample
        return max(config.diversity.clusters.sample, config.diversity.topics.sample, taught)

    def make(self, recipes: "Recipes", writer: FitWriter, name: str, progress: Progress) -> Facts:
        """Find duplicates, draw the hash sample, count documents by source and language.

        Raises:
            InputError: The corpus has no document.
        """
        del progress
        return _make(recipes, writer, recipes.fit_recipe(self, name))


CORPUS = Corpus()


def _make(recipes: "Recipes", writer: FitWriter, recipe: Settings) -> Facts:
    lake = recipes.lake
    shards = recipes.project.all_shards()
    counts: dict[str, dict[str, int]] = {}
    languages: dict[str, int] = {}
    sample = HashSample(recipe["sample"])
    for shard in shards:
        documents = lake.read_table(
            recipes.feature_key(DOCUMENTS, shard), ["doc_id", "row", "num_bytes", "language"]
        )
        count = counts.setdefault(
            shard.source, {"shards": 0, "documents": 0, "bytes": 0, "rejected": 0}
        )
        count["shards"] += 1
        count["documents"] += documents.num_rows
        count["bytes"] += int(np.sum(documents.column("num_bytes").to_numpy()))
        count["rejected"] += num_rejected(recipes, shard)
        for entry in documents.column("language").value_counts().to_pylist():
            languages[entry["values"]] = languages.get(entry["values"], 0) + entry["counts"]
        sample.add(shard, documents)
    num_documents = sum(count["documents"] for count in counts.values())
    if num_documents == 0:
        rejected = sum(count["rejected"] for count in counts.values())
        raise InputError(
            f"the corpus has no document: {len(shards)} shards were read and {rejected} rows "
            'rejected. `samplemix query "select reason, sum(num_rows) from rejections group by 1"` '
            "says why; check the `text` field of the sources."
        )
    duplicates = find_duplicates(recipes, shards)
    writer.lake.write_table("sample.parquet", sample.table(), tables.SAMPLE, recipe)
    writer.lake.write_table("duplicates.parquet", duplicates, tables.DUPLICATES, recipe)
    return {
        "num_documents": num_documents,
        "num_duplicates": duplicates.num_rows,
        "sources": counts,
        "languages": dict(sorted(languages.items(), key=lambda item: (-item[1], item[0]))),
    }


def find_duplicates(recipes: "Recipes", shards: "list[PlacedShard]") -> pa.Table:
    """Return every occurrence that is not the first by (source, shard digest, row).

    DuckDB sorts it, since it spills to disk when a corpus outgrows memory.
    """
    import duckdb

    tables_of = [recipes.feature_key(DOCUMENTS, shard) for shard in shards]
    files = [str(path) for path in recipes.lake.paths(tables_of)]
    places = pa.table(
        {
            "file": files,
            "source": [shard.source for shard in shards],
            "shard": [shard.digest for shard in shards],
        }
    )
    with duckdb.connect(":memory:") as connection:
        connection.register("places", places)
        found = connection.sql(
            """
            with occurrences as (
                select d.doc_id, p.source, p.shard, d.row
                from read_parquet(?, filename = true) as d
                inner join places as p on d.filename = p.file
            ),
            ranked as (
                select
                    *,
                    row_number() over (partition by doc_id order by source, shard, row) as place
                from occurrences
            )
            select doc_id, source, shard, row from ranked
            where place > 1
            order by source, shard, row
            """,
            params=[files],
        ).to_arrow_table()
    return found.cast(tables.DUPLICATES.schema)
