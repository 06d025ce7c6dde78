"""letters: the length of each text in letters, where bits are told by the letter."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from samplemix_dagster import tables
from samplemix_dagster.config.project import Config
from samplemix_dagster.core.quality.loss.letters import num_letters
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.stages import Maker, Member, Settings, Stage, Task

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.engine.project import Project


@dataclass(frozen=True, slots=True, kw_only=True)
class CountLetters:
    """Count each text's letters."""

    def run(self, doc_ids: list[str], texts: list[str]) -> pa.Table:
        """Return the ``letters`` table of a chunk."""
        return tables.LETTERS.make(doc_id=doc_ids, num_letters=list(map(num_letters, texts)))


class Letters(Stage):
    """Letters of each document."""

    name = "letters"
    asset = "letter_counts"
    group = "quality"
    table = tables.LETTERS
    words = "Each document's length in letters, by which its bits are divided where it is compared."
    is_base = True
    is_wide = True
    carries_over = True
    tolerance = 0.0

    def stages(self, config: Config) -> tuple[Stage, ...]:
        """Return itself, where bits are told by the letter."""
        return (self,) if config.quality.unit == "letter" else ()

    def members(self, project: "Project") -> Iterable[Member]:
        """Return itself, where bits are told by the letter."""
        return ((stage, "") for stage in self.stages(project.config))

    def needs(self, project: "Project") -> tuple[str, ...]:
        """Return the documents."""
        del project
        return (DOCUMENTS.asset,)

    def settings(self, recipes: "Recipes", source: str) -> Settings:
        """Return how texts are read."""
        return {"text": recipes.text(source)}

    def work(self, recipes: "Recipes", partition: str) -> Task | Maker:
        """Return what counts letters."""
        del recipes, partition
        return CountLetters()


LETTERS = Letters()
