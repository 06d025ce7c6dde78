"""mixture: scores and law -> copies of each document, for an exact token budget."""

import datetime as dt
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import dagster as dg
import numpy as np

from samplemix_dagster import tables
from samplemix_dagster.config.mixtures import Mixture
from samplemix_dagster.core.beta.law import BivariateBeta
from samplemix_dagster.core.beta.plane import plane_of
from samplemix_dagster.core.mixture.strategies.strategy import Strategy
from samplemix_dagster.core.mixture.strategies.table import make_strategy
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.outcome import Outcome
from samplemix_dagster.engine.project import Project
from samplemix_dagster.show.presentation import after_words, lineage_address
from samplemix_dagster.stages.beta import load_law, load_plane
from samplemix_dagster.stages.exclusions.excluded import EXCLUDED
from samplemix_dagster.stages.mixture.consumed import and_consumed
from samplemix_dagster.stages.mixture.drawing.axes import and_group, axes_in_words
from samplemix_dagster.stages.mixture.published.mixture_manifest import read_traced
from samplemix_dagster.stages.mixture.published.publishing import current_or_none
from samplemix_dagster.stages.mixture.published.version_files import export_asset
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.table_contract import Table
from samplemix_dagster.trace.versions import changed_inputs, version_inputs
from samplemix_dagster.wiring.assets.asset import Look
from samplemix_dagster.wiring.assets.shown.columns import origins_of_ledger
from samplemix_dagster.wiring.assets.shown.pictures import bars_svg, plane_svg, share_rows
from samplemix_dagster.wiring.assets.shown.plots import picture, plane_figure
from samplemix_dagster.wiring.assets.shown.told import table_value
from samplemix_dagster.wiring.metadata import Metadata
from samplemix_dagster.wiring.names import PLAIN, Names

HOW_TO_READ = "right: quality; up: diversity; dark: half the tokens; line: half the target law"
_CELLS = 64
_PLOTTED = (
    "realised_tokens",
    "num_documents_drawn",
    "mean_quality",
    "mean_diversity",
    "kl_nats",
    "effective_sample_share",
    "near_duplicate_share_after",
)
"""Numbers that the Plots tab draws over the versions."""
_REPORTS = (
    ("totals", "mixture_totals"),
    ("sources", "composition_by_source"),
    ("languages", "composition_by_language"),
    ("clusters", "composition_by_cluster"),
    ("topics", "composition_by_topic"),
    ("copies", "copies_histogram"),
    ("extremes", "weighted_documents"),
)


def mixture_plane(project: Project, name: str, version: str) -> Any:
    """Return the tokens that a version draws, on the (quality, diversity) plane."""
    folder = keys.version_folder(name, version)
    manifest = project.lake.read_json(keys.manifest_in(folder))
    total = None
    for key in manifest["ledger"]:
        ledger = project.lake.read_table(
            f"{folder}/{key}", ["quality", "diversity", "num_tokens", "copies"]
        )
        drawn = ledger.column("num_tokens").to_numpy() * ledger.column("copies").to_numpy()
        plane = plane_of(
            ledger.column("quality").to_numpy(),
            ledger.column("diversity").to_numpy(),
            drawn.astype(np.int64),
        )
        total = plane.tokens_BB if total is None else total + plane.tokens_BB
    return total


def mixture_planes(project: Project, name: str, version: str) -> Metadata:
    """Return the plane of corpus and mixture: small in place, and large behind a click."""
    recipes = Recipes(project)
    law, plane = load_law(recipes), load_plane(recipes)
    settings = project.config.mixtures[name]
    strategy = make_strategy(settings.strategy, plane, law, settings.options)
    target_BB = target_mass(law, strategy)
    corpus_BB, drawn_BB = plane.tokens_BB, mixture_plane(project, name, version)
    return {
        "plane": plane_svg(corpus_BB, drawn_BB, target_BB),
        "plane_large": picture(plane_figure(corpus_BB, drawn_BB, law, target_BB)),
    }


