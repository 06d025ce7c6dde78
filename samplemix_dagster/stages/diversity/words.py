"""words: those of each document, counted in the first reading."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from samplemix_dagster import tables
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.stages import Maker, Settings, Stage, Task

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.engine.project import Project


@dataclass(frozen=True, slots=True, kw_only=True)
class CountWords:
    """Count the words of each text."""

    def run(self, doc_ids: list[str], texts: list[str]) -> pa.Table:
        """Return the ``words`` table of a chunk."""
        from samplemix_dagster.core.diversity.words import count_words

        counted = [count_words(text) for text in texts]
        return tables.WORDS.make(
            doc_id=doc_ids,
            words=[words for words, _ in counted],
            counts=[counts for _, counts in counted],
        )


class Words(Stage):
    """The distinct words of each document."""

    name = "words"
    asset = DOCUMENTS.asset
    group = "shards"
    table = tables.WORDS
    is_base = True
    feeds = True

    def needs(self, project: "Project") -> tuple[str, ...]:
        """Return nothing: it joins in the first reading."""
        del project
        return ()

    def settings(self, recipes: "Recipes", source: str) -> Settings:
        """Return how texts are read."""
        return {"text": recipes.text(source)}

    def work(self, recipes: "Recipes", partition: str) -> Task | Maker:
        """Return what counts the words of texts."""
        del recipes, partition
        return CountWords()


WORDS = Words()
