"""diversity: embeddings, n-grams, words -> clusters, ownership, topics -> a score in (0, 1)."""

from collections import Counter
from dataclasses import replace

import numpy as np

from samplemix_dagster import tables
from samplemix_dagster.core.diversity.grams.ownership import sample_error
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.outcome import Outcome
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.stages import Stage
from samplemix_dagster.stages.diversity.diversity import DIVERSITY
from samplemix_dagster.stages.diversity.grams.commonness import COMMONNESS, GRAM_COUNTS
from samplemix_dagster.stages.diversity.grams.near import NEAR, NEAR_FIT
from samplemix_dagster.stages.diversity.grams.ngrams import GRAMS, OWNERSHIP, sample_bits
from samplemix_dagster.stages.diversity.meaning.clusters import CLUSTERS
from samplemix_dagster.stages.diversity.meaning.density import DENSITY, DENSITY_FIT
from samplemix_dagster.stages.diversity.meaning.embeddings import EMBEDDINGS
from samplemix_dagster.stages.diversity.topics import TOPICS
from samplemix_dagster.wiring.assets.asset import Look, Present
from samplemix_dagster.wiring.assets.scored.quality import (
    calibration_metadata,
    column_values,
    drift,
)
from samplemix_dagster.wiring.assets.shown.columns import origins_of_diversity
from samplemix_dagster.wiring.assets.shown.pictures import histogram_svg
from samplemix_dagster.wiring.assets.shown.plots import cluster_figure, picture
from samplemix_dagster.wiring.assets.shown.told import table_value
from samplemix_dagster.wiring.metadata import Metadata


def _unit(stage: Stage, column: str) -> Present:
    """Return a presenter of a score's histogram and mean."""

    def present(project: Project, outcome: Outcome) -> Metadata:
        (scores,) = column_values(project, stage, str(outcome.partition), column)
        counts, _ = np.histogram(scores, bins=40, range=(0.0, 1.0))
        mean = round(float(scores.mean()), 4) if scores.size else 0.0
        return {column: histogram_svg(counts, 0, 1), f"mean_{column}": mean}

    return present


def _groups(stage: Stage, column: str) -> Present:
    """Return a presenter of a score by groups, with what a refit moved."""

    def present(project: Project, outcome: Outcome) -> Metadata:
        return {**_unit(stage, column)(project, outcome), **outcome.facts}

    return present


def _matched(outcome: Outcome) -> Metadata:
    """Say how a refit's groups were matched to those before."""
    found = outcome.facts.get("matched")
    if found is None:
        return {}
    return {
        "matched_to": found["former"],
        "groups_kept": found["num_matched"],
        "groups_new": found["num_new"],
        "groups_gone": found["num_gone"],
        **({"sample_documents_moved": n} if (n := found.get("sample_documents_moved")) else {}),
    }


def _clusters(project: Project, outcome: Outcome) -> Metadata:
    del project
    facts = outcome.facts
    clusters = facts["clusters"]
    names = [cluster["name"] for cluster in clusters]
    sizes = [cluster["documents_in_sample"] for cluster in clusters]
    return {
        "num_clusters": facts["num_clusters"],
        "method": facts["method"],
        "noise_share": facts["noise_share"],
        "largest_share": facts["largest_share"],
        "split_half_agreement": facts["split_half_agreement"],
        "clusters": table_value(clusters),
        "by_size": picture(cluster_figure(names, sizes)),
        **_matched(outcome),
        **drift(outcome),
    }


def _topics(project: Project, outcome: Outcome) -> Metadata:
    del project
    facts = outcome.facts
    return {
        "num_topics": facts["num_topics"],
        "documents_fitted": facts["num_documents_fitted"],
        "near_duplicates_left_out": facts["num_near_duplicates_left_out"],
        "topics": table_value(facts["topics"]),
        **_matched(outcome),
        **drift(outcome),
    }


def _ngram_index(project: Project, outcome: Outcome) -> Metadata:
    del project
    facts = outcome.facts
    sampled = "" if facts["is_exact"] else f"; one in {1 / facts['sample_rate']:,.0f} was looked at"
    shared = f"{facts['share_shared']:.1%} of them in more than one document"
    return {"grams": f"{facts['num_grams']:,}, {shared}{sampled}", **_index(outcome)}


def _index(outcome: Outcome) -> Metadata:
    facts = {name: value for name, value in outcome.facts.items() if name != "drift"}
    return {**facts, **drift(outcome)}


