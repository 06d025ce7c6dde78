"""shards: files -> documents and rejected rows -> the corpus, and what of it nobody may draw."""

from collections import Counter, defaultdict

from samplemix_dagster import tables
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.foundation.corpus import CORPUS
from samplemix_dagster.engine.outcome import Outcome
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.shards.rejected import rejected_by_reason
from samplemix_dagster.stages.exclusions.evaluations.contamination import STAGE as CONTAMINATION
from samplemix_dagster.stages.exclusions.evaluations.evaluation_texts import EVALUATION_TEXTS, ITEMS
from samplemix_dagster.stages.exclusions.excluded import EXCLUDED
from samplemix_dagster.storage.corpus.scan import unread_words
from samplemix_dagster.wiring.assets.asset import Look
from samplemix_dagster.wiring.assets.scored.quality import column_values
from samplemix_dagster.wiring.assets.shown.told import table_value
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


def _evaluation_texts(project: Project, outcome: Outcome) -> Metadata:
    del project
    sets = outcome.facts["sets"]
    wanted, every = (sum(one[key] for one in sets.values()) for key in ("looked_for", "items"))
    return {
        "items": f"{wanted:,} of {every:,} are looked for",
        "sets": table_value([{"set": name, **counts} for name, counts in sets.items()]),
        "num_grams": outcome.facts["num_grams"],
    }


def _contamination(project: Project, outcome: Outcome) -> Metadata:
    sets, shares = column_values(
        project, CONTAMINATION, str(outcome.partition), "evaluation", "share"
    )
    found: dict[str, list[float]] = defaultdict(list)
    for name, share in zip(sets, shares, strict=True):
        if name is not None:
            found[name].append(float(share))
    holding = sum(map(len, found.values()))
    metadata: Metadata = {"holding_text": f"{holding:,} of {len(sets):,} documents"}
    if found:
        metadata["by_set"] = table_value(
            [
                {"set": name, "documents": len(held), "most_of_an_item": f"{max(held):.0%}"}
                for name, held in sorted(found.items())
            ]
        )
    return {**metadata, "texts_are_shown_by": "samplemix contamination", "num_holding": holding}


def _exclusions(project: Project, outcome: Outcome) -> Metadata:
    del project
    number = outcome.facts["num_documents"]
    metadata: Metadata = {
        "excluded": f"{number:,} document{'' if number == 1 else 's'} that no version may draw"
    }
    by_reason = outcome.facts["by_reason"]
    if by_reason:
        metadata["by_reason"] = table_value(
            [
                {"reason": reason, "documents": count, "which_means": tables.EXCLUSIONS[reason]}
                for reason, count in by_reason.items()
            ]
        )
    if by_set := outcome.facts.get("by_set"):
        metadata["by_set"] = table_value(
            [{"set": name, "documents": count} for name, count in by_set.items()]
        )
    return {**metadata, "num_excluded": number}


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
    EVALUATION_TEXTS.asset: Look(
        present=_evaluation_texts,
        tables=(ITEMS,),
    ),
    CONTAMINATION.asset: Look(
        kinds=("python", "parquet"),
        present=_contamination,
        tables=(tables.CONTAMINATION,),
        view="contamination",
    ),
    EXCLUDED.asset: Look(
        kinds=("python", "parquet"),
        present=_exclusions,
        tables=(tables.EXCLUDED,),
        view="exclusions",
    ),
}
