"""contamination: documents that hold text of an evaluation, and the exclusion for them."""

from collections.abc import Container, Iterator
from itertools import islice
from typing import TYPE_CHECKING

import pyarrow as pa

from samplemix_dagster.core.contamination.search import Hit, Index, search
from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.shards.reading import read
from samplemix_dagster.engine.shards.shard_rows import read_documents
from samplemix_dagster.engine.stages import Maker, Settings, Task
from samplemix_dagster.errors import InputError
from samplemix_dagster.stages.columns import lazily
from samplemix_dagster.stages.exclusions.evaluations.evaluation_texts import (
    EVALUATION_TEXTS,
    INDEX_FILE,
    ITEMS_FILE,
)
from samplemix_dagster.stages.exclusions.exclusion import Exclusion, Found, Look
from samplemix_dagster.stages.optional import OptionalStage
from samplemix_dagster.tables import CONTAMINATION

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.engine.project import Project

_AT_ONCE = 512


class Contamination(OptionalStage):
    """What each document holds of evaluations."""

    name = "contamination"
    asset = "contamination"
    group = "shards"
    table = CONTAMINATION
    fit = EVALUATION_TEXTS
    is_base = True
    words = (
        "What each document holds of the evaluations that `exclude` names: the item of which most "
        "stands there, how much of it, and where."
    )

    def needs(self, project: "Project") -> tuple[str, ...]:
        """Return the documents, and what is looked for."""
        del project
        return (DOCUMENTS.asset, EVALUATION_TEXTS.asset)

    def settings(self, recipes: "Recipes", source: str) -> Settings:
        """Return how texts are read, and what is looked for."""
        return {
            "documents": recipes.fingerprint(DOCUMENTS, source),
            "text": recipes.text(source),
            "evaluation": recipes.fit(EVALUATION_TEXTS),
        }

    def work(self, recipes: "Recipes", partition: str) -> Task | Maker:
        """Return what looks through a shard's texts: the index is held once, and sent nowhere."""
        del partition
        return lazily(lambda: _maker(recipes))


STAGE = Contamination()


def _maker(recipes: "Recipes") -> Maker:
    folder = recipes.fit_key(EVALUATION_TEXTS)
    index = Index.from_arrays(recipes.lake.read_arrays(f"{folder}/{INDEX_FILE}"))
    items = recipes.lake.read_table(f"{folder}/{ITEMS_FILE}", ["evaluation", "item"])
    sets, numbers = (items.column(name).to_pylist() for name in ("evaluation", "item"))

    def make(shard: PlacedShard) -> pa.Table:
        documents = read(recipes, DOCUMENTS, shard, "doc_id", "row")
        rows = documents.column("row").to_pylist()
        hits: dict[int, Hit] = {}
        num_read = 0
        reading = read_documents(recipes, shard)
        while batch := list(islice(reading, _AT_ONCE)):
            for hit in search([document.text for document in batch], index):
                hits[num_read + hit.document] = hit
            num_read += len(batch)
            if [document.row for document in batch] != rows[num_read - len(batch) : num_read]:
                break
        path = shard.shard.path
        is_same = recipes.project.files.look(path) == shard.shard.seen
        if num_read != len(rows) or not is_same:
            raise InputError(f"{path} changed since it was read first; run again.")
        found = [hits.get(place) for place in range(len(rows))]
        return CONTAMINATION.make(
            doc_id=documents.column("doc_id"),
            evaluation=[None if hit is None else sets[hit.item] for hit in found],
            item=[None if hit is None else numbers[hit.item] for hit in found],
            share=[0.0 if hit is None else round(hit.share, 5) for hit in found],
            num_items=[0 if hit is None else hit.num_items for hit in found],
            snippet=[None if hit is None else hit.snippet for hit in found],
        )

    return make


class Contaminated(Exclusion):
    """Documents that hold text of an evaluation."""

    reason = "contaminated"

    def is_asked(self, project: "Project") -> bool:
        """Whether a set is named."""
        return bool(project.config.exclude.evaluation)

    def needs(self, project: "Project") -> tuple[str, ...]:
        """Return what was found."""
        del project
        return (STAGE.asset,)

    def settings(self, recipes: "Recipes") -> Settings:
        """Return by what it was found."""
        found = fingerprint(recipes.by_source(STAGE))
        return {"found": found, "share": recipes.config.exclude.share}

    def sets(self, project: "Project") -> tuple[str, ...]:
        """Return the sets of evaluations."""
        return tuple(project.config.exclude.evaluation)

    def looks(self, recipes: "Recipes", out: Container[str]) -> Look:
        """Return what yields the documents that hold something, each with the set's name."""
        del out
        least = recipes.config.exclude.share

        def look(shard: PlacedShard) -> Iterator[Found]:
            for row in read(recipes, STAGE, shard, "doc_id", "evaluation", "share").to_pylist():
                if row["evaluation"] is not None and row["share"] >= least:
                    yield row["doc_id"], row["evaluation"]

        return look


CONTAMINATED = Contaminated()
