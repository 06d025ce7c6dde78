"""density: how densely the corpus lies around each document, over the clusters' micro-centroids."""

from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from samplemix_dagster import tables
from samplemix_dagster.config.project import Config
from samplemix_dagster.config.scoring.diversity import DENSITY as NAME
from samplemix_dagster.core.calibrating.unit_scores import Middle
from samplemix_dagster.core.hashing import round_significant, round_unit
from samplemix_dagster.engine.fitting.sample import sample_of, sample_rows
from samplemix_dagster.engine.fitting.writer import FitWriter
from samplemix_dagster.engine.foundation.corpus import CORPUS
from samplemix_dagster.engine.outcome import Progress
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.shards.reading import read
from samplemix_dagster.engine.stages import Facts, Maker, Settings, Task
from samplemix_dagster.stages.columns import lazily
from samplemix_dagster.stages.diversity.meaning.clusters import CLUSTER_FIT, read_model
from samplemix_dagster.stages.diversity.meaning.embeddings import EMBEDDINGS, embeddings_of_table
from samplemix_dagster.stages.optional import OptionalFit, OptionalStage

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.engine.project import Project

_FILE = "density.safetensors"


class DensityFit(OptionalFit):
    """The kernel over micro-centroids, and how dense the sample is by it."""

    name = asset = "density_fit"
    group = "diversity"
    words = (
        "Documents of the sample at each micro-centroid, the width of the kernel over them, and "
        "how dense the sample is by it."
    )

    def is_asked(self, config: Config) -> bool:
        """Whether density counts."""
        return config.diversity.is_used(NAME)

    def needs(self, project: "Project", name: str) -> tuple[str, ...]:
        """Return the sample, its embeddings, and the clusters."""
        del project, name
        return (CORPUS.asset, EMBEDDINGS.asset, CLUSTER_FIT.asset)

    def settings(self, recipes: "Recipes", name: str) -> Settings:
        """Return the embeddings, the clusters, and how large the sample is."""
        del name
        return {
            "embeddings": recipes.by_source(EMBEDDINGS),
            "clusters": recipes.fit(CLUSTER_FIT),
            "sample": recipes.config.diversity.clusters.sample,
        }

    def make(self, recipes: "Recipes", writer: FitWriter, name: str, progress: Progress) -> Facts:
        """Weigh micro-centroids by the sample, and measure the sample by them."""
        del name, progress
        from samplemix_dagster.core.diversity.meaning.density import fit_kernel

        sample = sample_of(recipes, recipes.config.diversity.clusters.sample)
        embedded = sample_rows(recipes, EMBEDDINGS, sample, ["embedding"])
        embeddings_NE = embeddings_of_table(embedded)
        kernel = fit_kernel(embeddings_NE, read_model(recipes).micro_centroids_ME)
        middle = Middle.of(kernel.log_density(embeddings_NE))
        writer.lake.write_arrays(
            _FILE,
            {
                "centroids_ME": kernel.centroids_ME,
                "weights": kernel.weights,
                "kappa": np.array([kernel.kappa]),
                "middle": np.array([middle.median, middle.scale]),
            },
        )
        return {
            "num_micro_centroids": len(kernel.weights),
            "kappa": round(kernel.kappa, 4),
            "median_log_density": round(middle.median, 4),
            "scale": round(middle.scale, 4),
        }


DENSITY_FIT = DensityFit()


class Density(OptionalStage):
    """How far from what is common each document lies."""

    name = NAME
    asset = f"{NAME}_score"
    group = "diversity"
    table = tables.DENSITY
    fit = DENSITY_FIT
    is_wide = True
    words = (
        "Diversity by density: high where few documents of the corpus lie near, by a kernel over "
        "the micro-centroids of the clusters."
    )

    def needs(self, project: "Project") -> tuple[str, ...]:
        """Return embeddings and the kernel."""
        del project
        return (EMBEDDINGS.asset, DENSITY_FIT.asset)

    def settings(self, recipes: "Recipes", source: str) -> Settings:
        """Return the embeddings and the kernel."""
        return {
            "embeddings": recipes.fingerprint(EMBEDDINGS, source),
            "kernel": recipes.fit(DENSITY_FIT),
        }

    def work(self, recipes: "Recipes", partition: str) -> Task | Maker:
        """Return what measures each document's density."""
        del partition
        return lazily(lambda: _maker(recipes))


DENSITY = Density()


def _maker(recipes: "Recipes") -> Maker:
    from samplemix_dagster.core.diversity.meaning.density import Kernel

    arrays = recipes.lake.read_arrays(f"{recipes.fit_key(DENSITY_FIT)}/{_FILE}")
    kernel = Kernel(
        centroids_ME=arrays["centroids_ME"],
        weights=arrays["weights"],
        kappa=float(arrays["kappa"][0]),
    )
    median, scale = arrays["middle"].tolist()
    middle = Middle(median=median, scale=scale)

    def make(shard: PlacedShard) -> pa.Table:
        embedded = read(recipes, EMBEDDINGS, shard)
        if embedded.num_rows == 0:
            return tables.DENSITY.schema.empty_table()
        logs = kernel.log_density(embeddings_of_table(embedded))
        return tables.DENSITY.make(
            doc_id=embedded.column("doc_id"),
            log_density=pa.array(round_significant(logs), from_pandas=True),
            density_score=round_unit(middle.low_scores(logs)),
        )

    return make
