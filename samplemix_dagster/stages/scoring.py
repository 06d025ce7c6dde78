"""Scores from tables: calibration, clusters, ownership, topics, their combination, the wide table.

Each ``*_maker`` loads what it needs once and returns a function from a shard to its table, for
:func:`engine.maps.run_table_stage`. The numbers are ``core``'s.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from samplemix_dagster import tables
from samplemix_dagster.config.scores import PERPLEXITY
from samplemix_dagster.core.calibration import Band, Calibration, Direction, robust_z, score
from samplemix_dagster.core.diversity.combine import combine, logit
from samplemix_dagster.core.hashing import id_words, round_significant, round_unit
from samplemix_dagster.engine import stages
from samplemix_dagster.engine.addresses.own_signals import OwnSignal, names_of_columns, own_signals
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.fitting.groups import read_groups
from samplemix_dagster.engine.project import PlacedShard
from samplemix_dagster.engine.shards.reading import read

Maker = Callable[[PlacedShard], pa.Table]


def lazily(maker: Callable[[Recipes], Maker], recipes: Recipes) -> Maker:
    """Return the maker's function, made when the first shard asks for it: none may."""
    made: list[Maker] = []

    def make(shard: PlacedShard) -> pa.Table:
        if not made:
            made.append(maker(recipes))
        return made[0](shard)

    return make


def floats(table: pa.Table, column: str) -> npt.NDArray[np.float64]:
    """Return a column as float64."""
    return np.asarray(table.column(column).to_numpy(), dtype=np.float64)


def strings(table: pa.Table, column: str) -> npt.NDArray[np.str_]:
    """Return a column as an array of text."""
    return np.asarray(table.column(column).to_numpy(zero_copy_only=False), dtype=np.str_)


def document_hashes(table: pa.Table) -> npt.NDArray[np.uint64]:
    """Return the first 64 bits of each document id: the name by which grams are owned."""
    ids = table.column("doc_id").to_numpy(zero_copy_only=False).astype("S32")
    return np.ascontiguousarray(id_words(ids)[:, 0])


# -- quality --------------------------------------------------------------------------------------


def calibration_groups(
    recipes: Recipes, shard: PlacedShard, documents: pa.Table
) -> npt.NDArray[np.str_]:
    """Return the group within which each document's bits per byte are compared."""
    from samplemix_dagster.core.calibration import language_length_group

    by = recipes.config.quality.calibrate_by
    languages = strings(documents, "language")
    if by == "language":
        return languages
    if by == "language_length":
        num_bytes = documents.column("num_bytes").to_numpy()
        return np.asarray(language_length_group(languages, num_bytes), dtype=np.str_)
    return np.full(documents.num_rows, shard.source if by == "source" else "", dtype=np.str_)


def read_calibration(recipes: Recipes, fit: stages.FitStage) -> Calibration:
    """Return a fitted calibration."""
    return Calibration.from_json(recipes.lake.read_json(f"{recipes.fit_key(fit)}/calibration.json"))


class QualityParts:
    """What quality is made of: perplexity's own score, and the other signals beside it."""

    def __init__(self, recipes: Recipes) -> None:
        """Take the recipes of a project whose perplexity is calibrated."""
        self.recipes = recipes
        self.calibration = read_calibration(recipes, stages.CALIBRATION)
        wished = recipes.config.quality.direction
        self.direction: Direction = wished if isinstance(wished, str) else Band(**dict(wished))

    def z(self, shard: PlacedShard, groups: npt.NDArray[np.str_]) -> npt.NDArray[np.float64]:
        """Return the robust z of bits per byte of a shard's documents."""
        losses = read(self.recipes, stages.PERPLEXITY, shard, "bits_per_byte")
        return robust_z(floats(losses, "bits_per_byte"), groups, self.calibration)

    def combined(self, shard: PlacedShard, groups: npt.NDArray[np.str_]) -> npt.NDArray[np.float64]:
        """Return the weighted geometric mean of the signals of a shard's documents, in (0, 1)."""
        weights = self.recipes.config.quality.weights
        columns = {}
        for name in weights:
            if name == PERPLEXITY:
                columns[name] = round_unit(score(self.z(shard, groups), self.direction))
            else:
                columns[name] = floats(
                    read(self.recipes, stages.signal_stage(name), shard, "score"), "score"
                )
        return np.asarray(combine(columns, weights), dtype=np.float64)


