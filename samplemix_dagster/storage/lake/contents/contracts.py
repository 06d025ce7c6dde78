"""Which contract the table at a key of the lake has."""

from samplemix_dagster.table_contract import Table
from samplemix_dagster.tables import (
    CLUSTERS,
    CONTAMINATION,
    DIVERSITY,
    DOCUMENTS,
    DUPLICATES,
    EXCLUDED,
    GRAMS,
    LEDGER,
    LOSSES,
    METRIC,
    OWNERSHIP,
    PERPLEXITY,
    QUALITY,
    REJECTIONS,
    SAMPLE,
    SIGNAL,
    TOKENS,
    TOPICS,
    WORDS,
    embeddings_table,
    scores_table,
)

_OF_SHARDS = {
    table.name: table
    for table in (GRAMS, WORDS, PERPLEXITY, TOKENS, QUALITY, CLUSTERS, OWNERSHIP, TOPICS, DIVERSITY)
} | {"embeddings": embeddings_table(1), "scores": scores_table()}
_OF_SHARDS |= {"metric": METRIC, "signal": SIGNAL, "contamination": CONTAMINATION}
_OF_FITS = {f"{table.name}.parquet": table for table in (SAMPLE, DUPLICATES, EXCLUDED)}


def contract_of(key: str) -> Table | None:
    """Return the contract of the table at a key of the lake; None where none is known."""
    head, *parts = key.split("/")
    if head == "documents" and len(parts) == 2:
        return REJECTIONS if parts[1].endswith(".rejected.parquet") else DOCUMENTS
    if head == "features" and len(parts) == 3:
        return _OF_SHARDS.get(parts[0].partition("-")[0])
    if head == "evaluations" and parts[0] == "losses":
        return LOSSES
    if head == "mixtures" and len(parts) == 4 and parts[2] == "ledger":
        return LEDGER
    if head == "fits" and len(parts) == 3:
        return _OF_FITS.get(parts[2])
    return None
