"""What a mixture reports: totals, means against corpus, promise and control, shares by group.

The sums are ``core.mixture``'s; here they get their names. How a mixture is drawn is in
``mixing.py``.
"""

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from samplemix_dagster.config.mixtures import Mixture
from samplemix_dagster.core.mixture.groups import Groups
from samplemix_dagster.core.mixture.report import Grouping, LedgerColumns, MixtureReport
from samplemix_dagster.core.mixture.tally import HELD_GROUPING
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.fitting.writer import NEUTRAL
from samplemix_dagster.engine.stages import FitStage
from samplemix_dagster.stages import flow
from samplemix_dagster.stages.beta import BETA, load_plane
from samplemix_dagster.stages.columns import floats, strings
from samplemix_dagster.stages.diversity.meaning.clusters import CLUSTER_FIT
from samplemix_dagster.stages.diversity.topics import TOPIC_FIT
from samplemix_dagster.storage.lake import keys

NEAR_DUPLICATE_OVERLAP = 0.7
NEAR_DUPLICATE_OWNERSHIP = 0.3
"""A near-duplicate: most of its n-grams stand in other documents too, and few are its own."""
_STRONG_KL_NATS = 0.1
_LARGE_BUDGET_SHARE = 0.2


def ledger_columns(
    source: str,
    table: pa.Table,
    own: npt.NDArray[np.bool_],
    drawn: npt.NDArray[np.int32],
    expected: npt.NDArray[np.float64],
    groups: Groups | None = None,
) -> LedgerColumns:
    """Return what a shard adds to a mixture's tally.

    Args:
        source: The shard's source.
        table: Scores of its N documents.
        own: Which of them are not duplicates of an earlier one; only these count.
        drawn: Copies of each.
        expected: Expected copies of each.
        groups: Of which shares are held; None where that is the source.
    """
    overlap, ownership = floats(table, "ngram_overlap"), floats(table, "ngram_ownership")
    is_near = (overlap >= NEAR_DUPLICATE_OVERLAP) & (ownership < NEAR_DUPLICATE_OWNERSHIP)
    names = {"source": np.full(table.num_rows, source)}
    for column in ("language", "cluster", "topic"):
        names[column] = strings(table, column)
    if groups is not None:
        names[HELD_GROUPING] = np.asarray(groups.of_documents, dtype=np.str_)
    groupings = {}
    for name, labels in names.items():
        present, codes = np.unique(labels[own], return_inverse=True)
        groupings[name] = Grouping(names=[str(label) for label in present], codes=codes)
    return LedgerColumns(
        quality=floats(table, "quality")[own],
        diversity=floats(table, "diversity")[own],
        num_tokens=table.column("num_tokens").to_numpy()[own],
        copies=drawn[own],
        expected_copies=expected[own],
        is_near_duplicate=is_near[own],
        groupings=groupings,
    )


def mixture_report(
    recipes: Recipes, settings: Mixture, report: MixtureReport, promised: dict[str, float]
) -> dict[str, object]:
    """Return what a mixture reports, as JSON values."""
    corpus_tokens = load_plane(recipes).num_tokens
    budget_share = settings.budget_tokens / corpus_tokens
    warnings = _neutral_fits(recipes)
    if budget_share > _LARGE_BUDGET_SHARE and report.kl_nats > _STRONG_KL_NATS:
        warnings.append(
            f"The budget is {budget_share:.0%} of the corpus and the mixture leans strongly "
            f"(KL {report.kl_nats:.2f} nats): above a fifth of the corpus a strong lean repeats "
            "documents instead of choosing among them. Lower the dials or the budget."
        )
    sources = {
        share.name: {
            "share_before": round(share.share, 6),
            "share_after": round(share.drawn_share, 6),
            "tokens": share.drawn_tokens,
        }
        for share in report.shares["source"]
    }
    for source in recipes.config.corpus.sources:
        sources.setdefault(source, {"share_before": 0.0, "share_after": 0.0, "tokens": 0})
    histogram = {str(number): 0 for number in range(settings.max_copies + 1)}
    histogram |= {str(number): count for number, count in enumerate(report.copies_histogram)}
    return {
        "budget_tokens": settings.budget_tokens,
        "realised_tokens": report.realised_tokens,
        "corpus_tokens": corpus_tokens,
        "num_documents": report.num_documents,
        "num_documents_drawn": report.num_documents_drawn,
        "num_draws": report.num_draws,
        "mean_quality": round(report.mixture.mean_quality, 5),
        "mean_diversity": round(report.mixture.mean_diversity, 5),
        "corpus": _profile(report.corpus),
        "promised": promised,
        "control": _profile(report.control),
        "near_duplicate_share_before": round(report.corpus.near_duplicate_share, 6),
        "near_duplicate_share_after": round(report.mixture.near_duplicate_share, 6),
        "effective_sample_size_tokens": round(report.effective_sample_tokens),
        "effective_sample_share": round(report.effective_sample_share, 5),
        "kl_nats": round(report.kl_nats, 5),
        "sources": dict(sorted(sources.items())),
        **({} if settings.is_by_source else {"groups": _shares(report, HELD_GROUPING)}),
        "languages": _shares(report, "language"),
        "clusters": _shares(report, "cluster", _names(recipes, CLUSTER_FIT)),
        "topics": _shares(report, "topic", _names(recipes, TOPIC_FIT)),
        "copies": histogram,
        "warnings": warnings,
    }


def _neutral_fits(recipes: Recipes) -> list[str]:
    """Return why fits of this mixture are neutral: nothing could be told apart by them."""
    found = []
    for fit in (fit for line in (*flow.FLOW, BETA) for fit in line.kinds() if fit.can_be_neutral):
        stated = recipes.lake.read_json(keys.fit_note(recipes.fit_key(fit)), {})
        if words := stated.get("facts", {}).get(NEUTRAL):
            found.append(str(words))
    return found


def _profile(profile: Any) -> dict[str, float]:
    return {
        "mean_quality": round(profile.mean_quality, 5),
        "mean_diversity": round(profile.mean_diversity, 5),
        "near_duplicate_share": round(profile.near_duplicate_share, 6),
    }


def _names(recipes: Recipes, fit: FitStage) -> dict[str, str]:
    return dict(recipes.lake.read_json(keys.names_in(recipes.fit_key(fit)), {}))


def _shares(
    report: MixtureReport, grouping: str, names: dict[str, str] | None = None
) -> dict[str, dict[str, object]]:
    shares = {}
    for share in report.shares[grouping]:
        entry: dict[str, object] = {
            "share_before": round(share.share, 6),
            "share_after": round(share.drawn_share, 6),
            "tokens": share.drawn_tokens,
        }
        if names:
            entry["name"] = names[share.name]
        shares[share.name] = entry
    return shares