def quality_maker(recipes: Recipes) -> Maker:
    """Return what turns bits per byte, and the signals beside it, into quality.

    Perplexity alone is its calibrated score. Several signals are combined and calibrated once more,
    as diversity's components are.
    """
    parts = QualityParts(recipes)
    again = read_calibration(recipes, stages.QUALITY_CALIBRATION) if recipes.has_signals else None

    def make(shard: PlacedShard) -> pa.Table:
        documents = read(recipes, stages.DOCUMENTS, shard, "doc_id", "language", "num_bytes")
        groups = calibration_groups(recipes, shard, documents)
        if again is None:
            z = parts.z(shard, groups)
            quality = score(z, parts.direction)
        else:
            z = robust_z(logit(parts.combined(shard, groups)), groups, again)
            quality = score(z, "high")
        return tables.QUALITY.make(
            doc_id=documents.column("doc_id"),
            quality_z=round_significant(z),
            quality=round_unit(quality),
        )

    return make


# -- diversity ------------------------------------------------------------------------------------


def clusters_maker(recipes: Recipes) -> Maker:
    """Return what assigns documents to clusters."""
    from samplemix_dagster.core.diversity.clusters import ClusterModel, apply_clusters
    from samplemix_dagster.engine.shards.tasks import embeddings_of_table

    folder = recipes.fit_key(stages.CLUSTER_FIT)
    model = ClusterModel.from_arrays(recipes.lake.read_arrays(f"{folder}/clusters.safetensors"))
    ids = np.array(read_groups(recipes.lake, folder).ids, dtype=np.int32)

    def make(shard: PlacedShard) -> pa.Table:
        embedded = read(recipes, stages.EMBEDDINGS, shard)
        if embedded.num_rows == 0:
            return tables.CLUSTERS.schema.empty_table()
        scores = apply_clusters(embeddings_of_table(embedded), model)
        return tables.CLUSTERS.make(
            doc_id=embedded.column("doc_id"),
            cluster=ids[scores.cluster],
            is_noise=scores.is_noise,
            cluster_distance=round_significant(scores.distance),
            cluster_score=round_unit(scores.score),
        )

    return make


def grams_of_table(table: pa.Table) -> Any:
    """Return the ragged grams of a ``grams`` table."""
    from samplemix_dagster.core.diversity.ngrams import DocumentGrams

    grams = table.column("grams").combine_chunks()
    counts = table.column("counts").combine_chunks()
    if isinstance(grams, pa.ChunkedArray):
        grams, counts = pa.concat_arrays(grams.chunks), pa.concat_arrays(counts.chunks)
    return DocumentGrams(
        num_positions=table.column("num_positions").to_numpy(),
        offsets=grams.offsets.to_numpy().astype(np.int64) - int(grams.offsets[0].as_py()),
        grams=grams.flatten().to_numpy(),
        counts=counts.flatten().to_numpy(),
    )


def ownership_maker(recipes: Recipes) -> Maker:
    """Return what compares each document's n-grams with the corpus's."""
    from samplemix_dagster.core.diversity.ownership import GramIndex, component, gram_scores

    folder = recipes.fit_key(stages.NGRAM_INDEX)
    index = GramIndex(**recipes.lake.read_arrays(f"{folder}/index.safetensors"))
    power = recipes.config.diversity.ngram.power

    def make(shard: PlacedShard) -> pa.Table:
        table = read(recipes, stages.GRAMS, shard)
        if table.num_rows == 0:
            return tables.OWNERSHIP.schema.empty_table()
        scores = gram_scores(grams_of_table(table), document_hashes(table), index)
        return tables.OWNERSHIP.make(
            doc_id=table.column("doc_id"),
            ngram_ownership=round_significant(scores.ownership),
            ngram_overlap=round_significant(scores.overlap),
            ngram_novelty=round_significant(scores.novelty),
            ngram_repetition=round_significant(scores.repetition),
            ngram_score=round_unit(component(scores.ownership, power=power)),
        )

    return make


