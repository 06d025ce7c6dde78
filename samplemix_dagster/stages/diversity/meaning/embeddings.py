"""embeddings: a direction for each text, by a sentence encoder."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from samplemix_dagster import tables
from samplemix_dagster.config.project import Config
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.shards.working import loaded
from samplemix_dagster.engine.shards.working.tasks import ModelTask
from samplemix_dagster.engine.stages import Settings, Task
from samplemix_dagster.stages.of_model import ModelStage
from samplemix_dagster.table_contract import Table

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.model_recipes import ModelRecipes
    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.engine.project import Project

_COARSE = 2e-2


@dataclass(frozen=True, slots=True, kw_only=True)
class Embed(ModelTask):
    """Embed each text."""

    max_tokens: int

    def run(self, doc_ids: list[str], texts: list[str]) -> pa.Table:
        """Return the ``embeddings`` table of a chunk."""
        from samplemix_dagster.core.diversity.meaning.embed import embed_texts

        encoder = loaded.encoder(self.folder, self.digest, self.device, self.dtype)
        embeddings_NE = embed_texts(encoder, texts, max_tokens=self.max_tokens)
        return embeddings_as_table(doc_ids, embeddings_NE)


class Embeddings(ModelStage):
    """The direction of each document in the encoder's space."""

    name = "embeddings"
    asset = "embeddings"
    group = "diversity"
    table = tables.embeddings_table(1)
    words = "Sentence embedding of each document, unit length, float16."
    uses_model = True
    model = "encoder"
    tolerance = _COARSE  # stored as float16, whose last digit is worth a thousandth
    feeds = True

    def needs(self, project: "Project") -> tuple[str, ...]:
        """Return the documents."""
        del project
        return (DOCUMENTS.asset,)

    def settings(self, recipes: "Recipes", source: str) -> Settings:
        """Return how texts are read and cut, and the encoder."""
        return {
            "text": recipes.text(source),
            "encoder": recipes.encoder_digest,
            "max_tokens": recipes.config.encoder.max_tokens,
            "dtype": recipes.encoder_dtype,
        }

    def contract(self, config: Config, made: pa.Table | None = None) -> Table:
        """Return the contract of a table of the encoder's width, which its rows show."""
        del config
        if made is None:
            return self.table
        return tables.embeddings_table(made.schema.field(tables.EMBEDDING).type.list_size)

    def found(self, models: "ModelRecipes") -> tuple[Path, str]:
        """Return where the encoder lies, and its digest."""
        return models.encoder_folder, models.encoder_digest

    def scorer(self, models: "ModelRecipes", folder: Path, digest: str) -> Task:
        """Return what embeds texts."""
        return Embed(
            folder=str(folder),
            digest=digest,
            device=models.device,
            dtype=models.encoder_dtype,
            max_tokens=models.config.encoder.max_tokens,
        )


EMBEDDINGS = Embeddings()


def embeddings_as_table(doc_ids: list[str], embeddings_NE: Any) -> pa.Table:
    """Return an ``embeddings`` table."""
    dimensions = int(embeddings_NE.shape[1])
    flat = pa.array(np.ascontiguousarray(embeddings_NE, dtype=np.float16).ravel())
    return tables.embeddings_table(dimensions).make(
        doc_id=doc_ids, embedding=pa.FixedSizeListArray.from_arrays(flat, dimensions)
    )


def embeddings_of_table(table: pa.Table) -> Any:
    """Return the float16 matrix (N, E) of an ``embeddings`` table."""
    column = table.column(tables.EMBEDDING).combine_chunks()
    dimensions = column.type.list_size
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return flat.astype(np.float16).reshape(-1, dimensions)
