"""Which column comes from which: from losses and components through scores to a ledger."""

from collections.abc import Iterator, Mapping, Sequence

import dagster as dg

from samplemix_dagster.config.project import Config
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.stages.diversity.diversity import every_component
from samplemix_dagster.stages.diversity.grams.near import NEAR, near_exponent
from samplemix_dagster.stages.quality.loss.perplexity import PERPLEXITY
from samplemix_dagster.stages.quality.quality import signal_stages
from samplemix_dagster.stages.scores import wide_stages
from samplemix_dagster.wiring.names import PLAIN, Names

Origins = Mapping[str, Sequence[tuple[str, str]]]
"""Of each column: the (asset, column) pairs that it comes from."""


def origins_of_quality(config: Config) -> Origins:
    """Return where the columns of ``quality_scores`` come from."""
    signals = [(stage.asset, "score") for stage in signal_stages(config).values()]
    found = [(PERPLEXITY.asset, "bits_per_byte"), *signals]
    return {"quality_z": found, "quality": found}


def origins_of_diversity(config: Config) -> Origins:
    """Return where the columns of ``diversity_scores`` come from."""
    found = [(stage.asset, column) for stage, column in every_component(config).values()]
    near = [(NEAR.asset, "near_score")] if near_exponent(config) > 0 else []
    return {"diversity_raw": found, "diversity": [*found, *near]}


def origins_of_scores(config: Config) -> Origins:
    """Return where the columns of ``document_scores`` come from."""
    found = {"doc_id": [(DOCUMENTS.asset, "doc_id")]}
    for stage in wide_stages(config):
        found |= {wide: [(stage.asset, name)] for name, wide in stage.columns().items()}
    return found


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