def topics_maker(recipes: Recipes) -> Maker:
    """Return what finds the topics of each document."""
    from samplemix_dagster.core.diversity.topics import apply_topics

    model = load_topics(recipes)
    folder = recipes.fit_key(stages.TOPIC_FIT)
    ids = np.array(read_groups(recipes.lake, folder).ids, dtype=np.int32)

    def make(shard: PlacedShard) -> pa.Table:
        table = read(recipes, stages.WORDS, shard)
        scores = apply_topics(
            table.column("words").to_pylist(), table.column("counts").to_pylist(), model
        )
        return tables.TOPICS.make(
            doc_id=table.column("doc_id"),
            topic=ids[scores.topic],
            topic_entropy=round_significant(scores.entropy),
            topic_score=round_unit(scores.rarity),
        )

    return make


def load_topics(recipes: Recipes) -> Any:
    """Return the topic model in use."""
    from samplemix_dagster.core.diversity.topics import TopicModel

    folder = recipes.fit_key(stages.TOPIC_FIT)
    return TopicModel.from_arrays(
        recipes.lake.read_arrays(f"{folder}/topics.safetensors"),
        recipes.lake.read_json(f"{folder}/vocabulary.json"),
    )


def embedding_metric_maker(recipes: Recipes, own: OwnSignal) -> Maker:
    """Return what scores embeddings with a signal's class."""
    from samplemix_dagster.engine.addresses.metrics import load_metric, metric_scores
    from samplemix_dagster.engine.shards.tasks import embeddings_of_table

    metric = load_metric(own.target, recipes.project.root)
    folder = recipes.fit_key(own.fit, own.name)
    fitted = recipes.lake.read_arrays(f"{folder}/fit.safetensors")

    def make(shard: PlacedShard) -> pa.Table:
        table = read(recipes, stages.EMBEDDINGS, shard)
        if table.num_rows == 0:
            return own.stage.table.schema.empty_table()
        scores = metric_scores(metric, embeddings_of_table(table), fitted)
        return own.stage.table.make(doc_id=table.column("doc_id"), score=scores)

    return make


def component_columns(recipes: Recipes, shard: PlacedShard) -> dict[str, npt.NDArray[np.float64]]:
    """Return the components of a shard's documents that have a weight, by name."""
    columns = {}
    for name, stage in recipes.components().items():
        column = "score" if stage.name.startswith("metric-") else f"{name}_score"
        columns[name] = floats(read(recipes, stage, shard, column), column)
    return columns


def combined(recipes: Recipes, shard: PlacedShard) -> npt.NDArray[np.float64]:
    """Return the weighted geometric mean of the components."""
    columns = component_columns(recipes, shard)
    weights = {name: recipes.config.diversity.weight(name) for name in columns}
    return np.asarray(combine(columns, weights), dtype=np.float64)


def diversity_maker(recipes: Recipes) -> Maker:
    """Return what combines the components and calibrates them once more."""
    calibration = read_calibration(recipes, stages.DIVERSITY_CALIBRATION)

    def make(shard: PlacedShard) -> pa.Table:
        documents = read(recipes, stages.DOCUMENTS, shard, "doc_id", "language")
        raw = combined(recipes, shard)
        z = robust_z(logit(raw), strings(documents, "language"), calibration)
        return tables.DIVERSITY.make(
            doc_id=documents.column("doc_id"),
            diversity_raw=round_unit(raw),
            diversity=round_unit(score(z, "high")),
        )

    return make


# -- the wide table -------------------------------------------------------------------------------


def scores_maker(recipes: Recipes) -> Maker:
    """Return what lays every score of a document side by side."""
    own = own_signals(recipes.config)
    contract = tables.scores_table(names_of_columns(recipes.config))

    def make(shard: PlacedShard) -> pa.Table:
        documents = read(recipes, stages.DOCUMENTS, shard, "doc_id", "row", "language")
        arrays: dict[str, Any] = {name: documents.column(name) for name in documents.column_names}
        for stage in stages.SCORED:
            table = read(recipes, stage, shard)
            arrays |= {name: table.column(name) for name in table.column_names[1:]}
        for signal in own:
            table = read(recipes, signal.stage, shard)
            arrays[f"{signal.name}_score"] = table.column("score")
        return contract.make(**arrays)

    return make


def tokens_from_perplexity(recipes: Recipes) -> Maker:
    """Return what takes the budget's token counts from scoring, which counted them already."""

    def make(shard: PlacedShard) -> pa.Table:
        table = read(recipes, stages.PERPLEXITY, shard, "doc_id", "num_reference_tokens")
        return tables.TOKENS.make(
            doc_id=table.column("doc_id"), num_tokens=table.column("num_reference_tokens")
        )

    return make
