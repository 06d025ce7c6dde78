"""ids: each text as ids of the budget's tokenizer, where an export of ids is asked for.

A shard is tokenized once for a tokenizer, whatever is drawn from it and however often. No mixture
is made from it.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from samplemix_dagster.config.around import TokenizingLibrary
from samplemix_dagster.config.project import Config
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.foundation.reference import REFERENCE
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.shards.working import loaded
from samplemix_dagster.engine.stages import Maker, Settings, Stage, Task
from samplemix_dagster.table_contract import Column, Table
from samplemix_dagster.tables import DOC_ID

if TYPE_CHECKING:
    from collections.abc import Iterable

    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.engine.stages import Member

TABLE = Table(
    "ids",
    "One row per document of a shard: its ids in the budget's tokenizer.",
    (DOC_ID, Column("ids", pa.large_list(pa.uint32()), "ids of the text, without EOS")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokenize:
    """Turn each text into ids; words that look like a special token are text."""

    tokenizer: str
    digest: str
    library: TokenizingLibrary

    def run(self, doc_ids: list[str], texts: list[str]) -> pa.Table:
        """Return the ``ids`` table of a chunk."""
        found = loaded.text_ids(self.tokenizer, self.digest, self.library).of(texts)
        return TABLE.make(doc_id=doc_ids, ids=found)


class TokenIds(Stage):
    """Ids of each document in the budget's tokenizer."""

    name = "ids"
    asset = "token_ids"
    group = "export"
    table = TABLE
    words = "Each document as ids of the tokenizer that counts the budget, for exports of ids."
    is_base = True
    carries_over = True

    def stages(self, config: Config) -> tuple[Stage, ...]:
        """Return itself, where an export of ids is asked for."""
        return (self,) if config.asks_for_ids else ()

    def members(self, project: Project) -> "Iterable[Member]":
        """Return itself, where an export of ids is asked for."""
        return ((stage, "") for stage in self.stages(project.config))

    def needs(self, project: Project) -> tuple[str, ...]:
        """Return documents, and whose tokenizer it is."""
        counting = project.config.tokenizer.reference
        whose = (REFERENCE.asset_of(counting),) if counting else ()
        return (DOCUMENTS.asset, *whose)

    def settings(self, recipes: "Recipes", source: str) -> Settings:
        """Return how texts are read, and the tokenizer."""
        return {"text": recipes.text(source), "tokenizer": recipes.tokenizer_digest}

    def work(self, recipes: "Recipes", partition: str) -> Task | Maker:
        """Return what tokenizes texts."""
        del partition
        return Tokenize(
            tokenizer=str(recipes.tokenizer_folder),
            digest=recipes.tokenizer_digest,
            library=recipes.config.compute.tokenize_with,
        )


TOKEN_IDS = TokenIds()
