"""clean: the chance that a document is text, beside what the corpus says words do."""

import json
from dataclasses import dataclass
from functools import cache, lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

import pyarrow as pa

from samplemix_dagster import tables
from samplemix_dagster.config.project import Config
from samplemix_dagster.config.scoring.scores import CLEAN as NAME
from samplemix_dagster.core.hashing import doc_id, fingerprint, round_unit
from samplemix_dagster.core.quality.clean.model import CleanModel
from samplemix_dagster.engine.fitting.writer import FitWriter
from samplemix_dagster.engine.foundation.corpus import CORPUS
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.outcome import Progress
from samplemix_dagster.engine.shards.reading import read
from samplemix_dagster.engine.shards.shard_rows import read_documents
from samplemix_dagster.engine.shards.working import loaded
from samplemix_dagster.engine.shards.working.shard_work import batches
from samplemix_dagster.engine.stages import Facts, Maker, Settings, Task
from samplemix_dagster.stages.optional import OptionalFit, OptionalStage

if TYPE_CHECKING:
    from samplemix_dagster.core.quality.clean.measures import Company
    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.engine.project import Project

_FILE = "company.safetensors"
_MODEL = "clean.json"


class CleanFit(OptionalFit):
    """Which words, pairs, triples, lines and runs of bytes stand in the corpus, in part counted."""

    name = "clean_counts"
    asset = "clean_counts"
    group = "quality"
    words = (
        "In how many documents words, pairs, triples and lines stand, counted over a hash sample: "
        "what the signal `clean` measures a text's company by."
    )

    def is_asked(self, config: Config) -> bool:
        """Whether the signal counts."""
        return NAME in config.quality.used

    def needs(self, project: "Project", name: str) -> tuple[str, ...]:
        """Return the documents."""
        del project, name
        return (DOCUMENTS.asset, CORPUS.asset)

    def settings(self, recipes: "Recipes", name: str) -> Settings:
        """Return how texts are read."""
        del name
        sources = recipes.config.corpus.sources
        return {"texts": {source: recipes.text(source) for source in sources}}

    def reads_text(self, project: "Project", name: str) -> bool:
        """It reads text."""
        del project, name
        return True

    def make(self, recipes: "Recipes", writer: FitWriter, name: str, progress: Progress) -> Facts:
        """Count the documents with the smallest hashes, a text once."""
        del name
        from samplemix_dagster.core.quality.clean.measures import Counting

        shards = recipes.project.all_shards()
        sizes = (read(recipes, DOCUMENTS, shard, "num_bytes") for shard in shards)
        counting = Counting(sum(sum(size.column("num_bytes").to_pylist()) for size in sizes))
        for number, shard in enumerate(shards):
            documents = ((doc_id(item.text), item.text) for item in read_documents(recipes, shard))
            for ids, texts in batches(documents):
                counting.add(ids, texts)
            progress(self.asset, "", number + 1, len(shards))
        company = counting.company()
        writer.lake.write_arrays(_FILE, company.to_arrays())
        counted, num_bytes = company.counts.totals.tolist()
        return {"num_documents_counted": counted, "num_bytes_in_runs": num_bytes}


CLEAN_FIT = CleanFit()


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreClean:
    """Score each text by its shape and its company."""

    fit: str
    """File of the counts."""

    def run(self, doc_ids: list[str], texts: list[str]) -> pa.Table:
        """Return the signal's table of a chunk."""
        scores = learned_model().score(_company(self.fit).measures(doc_ids, texts))
        return tables.SIGNAL.make(doc_id=doc_ids, score=round_unit(scores))


@cache
def learned_model() -> CleanModel:
    """Return the model that comes along."""
    text = files("samplemix_dagster.stages.quality").joinpath(_MODEL).read_text(encoding="utf-8")
    return CleanModel(**json.loads(text))


@lru_cache(maxsize=1)
def _company(path: str) -> "Company":
    from samplemix_dagster.core.quality.clean.measures import Company

    return Company.from_arrays(loaded.fitted(path))


class Clean(OptionalStage):
    """The chance of each document to be text."""

    name = f"signal-{NAME}"
    asset = f"signal_{NAME}"
    group = "quality"
    table = tables.SIGNAL
    fit = CLEAN_FIT
    carries_over = True
    is_wide = True
    words = (
        "The chance that a document is text rather than junk, in (0, 1), by a model of its shape "
        "and of whether its words meet as words do elsewhere; learned from junk of many kinds."
    )

    def needs(self, project: "Project") -> tuple[str, ...]:
        """Return documents and counts."""
        del project
        return (DOCUMENTS.asset, CLEAN_FIT.asset)

    def settings(self, recipes: "Recipes", source: str) -> Settings:
        """Return how texts are read, the counts, and the model."""
        return {
            "text": recipes.text(source),
            "counts": recipes.fit(CLEAN_FIT),
            "model": fingerprint(learned_model().to_json()),
        }

    def work(self, recipes: "Recipes", partition: str) -> Task | Maker:
        """Return what measures texts and scores them."""
        del partition
        return ScoreClean(fit=str(recipes.lake.path(f"{recipes.fit_key(CLEAN_FIT)}/{_FILE}")))

    def reads_text(self, project: "Project") -> bool:
        """It reads text."""
        del project
        return True

    def columns(self) -> dict[str, str]:
        """Return the name that its score has in the wide table."""
        return {"score": f"{NAME}_score"}


CLEAN = Clean()
