"""near: groups of near-duplicate texts, by sketches of their n-grams."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from samplemix_dagster import tables
from samplemix_dagster.config.project import Config
from samplemix_dagster.config.scoring.diversity import Duplicates
from samplemix_dagster.core.hashing import round_unit
from samplemix_dagster.engine.fitting.writer import FitWriter
from samplemix_dagster.engine.foundation.corpus import CORPUS
from samplemix_dagster.engine.outcome import Progress
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.shards.reading import read
from samplemix_dagster.engine.stages import Facts, Maker, Settings, Task
from samplemix_dagster.stages.columns import lazily
from samplemix_dagster.stages.diversity.grams.ngrams import GRAMS, document_hashes, grams_of_table
from samplemix_dagster.stages.optional import OptionalFit, OptionalStage

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes

_FILE = "near.safetensors"
_LARGEST_TOLD = 20


def _settings(config: Config) -> Duplicates:
    """Return what is said of near-duplicates; what an absent section says by default."""
    return config.diversity.duplicates or Duplicates()


class NearFit(OptionalFit):
    """Which texts of the corpus are nearly the same."""

    name = "near_groups"
    asset = "near_groups"
    group = "diversity"
    words = (
        "Groups of near-duplicate texts: MinHash sketches of their n-grams, compared where a band "
        "of them is equal, and linked where they are alike enough."
    )

    def is_asked(self, config: Config) -> bool:
        """Whether groups of near-duplicates are to be made."""
        return config.diversity.duplicates is not None

    def needs(self, project: Project, name: str) -> tuple[str, ...]:
        """Return the grams of all documents."""
        del project, name
        return (GRAMS.asset, CORPUS.asset)

    def settings(self, recipes: "Recipes", name: str) -> Settings:
        """Return the grams, and how alike near-duplicates are."""
        del name
        least = _settings(recipes.config).similarity
        return {"grams": recipes.by_source(GRAMS), "similarity": least}

    def make(self, recipes: "Recipes", writer: FitWriter, name: str, progress: Progress) -> Facts:
        """Sketch the grams of every shard, and group the texts."""
        del name
        from samplemix_dagster.core.diversity.near.groups import group_texts
        from samplemix_dagster.core.diversity.near.sketches import NUM_HASHES, sketches_of

        hashes = [np.empty(0, dtype=np.uint64)]
        sketches = [np.empty((0, NUM_HASHES), dtype=np.uint16)]
        shards = recipes.project.all_shards()
        for number, shard in enumerate(shards):
            table = read(recipes, GRAMS, shard)
            if table.num_rows:
                hashes.append(document_hashes(table))
                sketches.append(sketches_of(grams_of_table(table)))
            progress(self.asset, "", number + 1, len(shards))
        least = _settings(recipes.config).similarity
        groups = group_texts(np.concatenate(hashes), np.concatenate(sketches), least)
        writer.lake.write_arrays(_FILE, groups.to_arrays())
        sizes = [size for _, size in groups.largest]
        return {
            "num_texts": len(groups.hashes),
            "num_groups": len(sizes),
            "texts_in_groups": sum(sizes),
            "largest": [
                {"near_group": group_name(name), "texts": size}
                for name, size in groups.largest[:_LARGEST_TOLD]
            ],
        }


NEAR_FIT = NearFit()


def group_name(value: int) -> str:
    """Return how a group is called: the first half of the id of its first text."""
    return f"{value:016x}"


class NearDuplicates(OptionalStage):
    """The group of near-duplicates that each document is in."""

    name = "near"
    asset = "near_duplicates"
    group = "diversity"
    table = tables.NEAR
    fit = NEAR_FIT
    is_wide = True
    words = (
        "The group of near-duplicates of each document: its name, how many distinct texts it has, "
        "and 1 / that, the weight at which the whole group counts as one text."
    )

    def needs(self, project: Project) -> tuple[str, ...]:
        """Return the grams and the groups."""
        del project
        return (GRAMS.asset, NEAR_FIT.asset)

    def settings(self, recipes: "Recipes", source: str) -> Settings:
        """Return the grams and the groups."""
        return {
            "grams": recipes.fingerprint(GRAMS, source),
            "groups": recipes.fit(NEAR_FIT),
        }

    def work(self, recipes: "Recipes", partition: str) -> Task | Maker:
        """Return what looks each document's group up."""
        del partition
        return lazily(lambda: _maker(recipes))


NEAR = NearDuplicates()


def near_exponent(config: Config) -> float:
    """Return the exponent on ``near_score`` that diversity is multiplied by; 0: it is not."""
    return _settings(config).exponent


def _maker(recipes: "Recipes") -> Maker:
    from samplemix_dagster.core.diversity.near.groups import NearGroups
    from samplemix_dagster.core.diversity.near.sketches import sketches_of

    arrays: Any = recipes.lake.read_arrays(f"{recipes.fit_key(NEAR_FIT)}/{_FILE}")
    groups = NearGroups.from_arrays(arrays)

    def make(shard: PlacedShard) -> pa.Table:
        table = read(recipes, GRAMS, shard)
        if table.num_rows == 0:
            return tables.NEAR.schema.empty_table()
        hashes = document_hashes(table)
        near = groups.near(hashes, sketches_of(grams_of_table(table)))
        return tables.NEAR.make(
            doc_id=table.column("doc_id"),
            near_group=[group_name(name) for name in near.groups.tolist()],
            near_size=near.sizes,
            near_score=round_unit(near.scores),
        )

    return make
