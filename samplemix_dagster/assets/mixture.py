"""mixture: scores and law -> copies of each document, for an exact token budget."""

import datetime as dt
from collections.abc import Mapping
from functools import partial
from typing import Any

import dagster as dg
import numpy as np

from samplemix_dagster import tables
from samplemix_dagster.assets.asset import Look, table_value
from samplemix_dagster.assets.plots import bars_svg, picture, plane_figure, share_rows
from samplemix_dagster.core.beta.plane import plane_of
from samplemix_dagster.engine.beta import load_law, load_plane
from samplemix_dagster.engine.maps import Outcome
from samplemix_dagster.engine.mixture_manifest import read_traced
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.publishing import current_or_none
from samplemix_dagster.engine.recipes import Recipes
from samplemix_dagster.engine.versions import changed_inputs, version_inputs
from samplemix_dagster.names import PLAIN, Names


def mixture_plane(project: Project, name: str, version: str) -> Any:
    """Return the tokens that a version draws, on the (quality, diversity) plane."""
    folder = f"mixtures/{name}/{version}"
    manifest = project.lake.read_json(f"{folder}/manifest.json")
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


def mixture_figure(project: Project, name: str, version: str) -> Any:
    """Draw the plane of corpus and mixture, with the corpus's law and the target law."""
    recipes = Recipes(project)
    law = load_law(recipes)
    settings = project.config.mixtures[name]
    target_BB = None
    if settings.strategy == "beta":
        centres = (np.arange(64) + 0.5) / 64
        tilt = np.outer(centres**settings.balance.quality, centres**settings.balance.diversity)
        target_BB = law.grid_mass(64) * tilt
        target_BB /= target_BB.sum()
    drawn_BB = mixture_plane(project, name, version)
    return plane_figure(load_plane(recipes).tokens_BB, drawn_BB, law, target_BB)


def _present(project: Project, outcome: Outcome, names: Names) -> dict[str, Any]:
    facts = outcome.facts
    name = outcome.asset.partition("/")[2]
    numbers = {
        key: facts[key]
        for key in (
            "budget_tokens",
            "realised_tokens",
            "num_documents",
            "num_documents_drawn",
            "num_draws",
            "mean_quality",
            "mean_diversity",
            "kl_nats",
            "effective_sample_size_tokens",
            "effective_sample_share",
            "near_duplicate_share_before",
            "near_duplicate_share_after",
        )
    }
    means = [
        {
            "what": what,
            "mean_quality": values["mean_quality"],
            "mean_diversity": values["mean_diversity"],
        }
        for what, values in (
            ("corpus", facts["corpus"]),
            ("promised", facts["promised"]),
            ("drawn", facts),
            ("control", facts["control"]),
        )
    ]
    metadata = {
        "plane": picture(mixture_figure(project, name, outcome.data_version)),
        "shares_by_source": bars_svg(share_rows(facts["sources"]), "shares before and after"),
        "shares_by_language": bars_svg(share_rows(facts["languages"], 8), "languages"),
        "sources": table_value(
            [
                {
                    "source": source,
                    "share_before": entry["share_before"],
                    "share_after": entry["share_after"],
                    "tokens": entry["tokens"],
                }
                for source, entry in facts["sources"].items()
            ]
        ),
        "shares_by_cluster": bars_svg(share_rows(facts["clusters"]), "clusters"),
        "means": table_value(means),
        "copies": table_value(
            [{"copies": int(k), "documents": n} for k, n in facts["copies"].items()]
        ),
        **numbers,
        **_traces(project, name, outcome.data_version, names),
    }
    if facts["warnings"]:
        metadata["warnings"] = "\n".join(facts["warnings"])
    return metadata


def _traces(project: Project, name: str, version: str, names: Names) -> dict[str, Any]:
    """Say what this version was made from, with links to the assets, and what changed since."""
    manifest = read_traced(project, name, version)
    key = f"mixtures/{name}/{version}/manifest.json"
    before = current_or_none(project, name)
    what = "the first version"
    if before is not None:
        what = "nothing" if before == version else changed_inputs(project, name, before, version)
    return {
        "inputs": dg.MetadataValue.md(inputs_markdown(manifest, names)),
        "manifest": dg.MetadataValue.path(project.lake.place(key)),
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
    return Look(
        description=(
            f"Mixture {name!r}: how many copies of each document to draw for "
            f"{settings.budget_tokens:,} tokens, strategy {settings.strategy}. Its ledger has one "
            "row for each document, drawn or not, with the reason."
        ),
        kinds=("python", "parquet"),
        present=partial(_present, names=names),
        tables=(tables.LEDGER,),
    )
