"""takedown: documents that somebody asked to have taken out, by id, text, URL or domain."""

from collections.abc import Container, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.shards.reading import read
from samplemix_dagster.engine.stages import Settings
from samplemix_dagster.stages.exclusions.exclusion import Exclusion, Found, Look
from samplemix_dagster.storage.takedowns import TAKEDOWN_FILE, read_takedowns

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.engine.project import Project


def takedown_file(project: "Project") -> Path:
    """Return where a project's list of what was taken down lies, if it has one."""
    return project.root / TAKEDOWN_FILE


class Takedown(Exclusion):
    """What ``takedown.jsonl`` names."""

    reason = "takedown"

    def is_asked(self, project: "Project") -> bool:
        """Whether there is a list."""
        return takedown_file(project).is_file()

    def needs(self, project: "Project") -> tuple[str, ...]:
        """Return the documents."""
        del project
        return (DOCUMENTS.asset,)

    def settings(self, recipes: "Recipes") -> Settings:
        """Return the documents, and what the list names."""
        return {
            "documents": recipes.by_source(DOCUMENTS),
            "list": read_takedowns(takedown_file(recipes.project)).digest,
        }

    def looks(self, recipes: "Recipes", out: Container[str]) -> Look:
        """Return what yields the documents that the list names, with the reason given there."""
        del out
        named = read_takedowns(takedown_file(recipes.project))

        def look(shard: PlacedShard) -> Iterator[Found]:
            documents = read(recipes, DOCUMENTS, shard, *named.columns)
            for doc_id, [entry, *_] in named.among(documents, shard.source):
                yield doc_id, entry.reason

        return look


TAKEDOWN = Takedown()
