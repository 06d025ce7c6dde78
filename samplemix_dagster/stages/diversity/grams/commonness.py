"""commonness: how common a document's n-grams are in the corpus."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from samplemix_dagster import tables
from samplemix_dagster.config.project import Config
from samplemix_dagster.config.scoring.diversity import COMMONNESS as NAME
from samplemix_dagster.core.calibrating.unit_scores import Middle
from samplemix_dagster.core.hashing import round_significant, round_unit
from samplemix_dagster.engine.fitting.writer import FitWriter
from samplemix_dagster.engine.foundation.corpus import CORPUS
from samplemix_dagster.engine.outcome import Progress
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.shards.reading import read
from samplemix_dagster.engine.stages import Facts, Maker, Settings, Task
from samplemix_dagster.stages.columns import lazily
from samplemix_dagster.stages.diversity.grams.ngrams import GRAMS, grams_of_table
from samplemix_dagster.stages.optional import OptionalFit, OptionalStage

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.engine.project import Project

_FILE = "counts.safetensors"


class GramCountsFit(OptionalFit):
    """How often each n-gram stands in the corpus."""

    name = asset = "gram_counts"
    group = "diversity"
    words = "How often each n-gram stands in the corpus, and how common its documents are by that."

    def is_asked(self, config: Config) -> bool:
        """Whether commonness counts."""
        return config.diversity.is_used(NAME)

    def needs(self, project: "Project", name: str) -> tuple[str, ...]:
        """Return the grams of all documents."""
        del project, name
        return (GRAMS.asset, CORPUS.asset)

    def settings(self, recipes: "Recipes", name: str) -> Settings:
        """Return the grams."""
        del name
        return {"grams": recipes.by_source(GRAMS)}

    def make(self, recipes: "Recipes", writer: FitWriter, name: str, progress: Progress) -> Facts:
        """Add the counts of every shard up, then see how common each document is."""
        del name
        from samplemix_dagster.core.diversity.grams.commonness import gram_counts, log_commonness

        shards = recipes.project.all_shards()
        pending: list[Any] = []
        for number, shard in enumerate(shards):
            table = read(recipes, GRAMS, shard)
            if table.num_rows:
                pending.append(gram_counts([grams_of_table(table)]))
            # Like sizes are added to like: few moves for each gram.
            while len(pending) > 1 and len(pending[-1].grams) * 2 > len(pending[-2].grams):
                pending[-2:] = [gram_counts(pending[-2:])]
            progress(self.asset, "", number + 1, 2 * len(shards))
        known = gram_counts(pending)
        logs = [np.empty(0)]
        for number, shard in enumerate(shards):
            table = read(recipes, GRAMS, shard)
            if table.num_rows:
                logs.append(log_commonness(grams_of_table(table), known))
            progress(self.asset, "", len(shards) + number + 1, 2 * len(shards))
        middle = Middle.of(np.concatenate(logs))
        writer.lake.write_arrays(
            _FILE,
            {
                "grams": known.grams,
                "counts": known.counts,
                "middle": np.array([middle.median, middle.scale]),
            },
        )
        return {
            "num_grams": len(known.grams),
            "num_positions": int(known.counts.sum()),
            "median_log_probability": round(middle.median, 4),
            "scale": round(middle.scale, 4),
        }


GRAM_COUNTS = GramCountsFit()


class Commonness(OptionalStage):
    """How uncommon each document is."""

    name = NAME
    asset = f"{NAME}_score"
    group = "diversity"
    table = tables.COMMONNESS
    fit = GRAM_COUNTS
    is_wide = True
    words = (
        "Diversity by commonness (SoftDedup): high where the n-grams of a document are rare in "
        "the rest of the corpus."
    )

    def needs(self, project: "Project") -> tuple[str, ...]:
        """Return the grams and their counts."""
        del project
        return (GRAMS.asset, GRAM_COUNTS.asset)

    def settings(self, recipes: "Recipes", source: str) -> Settings:
        """Return the grams and their counts."""
        return {
            "grams": recipes.fingerprint(GRAMS, source),
            "counts": recipes.fit(GRAM_COUNTS),
        }

    def work(self, recipes: "Recipes", partition: str) -> Task | Maker:
        """Return what looks each document's grams up."""
        del partition
        return lazily(lambda: _maker(recipes))


COMMONNESS = Commonness()


def _maker(recipes: "Recipes") -> Maker:
    from samplemix_dagster.core.diversity.grams.commonness import GramCounts, log_commonness

    arrays = recipes.lake.read_arrays(f"{recipes.fit_key(GRAM_COUNTS)}/{_FILE}")
    known = GramCounts(grams=arrays["grams"], counts=arrays["counts"])
    median, scale = arrays["middle"].tolist()
    middle = Middle(median=median, scale=scale)

    def make(shard: PlacedShard) -> pa.Table:
        table = read(recipes, GRAMS, shard)
        if table.num_rows == 0:
            return tables.COMMONNESS.schema.empty_table()
        logs = log_commonness(grams_of_table(table), known)
        return tables.COMMONNESS.make(
            doc_id=table.column("doc_id"),
            log_commonness=pa.array(round_significant(logs), from_pandas=True),
            commonness_score=round_unit(middle.low_scores(logs)),
        )

    return make
