"""beta: every score of a document side by side -> the law of (quality, diversity)."""

import numpy as np

from samplemix_dagster.core.beta.plane import plane_of
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.outcome import Outcome
from samplemix_dagster.engine.project import Project
from samplemix_dagster.show.presentation import many
from samplemix_dagster.stages.beta import BETA, load_law, load_plane
from samplemix_dagster.stages.scores import SCORES
from samplemix_dagster.wiring.assets.asset import Look
from samplemix_dagster.wiring.assets.scored.quality import column_values
from samplemix_dagster.wiring.assets.shown.columns import origins_of_scores
from samplemix_dagster.wiring.assets.shown.pictures import histogram_svg, plane_svg
from samplemix_dagster.wiring.assets.shown.plots import picture, plane_figure
from samplemix_dagster.wiring.assets.shown.told import table_value
from samplemix_dagster.wiring.metadata import Metadata

HOW_TO_READ = "right: quality; up: diversity; dark: half the tokens; line: half the fitted law"


def _scores(project: Project, outcome: Outcome) -> Metadata:
    quality, diversity, tokens = column_values(
        project, SCORES, str(outcome.partition), "quality", "diversity", "num_tokens"
    )
    metadata: Metadata = {}
    for name, scores in (("quality", quality), ("diversity", diversity)):
        counts, _ = np.histogram(scores, bins=40, range=(0.0, 1.0))
        metadata[name] = histogram_svg(counts, 0, 1)
    if quality.size > 2:
        metadata["plane"] = plane_svg(plane_of(quality, diversity, tokens).tokens_BB, None, None)
        metadata["correlation"] = round(float(np.corrcoef(quality, diversity)[0, 1]), 4)
    return metadata


def _law(project: Project, outcome: Outcome) -> Metadata:
    facts = outcome.facts
    recipes = Recipes(project)
    goodness = facts["goodness"]
    plane_BB, law = load_plane(recipes).tokens_BB, load_law(recipes)
    metadata: Metadata = {
        "means": f"quality {facts['mean_quality']:.3f}, diversity {facts['mean_diversity']:.3f}",
        "fit": (
            f"off by {goodness['total_variation']:.1%} of the tokens, where "
            f"{goodness['total_variation_floor']:.1%} is chance"
        ),
        "weighs_like": f"{many(facts['effective_sample_size'])} documents of equal length",
    }
    if facts["warnings"]:
        metadata["warnings"] = "\n".join(facts["warnings"])
    metadata |= {
        "plane": plane_svg(plane_BB, None, law.grid_mass(64)),
        "how_to_read_the_plane": HOW_TO_READ,
    }
    if facts["by_group"]:
        metadata["by_group"] = table_value(
            [
                {
                    "group": name,
                    "documents": group["num_documents"],
                    **group["law"],
                    "mean_quality": group["mean_quality"],
                    "mean_diversity": group["mean_diversity"],
                }
                for name, group in facts["by_group"].items()
            ]
        )
    return {
        **metadata,
        **facts["law"],
        "ks_quality": goodness["quality"]["ks"],
        "ks_diversity": goodness["diversity"]["ks"],
        "total_variation": goodness["total_variation"],
        "total_variation_floor": goodness["total_variation_floor"],
        "effective_sample_size": facts["effective_sample_size"],
        "squeezed_scores": facts["num_squeezed"],
        "mean_quality": facts["mean_quality"],
        "mean_diversity": facts["mean_diversity"],
        "plane_large": picture(plane_figure(plane_BB, None, law, None)),
    }


def looks(project: Project) -> dict[str, Look]:
    """Return what a person sees of the wide table and of the law."""
    return {
        "document_scores": Look(
            kinds=("python", "parquet"),
            present=_scores,
            tables=(SCORES.contract(project.config),),
            origins=origins_of_scores(project.config),
            view="scores",
        ),
        BETA.asset: Look(
            kinds=("scipy",),
            present=_law,
        ),
    }
