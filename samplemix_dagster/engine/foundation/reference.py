"""Make a reference: find the one that is named, train a small one on the corpus, or count n-grams.

It is made from the documents with the smallest hashes for that purpose. So the same corpus gives
the same reference, and one that is made from fewer tokens has read the first of those that one of
more has. How it is made of them is in ``bootstrap_reference.py`` and ``ngram_reference.py``.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from samplemix_dagster.config.project import Config
from samplemix_dagster.engine.fitting.hash_sample import HashSample
from samplemix_dagster.engine.fitting.writer import FitWriter
from samplemix_dagster.engine.foundation.bootstrap_reference import (
    MOST_TESTED_TEXTS,
    train_bootstrap,
)
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.foundation.ngram_reference import count_reference
from samplemix_dagster.engine.outcome import Progress
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.shards.shard_rows import read_documents
from samplemix_dagster.engine.stages import WHOLE_CORPUS, Facts, Fit, Settings
from samplemix_dagster.errors import InputError

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.engine.project import Project

_BYTES_PER_TOKEN = 6
_SAMPLE_LIMIT = 2_000_000


class Reference(Fit):
    """A model whose perplexity is quality: named, or made here from the corpus."""

    name = "reference"
    asset = "reference_model"
    group = "reference"
    words = "A reference: a model of text, found where it is named or made here from the corpus."
    by_drift = False
    uses_model = True

    def names(self, project: "Project") -> tuple[str, ...]:
        """Return the references that a project names."""
        return tuple(project.config.references)

    def is_used(self, config: Config, name: str) -> bool:
        """Whether it scores, a signal reads it, or its tokenizer counts."""
        quality = config.quality
        return name in {quality.reference, *quality.other_references, config.tokenizer.reference}

    def is_given(self, config: Config, name: str) -> bool:
        """Whether it is named, rather than made here."""
        return config.references[name].model is not None

    def needs(self, project: "Project", name: str) -> tuple[str, ...]:
        """Return the corpus that it is made from; nothing where it is named."""
        if self.is_given(project.config, name):
            return ()
        return (DOCUMENTS.asset, *WHOLE_CORPUS)

    def waits(self) -> tuple[str, ...]:
        """Return nothing: one that is named can be looked at first."""
        return ()

    def settings(self, recipes: "Recipes", name: str) -> Settings:
        """Return the digest of its files, or how it is made."""
        reference = recipes.config.references[name]
        for key in ("bootstrap", "ngram"):
            if (section := getattr(reference, key)) is not None:
                return {key: section.for_recipe()}
        return {"model": recipes.reference_digest(name)}

    def shards(self, recipes: "Recipes", name: str) -> list[PlacedShard]:
        """Return the shards of the sources that it is made from."""
        if self.is_given(recipes.config, name):
            return []
        _, wanted = recipes.config.references[name].made_from
        every = recipes.project.all_shards()
        return [shard for shard in every if wanted is None or shard.source in wanted]

    def make(self, recipes: "Recipes", writer: FitWriter, name: str, progress: Progress) -> Facts:
        """Make it from the corpus, or say what is known of the one that is named."""
        reference = recipes.config.references[name]

        def report(done: int, total: int) -> None:
            progress(self.asset_of(name), "", done, total)

        if reference.bootstrap is not None:
            trained = reference.bootstrap
            sample = sample_texts(recipes, trained.tokens, trained.sources, more=MOST_TESTED_TEXTS)
            return train_bootstrap(*sample, writer, trained, report)
        if reference.ngram is not None:
            ngram = reference.ngram
            ids, _, texts = sample_texts(recipes, ngram.tokens, ngram.sources, more=0)
            return count_reference(ids, texts, writer, ngram, report)
        return _named_facts(recipes, name)


REFERENCE = Reference()


def made_from(recipe: Settings) -> Mapping[str, Any] | None:
    """Return how a reference was made from the corpus, by its fit's recipe; None: it was named."""
    found: Mapping[str, Any] | None = recipe.get("bootstrap", recipe.get("ngram"))
    return found


def _named_facts(recipes: "Recipes", name: str) -> Facts:
    from samplemix_dagster.storage.models.files import count_parameters

    folder = recipes.reference_folder(name)
    return {
        "kind": "model",
        "model": recipes.config.references[name].model,
        "model_digest": recipes.reference_digest(name),
        "num_parameters": count_parameters(folder),
    }


def sample_texts(
    recipes: "Recipes", tokens: int, wanted: Collection[str] | None, *, more: int
) -> tuple[list[str], list[str], list[str]]:
    """Return ids, sources and texts that have so many tokens at least, smallest hash first.

    Args:
        recipes: The recipes of a project whose documents were read.
        tokens: Tokens to read, of at most 6 bytes each in the mean; less where there is no more.
        wanted: The sources to read; None: all of them.
        more: Documents beyond these, to test on.

    Raises:
        InputError: The sources have no document.
    """
    gathered = HashSample(_SAMPLE_LIMIT, "reference")
    for shard in recipes.project.all_shards():
        if wanted is None or shard.source in wanted:
            key = recipes.feature_key(DOCUMENTS, shard)
            gathered.add(shard, recipes.lake.read_table(key, ["doc_id", "row", "num_bytes"]))
    sample = gathered.table()
    if sample.num_rows == 0:
        raise InputError("a reference cannot be trained: the sources it names have no document.")
    total = np.cumsum(sample.column("num_bytes").to_numpy())
    needed = int(np.searchsorted(total, tokens * _BYTES_PER_TOKEN)) + 1
    return read_sample(recipes, sample.slice(0, needed + more))


def read_sample(recipes: "Recipes", sample: pa.Table) -> tuple[list[str], list[str], list[str]]:
    """Return ids, sources and texts of the documents of a sample, in its order."""
    place = {
        (item["source"], item["shard"], item["row"]): index
        for index, item in enumerate(sample.to_pylist())
    }
    texts = dict(_texts(recipes, place))
    ids, sources = (sample.column(name).to_pylist() for name in ("doc_id", "source"))
    return ids, sources, [texts[index] for index in range(len(texts))]


def _texts(recipes: "Recipes", place: dict[tuple[str, str, int], int]) -> Iterator[tuple[int, str]]:
    wanted = {(source, shard) for source, shard, _ in place}
    for shard in recipes.project.all_shards():
        if (shard.source, shard.digest) not in wanted:
            continue
        for document in read_documents(recipes, shard):
            index = place.get((shard.source, shard.digest, document.row))
            if index is not None:
                yield index, document.text
