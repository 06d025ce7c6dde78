"""diversity: the weighted geometric mean of the components, calibrated once more."""

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from samplemix_dagster import tables
from samplemix_dagster.config.project import Config
from samplemix_dagster.core.calibrating.calibration import group_histograms, robust_z, score
from samplemix_dagster.core.diversity.combine import combine, gated, logit
from samplemix_dagster.core.hashing import round_unit
from samplemix_dagster.engine.fitting.writer import FitWriter
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.outcome import Progress
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.shards.reading import read
from samplemix_dagster.engine.stages import Facts, Fit, Maker, Settings, Stage, Task
from samplemix_dagster.stages.columns import floats, lazily, strings
from samplemix_dagster.stages.diversity.grams.commonness import COMMONNESS
from samplemix_dagster.stages.diversity.grams.near import NEAR, near_exponent
from samplemix_dagster.stages.diversity.grams.ngrams import OWNERSHIP
from samplemix_dagster.stages.diversity.meaning.clusters import CLUSTERS
from samplemix_dagster.stages.diversity.meaning.density import DENSITY
from samplemix_dagster.stages.diversity.topics import TOPICS
from samplemix_dagster.stages.outside.external import external_components
from samplemix_dagster.stages.quality.calibration import (
    LOGITS,
    read_calibration,
    write_calibration,
)
from samplemix_dagster.stages.signals import OwnStage, signals_of_diversity

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.engine.project import Project

_BUILT_IN: dict[str, tuple[Stage, str]] = {
    "cluster": (CLUSTERS, "cluster_score"),
    "ngram": (OWNERSHIP, "ngram_score"),
    "topic": (TOPICS, "topic_score"),
}
_ASKED_FOR: dict[str, tuple[Stage, str]] = {
    COMMONNESS.name: (COMMONNESS, "commonness_score"),
    DENSITY.name: (DENSITY, "density_score"),
}


def every_component(config: Config) -> dict[str, tuple[Stage, str]]:
    """Return each component by name: its stage, and the column of its score."""
    asked = {name: one for name, one in _ASKED_FOR.items() if config.diversity.is_used(name)}
    own = {one.name: (OwnStage(one), "score") for one in signals_of_diversity(config)}
    external = {name: (stage, "score") for name, stage in external_components(config).items()}
    return {**_BUILT_IN, **asked, **own, **external}


def components(config: Config) -> dict[str, tuple[Stage, str]]:
    """Return the components that have a weight above 0, by name."""
    every = every_component(config)
    return {name: found for name, found in every.items() if config.diversity.weight(name) > 0}


def _gates(config: Config) -> dict[str, tuple[Stage, str, float]]:
    """Return what the calibrated mean is multiplied by: stage, column and exponent by name."""
    every = every_component(config)
    found = {name: (*every[name], power) for name, power in config.diversity.gates.items()}
    found[NEAR.name] = (NEAR, "near_score", near_exponent(config))
    return {name: gate for name, gate in found.items() if gate[2] > 0}


def _component_recipes(recipes: "Recipes", source: str) -> Settings:
    """Each component's exponent and recipe."""
    return {
        name: [recipes.config.diversity.weight(name), recipes.fingerprint(stage, source)]
        for name, (stage, _) in components(recipes.config).items()
    }


def _combined(recipes: "Recipes", shard: PlacedShard) -> npt.NDArray[np.float64]:
    """Return the weighted geometric mean of the components of a shard's documents, in (0, 1)."""
    columns = {
        name: floats(read(recipes, stage, shard, column), column)
        for name, (stage, column) in components(recipes.config).items()
    }
    weights = {name: recipes.config.diversity.weight(name) for name in columns}
    return np.asarray(combine(columns, weights), dtype=np.float64)


class DiversityCalibration(Fit):
    """Medians and deviations of the combined components by language."""

    name = "diversity_calibration"
    asset = "diversity_calibration"
    group = "diversity"
    words = (
        "Medians and deviations of the combined components by language, so that one unit of "
        "either dial buys about the same."
    )
    can_be_neutral = True

    def needs(self, project: "Project", name: str) -> tuple[str, ...]:
        """Return the components."""
        del name
        return tuple(stage.asset for stage, _ in every_component(project.config).values())

    def settings(self, recipes: "Recipes", name: str) -> Settings:
        """Return the components and their exponents."""
        del name
        sources = recipes.config.corpus.sources
        return {
            "components": {source: _component_recipes(recipes, source) for source in sources},
            "language": recipes.config.corpus.language,
        }

    def make(self, recipes: "Recipes", writer: FitWriter, name: str, progress: Progress) -> Facts:
        """Fit medians and deviations of the combined components (as logits), by bytes."""
        del name, progress
        parts = []
        for shard in recipes.project.all_shards():
            # Weighed by bytes, not tokens: diversity must not move when a tokenizer is replaced.
            documents = read(recipes, DOCUMENTS, shard, "language", "num_bytes")
            parts.append(
                group_histograms(
                    np.asarray(logit(_combined(recipes, shard))),
                    documents.column("num_bytes").to_numpy(),
                    strings(documents, "language"),
                    lower=LOGITS[0],
                    upper=LOGITS[1],
                )
            )
        return write_calibration(parts[0].merge(*parts[1:]), writer, "diversity")


DIVERSITY_CALIBRATION = DiversityCalibration()


class Diversity(Stage):
    """Diversity of each document in (0, 1)."""

    name = "diversity"
    asset = "diversity_scores"
    group = "diversity"
    table = tables.DIVERSITY
    words = "Diversity in (0, 1): geometric mean of the components, calibrated once more."
    is_wide = True

    def needs(self, project: "Project") -> tuple[str, ...]:
        """Return the components and their calibration."""
        near = (NEAR.asset,) if NEAR.name in _gates(project.config) else ()
        return (*DIVERSITY_CALIBRATION.needs(project, ""), *near, DIVERSITY_CALIBRATION.asset)

    def settings(self, recipes: "Recipes", source: str) -> Settings:
        """Return the components, their exponents and their calibration."""
        passed = {
            name: [power, recipes.fingerprint(stage, source)]
            for name, (stage, _, power) in _gates(recipes.config).items()
        }
        return {
            "components": _component_recipes(recipes, source),
            "language": recipes.language(source),
            "calibration": recipes.fit(DIVERSITY_CALIBRATION),
            **({"gates": passed} if passed else {}),
        }

    def work(self, recipes: "Recipes", partition: str) -> Task | Maker:
        """Return what combines the components and calibrates them once more."""
        del partition
        return lazily(lambda: _maker(recipes))


DIVERSITY = Diversity()


def _maker(recipes: "Recipes") -> Maker:
    calibration = read_calibration(recipes, DIVERSITY_CALIBRATION)

    def make(shard: PlacedShard) -> pa.Table:
        documents = read(recipes, DOCUMENTS, shard, "doc_id", "language")
        raw = _combined(recipes, shard)
        z = robust_z(logit(raw), strings(documents, "language"), calibration)
        gates = {
            name: (floats(read(recipes, stage, shard, column), column), power)
            for name, (stage, column, power) in _gates(recipes.config).items()
        }
        return tables.DIVERSITY.make(
            doc_id=documents.column("doc_id"),
            diversity_raw=round_unit(raw),
            diversity=round_unit(gated(score(z, "high"), gates)),
        )

    return make
