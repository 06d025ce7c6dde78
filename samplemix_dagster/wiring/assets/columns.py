"""Which column comes from which: from losses and components through scores to a ledger."""

from collections.abc import Iterator, Mapping, Sequence

import dagster as dg

from samplemix_dagster import tables
from samplemix_dagster.tables import Table
from samplemix_dagster.wiring.names import PLAIN, Names

_MADE_BY: tuple[tuple[str, Table], ...] = (
    ("perplexity", tables.PERPLEXITY),
    ("token_counts", tables.TOKENS),
    ("quality_scores", tables.QUALITY),
    ("cluster_diversity", tables.CLUSTERS),
    ("ngram_ownership", tables.OWNERSHIP),
    ("topic_distribution", tables.TOPICS),
    ("diversity_scores", tables.DIVERSITY),
)
"""The asset that makes each table of which the wide one is put together."""
_COMPONENTS = (
    ("cluster_diversity", "cluster_score"),
    ("ngram_ownership", "ngram_score"),
    ("topic_distribution", "topic_score"),
)
Origins = Mapping[str, Sequence[tuple[str, str]]]
"""Of each column: the (asset, column) pairs that it comes from."""


def origins_of_quality(signals: Sequence[str]) -> Origins:
    """Return where the columns of ``quality_scores`` come from.

    Args:
        signals: Names of the signals beside perplexity.
    """
    found = [("perplexity", "bits_per_byte"), *((f"signal_{name}", "score") for name in signals)]
    return {"quality_z": found, "quality": found}


def origins_of_diversity(metrics: Sequence[str]) -> Origins:
    """Return where the columns of ``diversity_scores`` come from.

    Args:
        metrics: Names of the project's own components.
    """
    components = [*_COMPONENTS, *((f"metric_{name}", "score") for name in metrics)]
    return {"diversity_raw": components, "diversity": components}


def origins_of_scores(own: Mapping[str, str]) -> Origins:
    """Return where the columns of ``document_scores`` come from.

    Args:
        own: The asset of each signal that a class computes, by its name.
    """
    found = {name: [("raw_shards", name)] for name in ("doc_id", "row", "language")}
    for asset, table in _MADE_BY:
        found |= {column.name: [(asset, column.name)] for column in table.columns[1:]}
    return found | {f"{name}_score": [(asset, "score")] for name, asset in own.items()}


def origins_of_ledger() -> Origins:
    """Return where the columns of a mixture's ledger come from."""
    kept = ("doc_id", "row", "num_tokens", "quality", "diversity")
    both = [("document_scores", "quality"), ("document_scores", "diversity")]
    tokens = ("document_scores", "num_tokens")
    found: dict[str, Sequence[tuple[str, str]]] = {
        name: [("document_scores", name)] for name in kept
    }
    found["weight"] = both
    return found | {name: [*both, tokens] for name in ("expected_copies", "copies", "reason")}


def column_lineage(origins: Origins, names: Names = PLAIN) -> dg.TableColumnLineage:
    """Return origins as Dagster shows them."""
    return dg.TableColumnLineage(
        {column: list(_deps(pairs, names)) for column, pairs in origins.items()},
    )


def _deps(pairs: Sequence[tuple[str, str]], names: Names) -> Iterator[dg.TableColumnDep]:
    for asset, column in pairs:
        yield dg.TableColumnDep(asset_key=names.key(asset), column_name=column)
