"""shards: files -> documents and rejected rows -> the set that is the corpus."""

from collections import Counter

from samplemix_dagster import tables
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.foundation.corpus import CORPUS
from samplemix_dagster.engine.outcome import Outcome
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.shards.rejected import rejected_by_reason
from samplemix_dagster.storage.corpus.scan import unread_words
from samplemix_dagster.wiring.assets.asset import Look
from samplemix_dagster.wiring.assets.told import table_value
from samplemix_dagster.wiring.metadata import Metadata


def _raw(project: Project, outcome: Outcome) -> Metadata:
    recipes = Recipes(project)
    reasons: Counter[str] = Counter()
    for shard in project.shards(str(outcome.partition)):
        reasons += rejected_by_reason(recipes, shard)
    metadata: Metadata = {"rejected_rows": sum(reasons.values())}
    if reasons:
        metadata["rejected_by_reason"] = table_value(
            [{"reason": reason, "rows": count} for reason, count in sorted(reasons.items())]
        )
    unread = project.scan(str(outcome.partition)).unread
    metadata["files_not_read"] = len(unread)
    if unread:
        metadata["not_read"] = unread_words(unread)
    if outcome.facts["skipped_folders"]:
        metadata["skipped_folders"] = ", ".join(outcome.facts["skipped_folders"])
    return metadata


def _corpus(project: Project, outcome: Outcome) -> Metadata:
    del project
    facts = outcome.facts
    return {
        "dagster/row_count": facts["num_documents"],
        "duplicates": facts["num_duplicates"],
        "sources": table_value(
            [{"source": name, **counts} for name, counts in facts["sources"].items()]
        ),
        "languages": table_value(
            [
                {"language": name, "documents": count}
                for name, count in list(facts["languages"].items())[:20]
            ]
        ),
    }


LOOKS = {
    "raw_shards": Look(
        kinds=("python", "parquet"),
        present=_raw,
        tables=(tables.DOCUMENTS,),
        view="documents",
    ),
    CORPUS.asset: Look(
        kinds=("python", "duckdb"),
        present=_corpus,
        tables=(tables.DUPLICATES,),
        view="duplicates",
    ),
}
