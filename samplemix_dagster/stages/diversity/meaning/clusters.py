"""clusters: fitted to the sample's embeddings; each document's cluster, and how far it lies."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from samplemix_dagster import tables
from samplemix_dagster.core.diversity.matching import LEAST_COSINE
from samplemix_dagster.core.hashing import fingerprint, round_significant, round_unit
from samplemix_dagster.engine.fitting.groups import Groups, carry_over, read_groups
from samplemix_dagster.engine.fitting.sample import sample_of, sample_rows
from samplemix_dagster.engine.fitting.writer import NEUTRAL, FitWriter
from samplemix_dagster.engine.foundation.corpus import CORPUS
from samplemix_dagster.engine.outcome import Progress
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.shards.reading import read
from samplemix_dagster.engine.stages import Facts, Fit, Maker, Settings, Stage, Task
from samplemix_dagster.errors import DegenerateSampleError
from samplemix_dagster.stages.columns import lazily
from samplemix_dagster.stages.diversity.meaning.embeddings import EMBEDDINGS, embeddings_of_table
from samplemix_dagster.stages.diversity.words import WORDS

if TYPE_CHECKING:
    from samplemix_dagster.core.diversity.meaning.clusters import ClusterModel
    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.engine.project import Project

_FILE = "clusters.safetensors"
_TELLING_DOCUMENTS = 5_000
_AGREEMENT_DOCUMENTS = 6_000
_TOP_WORDS = 6


class ClusterFit(Fit):
    """Clusters of the sample's embeddings, with names that stay."""

    name = "cluster_fit"
    asset = "clusters"
    group = "diversity"
    version = 2
    words = (
        "Clusters of the sample's embeddings: k-means micro-centroids, UMAP, HDBSCAN; named by "
        "their most telling words. Noise belongs to the nearest cluster and is marked."
    )
    least_likeness = LEAST_COSINE
    can_be_neutral = True

    def needs(self, project: "Project", name: str) -> tuple[str, ...]:
        """Return the sample, its embeddings, and its words, which name clusters."""
        del project, name
        return (CORPUS.asset, EMBEDDINGS.asset, WORDS.asset)

    def settings(self, recipes: "Recipes", name: str) -> Settings:
        """Return the embeddings, and how they are clustered."""
        del name
        return {
            "embeddings": recipes.by_source(EMBEDDINGS),
            **recipes.config.diversity.clusters.for_recipe(),
        }

    def space(self, recipes: "Recipes") -> str:
        """Return the encoder's space: centroids in two spaces cannot be compared."""
        return fingerprint([recipes.encoder_digest, recipes.config.encoder.max_tokens])

    def make(self, recipes: "Recipes", writer: FitWriter, name: str, progress: Progress) -> Facts:
        """Fit clusters on the hash sample; name them; say how noisy and how stable they are."""
        del name, progress
        return _make(recipes, writer)


CLUSTER_FIT = ClusterFit()


class Clusters(Stage):
    """The cluster of each document, and its distance to the centroid."""

    name = "clusters"
    asset = "cluster_diversity"
    group = "diversity"
    table = tables.CLUSTERS
    words = (
        "Diversity by clusters: distance to the own centroid x separation of the cluster; its "
        "mean over a cluster is compactness x separation."
    )
    is_wide = True
    group_column = "cluster"

    def needs(self, project: "Project") -> tuple[str, ...]:
        """Return embeddings and clusters."""
        del project
        return (EMBEDDINGS.asset, CLUSTER_FIT.asset)

    def settings(self, recipes: "Recipes", source: str) -> Settings:
        """Return the embeddings and the clusters."""
        return {
            "embeddings": recipes.fingerprint(EMBEDDINGS, source),
            "clusters": recipes.fit(CLUSTER_FIT),
        }

    def work(self, recipes: "Recipes", partition: str) -> Task | Maker:
        """Return what assigns documents to clusters."""
        del partition
        return lazily(lambda: _maker(recipes))


CLUSTERS = Clusters()


def read_model(recipes: "Recipes") -> "ClusterModel":
    """Return the clusters in use."""
    from samplemix_dagster.core.diversity.meaning.clusters import ClusterModel

    arrays = recipes.lake.read_arrays(f"{recipes.fit_key(CLUSTER_FIT)}/{_FILE}")
    return ClusterModel.from_arrays(arrays)


def _maker(recipes: "Recipes") -> Maker:
    from samplemix_dagster.core.diversity.meaning.clusters import apply_clusters

    model = read_model(recipes)
    ids = np.array(read_groups(recipes.lake, recipes.fit_key(CLUSTER_FIT)).ids, dtype=np.int32)

    def make(shard: PlacedShard) -> pa.Table:
        embedded = read(recipes, EMBEDDINGS, shard)
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


def _make(recipes: "Recipes", writer: FitWriter) -> Facts:
    from samplemix_dagster.core.diversity.meaning.clusters import (
        apply_clusters,
        fit_clusters,
        split_half_agreement,
    )

    settings = recipes.config.diversity.clusters
    sample = sample_of(recipes, settings.sample)
    embedded = sample_rows(recipes, EMBEDDINGS, sample, ["embedding"])
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
    writer.lake.write_arrays(_FILE, model.to_arrays())
    groups, matched = carry_over(
        recipes, CLUSTER_FIT, names, lambda folder: _cluster_likeness(recipes, folder, model)
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


def _cluster_likeness(recipes: "Recipes", folder: str, model: Any) -> Any:
    """Cosines of the former fit's centroids with a new model's."""
    from samplemix_dagster.core.diversity.matching import cosines

    former = recipes.lake.read_arrays(f"{folder}/{_FILE}")
    return cosines(former["centroids_CE"], model.centroids_CE)


def _moved(recipes: "Recipes", embeddings_NE: Any, groups: Groups, clusters: Any) -> int:
    """Count the sample's documents whose cluster has another id than under the former fit."""
    from samplemix_dagster.core.diversity.meaning.clusters import ClusterModel, apply_clusters

    former_version = str(recipes.former_fit(CLUSTER_FIT))
    folder = f"{CLUSTER_FIT.versions_folder()}/{former_version}"
    model = ClusterModel.from_arrays(recipes.lake.read_arrays(f"{folder}/{_FILE}"))
    before = np.array(read_groups(recipes.lake, folder).ids)
    former = before[apply_clusters(embeddings_NE, model).cluster]
    return int(np.sum(former != np.array(groups.ids)[clusters]))


def _cluster_names(
    recipes: "Recipes", sample: pa.Table, clusters: Any, num_clusters: int
) -> list[str]:
    from samplemix_dagster.core.diversity.words import telling_words

    part = sample.slice(0, _TELLING_DOCUMENTS)
    words = sample_rows(recipes, WORDS, part, ["words", "counts"])
    telling = telling_words(
        clusters[: part.num_rows],
        words.column("words").to_pylist(),
        words.column("counts").to_pylist(),
        num_clusters=num_clusters,
        top=_TOP_WORDS,
    )
    return [" ".join(found) or f"cluster {index}" for index, found in enumerate(telling)]
