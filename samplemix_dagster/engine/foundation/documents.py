"""documents: each row of a shard as a document or a rejected row, by one pass over its text."""

from typing import TYPE_CHECKING

from samplemix_dagster import tables
from samplemix_dagster.engine.stages import Maker, Settings, Stage, Task
from samplemix_dagster.storage.lake import keys

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.engine.project import Project


class Documents(Stage):
    """Identity, language and bytes of each document; what else is filled in the same pass joins."""

    name = "documents"
    asset = "raw_shards"
    group = "shards"
    table = tables.DOCUMENTS
    words = (
        "Every row of a source's shards as a document or a rejected row with its reason; "
        "language, n-grams and words of each document, read in one pass over the text."
    )
    is_base = True
    is_wide = True
    # Documents and rejected rows are one reading of a shard: neither is whole without the other.
    endings = (".parquet", ".rejected.parquet")
    lists_documents = True

    def needs(self, project: "Project") -> tuple[str, ...]:
        """Return nothing: files are all that it reads."""
        del project
        return ()

    def waits(self) -> tuple[str, ...]:
        """Return nothing: it is the first."""
        return ()

    def settings(self, recipes: "Recipes", source: str) -> Settings:
        """Return how rows are read, and what is kept beside their text."""
        rules = recipes.project.rules(source)
        return {
            "text": recipes.text(source),
            "id": rules.id,
            "metadata": list(rules.metadata),
            "language": recipes.config.corpus.language,
        }

    def work(self, recipes: "Recipes", partition: str) -> Task | Maker:
        """Refuse: documents are found by reading shards, for all that joins in the pass.

        Raises:
            TypeError: Always.
        """
        del recipes, partition
        raise TypeError("documents are found by the first reading of a shard")

    def columns(self) -> dict[str, str]:
        """Return what the wide table says of a document beside its scores."""
        return {"row": "row", "language": "language"}

    def lake_folder(self, recipe: str) -> str:
        """Return the folder of the documents that were read by a recipe."""
        return keys.documents_folder(recipe)


DOCUMENTS = Documents()