def target_mass(law: BivariateBeta, strategy: Strategy) -> Any:
    """Return the mass of the target law in 64 x 64 cells; None where no other law is meant."""
    centres = (np.arange(_CELLS) + 0.5) / _CELLS
    quality, diversity = np.meshgrid(centres, centres, indexing="ij")
    log_tilt = strategy.log_tilt(quality, diversity)
    if log_tilt is None:
        return None
    mass_BB = law.grid_mass(_CELLS) * np.exp(log_tilt - log_tilt.max())
    return mass_BB / mass_BB.sum()


def _present(project: Project, outcome: Outcome, names: Names) -> Metadata:
    facts = outcome.facts
    name, version = outcome.asset.partition("/")[2], outcome.data_version
    planes = mixture_planes(project, name, version)
    metadata = headline_words(facts)
    if facts.get("excluded"):
        metadata["excluded"] = table_value(
            [{"reason": reason, **entry} for reason, entry in facts["excluded"].items()]
        )
    if facts["warnings"]:
        metadata["warnings"] = "\n".join(facts["warnings"])
    return {
        **metadata,
        "plane": planes["plane"],
        "how_to_read_the_plane": HOW_TO_READ,
        "shares_by_source": bars_svg(share_rows(facts["sources"]), "shares before and after"),
        **_shares_by_group(project, name, facts),
        "shares_by_cluster": bars_svg(share_rows(facts["clusters"]), "clusters"),
        "shares_by_language": bars_svg(share_rows(facts["languages"], 8), "languages"),
        "see_also": links_value(name, version, names, project.config.exports_of(name)),
        **_tables(facts),
        **_traces(project, name, version, names),
        "plane_large": planes["plane_large"],
        **{key: facts[key] for key in _PLOTTED},
    }


def _shares_by_group(project: Project, name: str, facts: Mapping[str, Any]) -> Metadata:
    """Return bars of the groups of which shares are held, where those are not the sources."""
    if "groups" not in facts:
        return {}
    words = axes_in_words(project.config.mixtures[name].options)
    return {"shares_by_group": bars_svg(share_rows(facts["groups"]), f"shares by {words}")}


def headline_words(facts: Mapping[str, Any]) -> Metadata:
    """Return in words what a mixture came to: tokens, documents, and its means."""
    realised, budget = facts["realised_tokens"], facts["budget_tokens"]
    words = {
        "tokens": f"{realised:,} of {budget:,} ({realised / budget:.1%} of the budget)",
        "documents": (
            f"{facts['num_documents_drawn']:,} of {facts['num_documents']:,} drawn, "
            f"in {facts['num_draws']:,} draws"
        ),
    }
    if after := after_words(facts):
        words["goes_on"] = after
    for what in ("quality", "diversity"):
        mean = f"mean_{what}"
        words[what] = (
            f"corpus {facts['corpus'][mean]:.3f} → mixture {facts[mean]:.3f} "
            f"(promised {facts['promised'][mean]:.3f})"
        )
    words["near_duplicates"] = (
        f"corpus {facts['near_duplicate_share_before']:.1%} → "
        f"mixture {facts['near_duplicate_share_after']:.1%} of the tokens"
    )
    words["how_far_it_leans"] = (
        f"KL {facts['kl_nats']:.3f} nats; weighs like {facts['effective_sample_share']:.0%} of "
        "the corpus"
    )
    return dict(words)


def _tables(facts: Mapping[str, Any]) -> Metadata:
    means = (
        ("corpus", facts["corpus"]),
        ("promised", facts["promised"]),
        ("drawn", facts),
        ("control", facts["control"]),
    )
    groups = {"groups": _shares("group", facts["groups"])} if "groups" in facts else {}
    names = ("mean_quality", "mean_diversity")
    return {
        "sources": _shares("source", facts["sources"]),
        **groups,
        "means": table_value(
            [{"of": of, **{name: round(v[name], 3) for name in names}} for of, v in means]
        ),
        "copies": table_value(
            [{"copies": int(k), "documents": n} for k, n in facts["copies"].items()]
        ),
    }


