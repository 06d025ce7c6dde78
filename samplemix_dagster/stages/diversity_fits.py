"""Fit calibrations, clusters, n-gram index and topics from the tables of every shard.

Samples are the documents with the smallest hashes; histograms and indexes are merged shard by
shard, in any order. The fits themselves are ``core``'s.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa

from samplemix_dagster.core.calibration import (
    GroupHistograms,
    fit_calibration,
    group_histograms,
    neutral_calibration,
)
from samplemix_dagster.engine import stages
from samplemix_dagster.engine.addresses.metrics import load_metric
from samplemix_dagster.engine.addresses.own_signals import OwnSignal
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.fitting.fits import NEUTRAL, FitWriter, sample_of, sample_rows
from samplemix_dagster.engine.fitting.groups import Groups, carry_over, read_groups
from samplemix_dagster.engine.shards.reading import read
from samplemix_dagster.engine.shards.shard_rows import read_documents
from samplemix_dagster.engine.shards.shard_work import batches
from samplemix_dagster.engine.shards.tasks import embeddings_of_table
from samplemix_dagster.errors import DegenerateSampleError
from samplemix_dagster.stages.scoring import (
    QualityParts,
    calibration_groups,
    combined,
    document_hashes,
    floats,
    grams_of_table,
    strings,
)
from samplemix_dagster.storage.lake import keys

_NEAR_DUPLICATE_NOVELTY = 0.7
_TELLING_DOCUMENTS = 5_000
_AGREEMENT_DOCUMENTS = 6_000
_TOP_WORDS = 6


def make_calibration(recipes: Recipes, writer: FitWriter) -> dict[str, Any]:
    """Fit medians and deviations of bits per byte by group, token-weighted."""
    parts = []
    for shard in recipes.project.all_shards():
        documents = read(recipes, stages.DOCUMENTS, shard, "language", "num_bytes")
        losses = read(recipes, stages.PERPLEXITY, shard, "bits_per_byte", "num_reference_tokens")
        parts.append(
            group_histograms(
                floats(losses, "bits_per_byte"),
                losses.column("num_reference_tokens").to_numpy(),
                calibration_groups(recipes, shard, documents),
                lower=0.0,
                upper=16.0,
            )
        )
    return _write_calibration(parts, writer, "quality")


def make_quality_calibration(recipes: Recipes, writer: FitWriter) -> dict[str, Any]:
    """Fit medians and deviations of the combined signals (as logits) by group, by tokens."""
    from samplemix_dagster.core.diversity.combine import logit

    quality, parts = QualityParts(recipes), []
    for shard in recipes.project.all_shards():
        documents = read(recipes, stages.DOCUMENTS, shard, "language", "num_bytes")
        tokens = read(recipes, stages.PERPLEXITY, shard, "num_reference_tokens")
        groups = calibration_groups(recipes, shard, documents)
        parts.append(
            group_histograms(
                np.asarray(logit(quality.combined(shard, groups))),
                tokens.column("num_reference_tokens").to_numpy(),
                groups,
                lower=-16.0,
                upper=16.0,
            )
        )
    return _write_calibration(parts, writer, "quality")


def make_diversity_calibration(recipes: Recipes, writer: FitWriter) -> dict[str, Any]:
    """Fit medians and deviations of the combined components (as logits) by language, by bytes."""
    from samplemix_dagster.core.diversity.combine import logit

    parts = []
    for shard in recipes.project.all_shards():
        # Weighed by bytes, not tokens: diversity must not move when a tokenizer is replaced.
        documents = read(recipes, stages.DOCUMENTS, shard, "language", "num_bytes")
        parts.append(
            group_histograms(
                np.asarray(logit(combined(recipes, shard))),
                documents.column("num_bytes").to_numpy(),
                strings(documents, "language"),
                lower=-16.0,
                upper=16.0,
            )
        )
    return _write_calibration(parts, writer, "diversity")


def _write_calibration(
    parts: list[GroupHistograms], writer: FitWriter, scores: str
) -> dict[str, Any]:
    merged = parts[0].merge(*parts[1:])
    neutral = {}
    try:
        calibration = fit_calibration(merged)
    except DegenerateSampleError as error:
        calibration = neutral_calibration(merged)
        neutral = {NEUTRAL: f"All documents have one {scores}: {error}"}
    stated = calibration.to_json()
    writer.lake.replace_json("calibration.json", stated)
    groups = {name or "all": group for name, group in calibration.groups.items()}
    return {
        "groups": {
            name: {
                "median": round(group.median, 5),
                "scale": round(group.scale, 5),
                "num_documents": group.num_documents,
            }
            for name, group in groups.items()
        },
        **neutral,
    }


def make_clusters(recipes: Recipes, writer: FitWriter) -> dict[str, Any]:
    """Fit clusters on the hash sample; name them; say how noisy and how stable they are."""
    from samplemix_dagster.core.diversity.clusters import (
        apply_clusters,
        fit_clusters,
        split_half_agreement,
    )

    settings = recipes.config.diversity.clusters
    sample = sample_of(recipes, settings.sample)
    embedded = sample_rows(recipes, stages.EMBEDDINGS, sample, ["embedding"])
    embeddings_NE = embeddings_of_table(embedded).astype(np.float32)
    options = {
        "num_micro": settings.micro,
        "min_cluster_size": settings.min_cluster_size,
        "seed": settings.seed,
    }
    neutral = {}
    try:
        model = fit_clusters(embeddings_NE, **options)
    except DegenerateSampleError as error:
        # One direction stands for all, so that each document is as far from it as any other.
        model = fit_clusters(np.eye(1, embeddings_NE.shape[1]), **options)
        neutral = {NEUTRAL: f"Everything is one cluster: {error}."}
    scores = apply_clusters(embeddings_NE, model)
    sizes = np.bincount(scores.cluster, minlength=model.num_clusters)
    names = _cluster_names(recipes, sample, scores.cluster, model.num_clusters)
    writer.lake.write_arrays("clusters.safetensors", model.to_arrays())
    groups, matched = carry_over(
        recipes, stages.CLUSTER_FIT, names, lambda folder: _cluster_likeness(recipes, folder, model)
    )
    groups.write(writer)
    if matched is not None:
        matched["sample_documents_moved"] = _moved(recipes, embeddings_NE, groups, scores.cluster)
    agreement = split_half_agreement(embeddings_NE[:_AGREEMENT_DOCUMENTS], **options)
    return {
        "num_clusters": model.num_clusters,
        "method": model.method,
        "num_documents_in_sample": sample.num_rows,
        "noise_share": round(float(scores.is_noise.mean()), 4),
        "largest_share": round(float(sizes.max() / sizes.sum()), 4),
        "split_half_agreement": round(float(agreement), 4),
        "clusters": [
            {"cluster": identity, "name": name, "documents_in_sample": int(size)}
            for identity, name, size in zip(groups.ids, groups.names, sizes, strict=True)
        ],
        **({"matched": matched} if matched is not None else {}),
        **neutral,
    }


def _cluster_likeness(recipes: Recipes, folder: str, model: Any) -> Any:
    """Cosines of the former fit's centroids with a new model's."""
    from samplemix_dagster.core.diversity.matching import cosines

    former = recipes.lake.read_arrays(f"{folder}/clusters.safetensors")
    return cosines(former["centroids_CE"], model.centroids_CE)


def _moved(recipes: Recipes, embeddings_NE: Any, groups: Groups, clusters: Any) -> int:
    """Count the sample's documents whose cluster has another id than under the former fit."""
    from samplemix_dagster.core.diversity.clusters import ClusterModel, apply_clusters

    former_version = str(recipes.former_fit(stages.CLUSTER_FIT))
    folder = keys.fit_folder(stages.CLUSTER_FIT.name, former_version)
    model = ClusterModel.from_arrays(recipes.lake.read_arrays(f"{folder}/clusters.safetensors"))
    before = np.array(read_groups(recipes.lake, folder).ids)
    former = before[apply_clusters(embeddings_NE, model).cluster]
    return int(np.sum(former != np.array(groups.ids)[clusters]))


