"""tokens: the length of each text in the tokenizer that counts the budget."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from samplemix_dagster import tables
from samplemix_dagster.config.around import TokenizingLibrary
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.foundation.reference import REFERENCE
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.shards.missing import missing_shards
from samplemix_dagster.engine.shards.reading import read
from samplemix_dagster.engine.shards.working import loaded
from samplemix_dagster.engine.stages import Maker, Settings, Task
from samplemix_dagster.stages.of_model import ModelStage
from samplemix_dagster.stages.quality.loss.perplexity import PERPLEXITY

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.model_recipes import ModelRecipes
    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.engine.project import Project


@dataclass(frozen=True, slots=True, kw_only=True)
class CountTokens:
    """Count each text's tokens in the budget's tokenizer."""

    tokenizer: str
    digest: str
    library: TokenizingLibrary

    def run(self, doc_ids: list[str], texts: list[str]) -> pa.Table:
        """Return the ``tokens`` table of a chunk."""
        found = loaded.text_ids(self.tokenizer, self.digest, self.library).of(texts)
        return tables.TOKENS.make(doc_id=doc_ids, num_tokens=[ids.size for ids in found])


class Tokens(ModelStage):
    """Tokens of each document in the budget's tokenizer."""

    name = "tokens"
    asset = "token_counts"
    group = "quality"
    table = tables.TOKENS
    words = "Each document's length in the tokenizer that counts the budget."
    is_wide = True
    model = "tokenizer"
    tolerance = 0.0

    def needs(self, project: "Project") -> tuple[str, ...]:
        """Return documents, losses (they may have counted already) and whose tokenizer counts."""
        counting = project.config.tokenizer.reference
        whose = (REFERENCE.asset_of(counting),) if counting else ()
        return (DOCUMENTS.asset, PERPLEXITY.asset, *whose)

    def settings(self, recipes: "Recipes", source: str) -> Settings:
        """Return how texts are read, and the tokenizer."""
        return {"text": recipes.text(source), "tokenizer": recipes.tokenizer_digest}

    def work(self, recipes: "Recipes", partition: str) -> Task | Maker:
        """Return what counts tokens; where scoring counted the same ones, what takes them over."""
        is_scored = not missing_shards(recipes, PERPLEXITY, partition)
        if is_scored and recipes.counts_with_reference:
            return _from_perplexity(recipes)
        return super().work(recipes, partition)

    def found(self, models: "ModelRecipes") -> tuple[Path, str]:
        """Return where the tokenizer lies, and its digest."""
        return models.tokenizer_folder, models.tokenizer_digest

    def scorer(self, models: "ModelRecipes", folder: Path, digest: str) -> Task:
        """Return what counts the tokens of texts."""
        library = models.config.compute.tokenize_with
        return CountTokens(tokenizer=str(folder), digest=digest, library=library)


def _from_perplexity(recipes: "Recipes") -> Maker:
    def make(shard: PlacedShard) -> pa.Table:
        table = read(recipes, PERPLEXITY, shard, "doc_id", PERPLEXITY.counted_column)
        return tables.TOKENS.make(
            doc_id=table.column("doc_id"), num_tokens=table.column(PERPLEXITY.counted_column)
        )

    return make


TOKENS = Tokens()