def _shares(what: str, shares: Mapping[str, Any]) -> dg.TableMetadataValue:
    """Return a table of parts: their shares of the corpus and of the mixture, and tokens."""
    return table_value(
        [
            {
                what: name,
                "before": f"{entry['share_before']:.1%}",
                "after": f"{entry['share_after']:.1%}",
                "tokens": entry["tokens"],
            }
            for name, entry in shares.items()
        ]
    )


def links_value(
    name: str, version: str, names: Names = PLAIN, exports: Iterable[str] = ("",)
) -> dg.MarkdownMetadataValue:
    """Return links to what a mixture is made of and what is made of it, short enough to show.

    Args:
        name: The mixture.
        version: Its version.
        names: What the project's definitions are called.
        exports: The names of its exports; one alone has none.
    """
    near = [
        ("scores", "document_scores"),
        ("law", "beta_parameters"),
        *((f"export {one}".strip(), export_asset(name, one)) for one in exports),
        ("graph around it", f"mixture/{name}?view=lineage"),
    ]
    links = f"{_links(near, names)}\n\nreports: {_links(_REPORTS, names)}"
    command = f"samplemix mixture lineage {name}@{version[:12]} --html lineage.html"
    words = "Every shard, fit and model on a page"
    if not names.key_parts:  # a Dagster of a team's own has no such page
        words = f"[{words}]({lineage_address(name, version)}) of `samplemix ui`, or"
    return dg.MetadataValue.md(f"{links}\n\n{words}:\n\n`{command}`")


def _links(pages: Iterable[tuple[str, str]], names: Names) -> str:
    return " · ".join(f"[{word}]({_page(asset, names)})" for word, asset in pages)


def _page(asset: str, names: Names) -> str:
    return "/assets/" + "/".join(names.key(asset).path)


def _traces(project: Project, name: str, version: str, names: Names) -> Metadata:
    """Say what this version was made from, with links to the assets, and what changed since."""
    manifest = read_traced(project, name, version)
    before = current_or_none(project, name)
    what = "the first version"
    if before is not None:
        what = "nothing" if before == version else changed_inputs(project, name, before, version)
    return {
        "inputs": dg.MetadataValue.md(inputs_markdown(manifest, names)),
        "previous_version": before or "none",
        "changed_since": what,
    }


def inputs_markdown(manifest: Mapping[str, Any], names: Names = PLAIN) -> str:
    """Return a table of a version's inputs; each asset links to its page as it was then."""
    moment = dt.datetime.fromisoformat(manifest["made_at"]) + dt.timedelta(seconds=1)
    as_of = int(moment.timestamp() * 1000)
    lines = ["| asset | version | what |", "|---|---|---|"]
    for row in version_inputs(manifest):
        place = names.key(row["asset"]).to_user_string()
        link = f"[{row['asset']}](/assets/{place}?asOf={as_of})"
        lines.append(f"| {link} | `{row['version']}` | {row['what']} |")
    return "\n".join(lines)


def look(project: Project, name: str, names: Names = PLAIN) -> Look:
    """Return what a person sees of a mixture."""
    settings = project.config.mixtures[name]
    after = settings.after
    goes_on = f" It goes on after {after.tokens:,} tokens of {after.version}." if after else ""
    return Look(
        description=(
            f"The mixture {name!r}: {settings.budget_tokens:,} tokens by the strategy "
            f"{settings.strategy}. Its ledger says how many copies of each document are drawn, "
            f"with one row for each document, drawn or not, and the reason.{goes_on}"
        ),
        kinds=("mixture", "parquet"),
        present=partial(_present, names=names),
        tables=(_ledger_columns(project, settings),),
        origins=origins_of_ledger(),
        view="ledger",
    )


def _ledger_columns(project: Project, settings: Mixture) -> Table:
    """Return the contract of the ledger that a mixture will have by its settings."""
    ledger = tables.LEDGER_OF_EXCLUSIONS if EXCLUDED.is_asked(project) else tables.LEDGER
    if settings.after is not None and settings.after.tokens:
        ledger = and_consumed(ledger)
    return ledger if settings.is_by_source else and_group(ledger)