def _cluster_names(
    recipes: Recipes, sample: pa.Table, clusters: Any, num_clusters: int
) -> list[str]:
    from samplemix_dagster.core.diversity.words import telling_words

    part = sample.slice(0, _TELLING_DOCUMENTS)
    words = sample_rows(recipes, stages.WORDS, part, ["words", "counts"])
    telling = telling_words(
        clusters[: part.num_rows],
        words.column("words").to_pylist(),
        words.column("counts").to_pylist(),
        num_clusters=num_clusters,
        top=_TOP_WORDS,
    )
    return [" ".join(found) or f"cluster {index}" for index, found in enumerate(telling)]


def make_ngram_index(recipes: Recipes, writer: FitWriter) -> dict[str, Any]:
    """Merge the grams of every shard: who owns each, and whether another document has it."""
    from samplemix_dagster.core.diversity.ownership import gram_index, merge_indexes

    pending: list[Any] = []
    for shard in recipes.project.all_shards():
        table = read(recipes, stages.GRAMS, shard)
        if table.num_rows:
            pending.append(gram_index(grams_of_table(table), document_hashes(table)))
        # Like sizes are merged with like, as in a binary counter: few moves for each gram.
        while len(pending) > 1 and len(pending[-1].grams) * 2 > len(pending[-2].grams):
            pending[-2:] = [merge_indexes(pending[-2:])]
    index = merge_indexes(pending)
    writer.lake.write_arrays(
        "index.safetensors",
        {"grams": index.grams, "owners": index.owners, "is_shared": index.is_shared},
    )
    bits = recipes.gram_sample_bits
    num_grams = len(index.grams)
    return {
        "num_grams": num_grams,
        "share_shared": round(float(index.is_shared.mean()), 4) if num_grams else 0.0,
        "sample_rate": 2.0**-bits,
        "is_exact": bits == 0,
    }