def _near_groups(project: Project, outcome: Outcome) -> Metadata:
    del project
    facts = outcome.facts
    counts = {name: facts[name] for name in ("num_groups", "texts_in_groups", "num_texts")}
    metadata: Metadata = {
        "groups": "{num_groups:,} hold {texts_in_groups:,} of {num_texts:,} texts".format(**counts)
    }
    if facts["largest"]:
        metadata["largest"] = table_value(facts["largest"])
    return {**metadata, **counts, **drift(outcome)}


def _near(project: Project, outcome: Outcome) -> Metadata:
    (sizes,) = column_values(project, NEAR, str(outcome.partition), "near_size")
    counts = Counter(sizes.tolist())
    grouped = sizes.size - counts[1]
    metadata: Metadata = {"near_duplicates": f"{grouped:,} of {sizes.size:,} documents"}
    if grouped:
        metadata["by_size_of_group"] = table_value(
            [{"texts": size, "documents": counts[size]} for size in sorted(counts)]
        )
    share = round(grouped / sizes.size, 4) if sizes.size else 0.0
    return {**metadata, "share_in_groups": share, "largest_group": int(sizes.max(initial=0))}


def _gram_counts(project: Project, outcome: Outcome) -> Metadata:
    del project
    facts = outcome.facts
    return {
        "counted": "{num_grams:,} grams, at {num_positions:,} places".format(**facts),
        "how_to_read_it": (
            "A document is as common as the mean log probability of its grams. The median of all "
            "documents scores 0.5; the scale is their robust standard deviation."
        ),
        **_index(outcome),
    }


def _density_fit(project: Project, outcome: Outcome) -> Metadata:
    del project
    return {
        "how_to_read_it": (
            "A document is as common as its log density by the kernel, whose width kappa says: "
            "the larger, the narrower. The median of the sample scores 0.5; the scale is its "
            "robust standard deviation."
        ),
        **_index(outcome),
    }


def _ownership(project: Project, outcome: Outcome) -> Metadata:
    """The score's histogram and, where grams are sampled, the mean standard error of ownership."""
    partition = str(outcome.partition)
    metadata = _unit(OWNERSHIP, "ngram_score")(project, outcome)
    if sample_bits(Recipes(project)):
        (ownership,) = column_values(project, OWNERSHIP, partition, "ngram_ownership")
        (positions,) = column_values(project, GRAMS, partition, "num_positions")
        error = float(np.mean(sample_error(ownership, positions))) if ownership.size else 0.0
        metadata["mean_standard_error_of_sampling"] = round(error, 4)
    return metadata


def _embeddings(project: Project, outcome: Outcome) -> Metadata:
    del outcome
    return {"encoder": project.config.encoder.model}


def looks(project: Project) -> dict[str, Look]:
    """Return what a person sees of each stage of diversity."""
    scores = replace(LOOKS["diversity_scores"], origins=origins_of_diversity(project.config))
    return {**LOOKS, "diversity_scores": scores}


LOOKS = {
    "embeddings": Look(
        kinds=("pytorch", "parquet"),
        present=_embeddings,
        tables=(EMBEDDINGS.table,),
    ),
    "clusters": Look(
        kinds=("scikitlearn",),
        present=_clusters,
    ),
    "cluster_diversity": Look(
        kinds=("python", "parquet"),
        present=_groups(CLUSTERS, "cluster_score"),
        tables=(tables.CLUSTERS,),
    ),
    "ngram_index": Look(
        present=_ngram_index,
    ),
    "ngram_ownership": Look(
        kinds=("python", "parquet"),
        present=_ownership,
        tables=(tables.OWNERSHIP,),
    ),
    NEAR_FIT.asset: Look(
        present=_near_groups,
    ),
    NEAR.asset: Look(
        kinds=("python", "parquet"),
        present=_near,
        tables=(tables.NEAR,),
    ),
    GRAM_COUNTS.asset: Look(
        present=_gram_counts,
    ),
    COMMONNESS.asset: Look(
        kinds=("python", "parquet"),
        present=_unit(COMMONNESS, "commonness_score"),
        tables=(tables.COMMONNESS,),
    ),
    DENSITY_FIT.asset: Look(
        present=_density_fit,
    ),
    DENSITY.asset: Look(
        kinds=("python", "parquet"),
        present=_unit(DENSITY, "density_score"),
        tables=(tables.DENSITY,),
    ),
    "topics": Look(
        kinds=("scikitlearn",),
        present=_topics,
    ),
    "topic_distribution": Look(
        kinds=("python", "parquet"),
        present=_groups(TOPICS, "topic_score"),
        tables=(tables.TOPICS,),
    ),
    "diversity_calibration": Look(
        present=calibration_metadata,
    ),
    "diversity_scores": Look(
        kinds=("python", "parquet"),
        present=_unit(DIVERSITY, "diversity"),
        tables=(tables.DIVERSITY,),
    ),
}