def make_topics(recipes: Recipes, writer: FitWriter) -> dict[str, Any]:
    """Fit topics on the hash sample without near-duplicates."""
    from samplemix_dagster.core.diversity.ownership import GramIndex, gram_scores
    from samplemix_dagster.core.diversity.topics import fit_topics, one_topic

    settings = recipes.config.diversity.topics
    sample = sample_of(recipes, settings.sample)
    grams = sample_rows(
        recipes, stages.GRAMS, sample, ["doc_id", "num_positions", "grams", "counts"]
    )
    folder = recipes.fit_key(stages.NGRAM_INDEX)
    index = GramIndex(**recipes.lake.read_arrays(f"{folder}/index.safetensors"))
    scores = gram_scores(grams_of_table(grams), document_hashes(grams), index)
    del grams, index
    is_new = scores.novelty > _NEAR_DUPLICATE_NOVELTY
    if is_new.sum() < max(20, settings.count):
        is_new = np.ones(sample.num_rows, dtype=bool)
    chosen = sample.filter(pa.array(is_new))
    words = sample_rows(recipes, stages.WORDS, chosen, ["words", "counts"])
    neutral = {}
    try:
        model = fit_topics(
            words.column("words").to_pylist(),
            words.column("counts").to_pylist(),
            num_topics=settings.count,
            seed=settings.seed,
        )
    except DegenerateSampleError as error:
        model = one_topic()
        neutral = {NEUTRAL: f"Everything is one topic, and none is rare: {error}."}
    writer.lake.write_arrays("topics.safetensors", model.to_arrays())
    writer.lake.replace_json("vocabulary.json", list(model.vocabulary))
    names = [" ".join(words) for words in model.top_words(_TOP_WORDS)]
    groups, matched = carry_over(
        recipes, stages.TOPIC_FIT, names, lambda folder: _topic_likeness(recipes, folder, model)
    )
    groups.write(writer)
    return {
        "num_topics": len(names),
        "num_documents_fitted": int(chosen.num_rows),
        "num_near_duplicates_left_out": int(sample.num_rows - chosen.num_rows),
        "vocabulary_words": len(model.vocabulary),
        "topics": [
            {"topic": identity, "name": name, "share": round(float(share), 4)}
            for identity, name, share in zip(groups.ids, groups.names, model.shares, strict=True)
        ],
        **({"matched": matched} if matched is not None else {}),
        **neutral,
    }


def _topic_likeness(recipes: Recipes, folder: str, model: Any) -> Any:
    """Affinities of the former fit's topics with a new model's."""
    from samplemix_dagster.core.diversity.matching import affinities

    former = recipes.lake.read_arrays(f"{folder}/topics.safetensors")
    words = recipes.lake.read_json(f"{folder}/vocabulary.json")
    return affinities(former["components_KV"], words, model.components_KV, model.vocabulary)


def own_fit_maker(own: OwnSignal) -> Callable[[Recipes, FitWriter], dict[str, Any]]:
    """Return what fits a signal's class to the summaries of every shard."""

    def make(recipes: Recipes, writer: FitWriter) -> dict[str, Any]:
        metric = load_metric(own.target, recipes.project.root)
        summaries = []
        for shard in recipes.project.all_shards():
            if metric.needs == "embedding":
                table = read(recipes, stages.EMBEDDINGS, shard)
                if table.num_rows:
                    summaries.append(metric.summarise(embeddings_of_table(table)))
                continue
            documents = ((item.id or "", item.text) for item in read_documents(recipes, shard))
            summaries += [metric.summarise(texts) for _, texts in batches(documents)]
        fitted = metric.fit(summaries)
        writer.lake.write_arrays("fit.safetensors", dict(fitted))
        return {"num_summaries": len(summaries), "arrays": sorted(fitted)}

    return make
