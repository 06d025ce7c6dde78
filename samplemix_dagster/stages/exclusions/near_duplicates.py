"""near_duplicate: all texts of a group of near-duplicates but the first."""

from collections.abc import Container, Iterator, Mapping
from typing import TYPE_CHECKING

from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.shards.reading import read
from samplemix_dagster.engine.stages import Settings
from samplemix_dagster.stages.diversity.grams.near import NEAR
from samplemix_dagster.stages.exclusions.exclusion import Exclusion, Found, Look

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.engine.project import Project


class NearDuplicate(Exclusion):
    """What is nearly the text of another document, which stays."""

    reason = "near_duplicate"

    def is_asked(self, project: "Project") -> bool:
        """Whether the first of each group alone is to be drawn."""
        duplicates = project.config.diversity.duplicates
        return duplicates is not None and duplicates.near == "first"

    def needs(self, project: "Project") -> tuple[str, ...]:
        """Return the group of each document."""
        del project
        return (NEAR.asset,)

    def settings(self, recipes: "Recipes") -> Settings:
        """Return the groups."""
        return {"near": recipes.by_source(NEAR)}

    def looks(self, recipes: "Recipes", out: Container[str]) -> Look:
        """Return what yields the documents that are not their group's first, with the one that is.

        What is out for another reason is no first, so that one text of a group stays.
        """
        firsts = _firsts(recipes, out)

        def look(shard: PlacedShard) -> Iterator[Found]:
            for doc_id, group in _grouped(recipes, shard):
                if doc_id not in out and firsts[group] != doc_id:
                    yield doc_id, firsts[group]

        return look


NEAR_DUPLICATE = NearDuplicate()


def _firsts(recipes: "Recipes", out: Container[str]) -> Mapping[str, str]:
    """Return the first document of each group, by id, of those that may be drawn today.

    A group is named by its first text, which may have left the corpus since groups were made.
    """
    firsts: dict[str, str] = {}
    for shard in recipes.project.all_shards():
        for doc_id, group in _grouped(recipes, shard):
            if doc_id not in out:
                firsts[group] = min(doc_id, firsts.get(group, doc_id))
    return firsts


def _grouped(recipes: "Recipes", shard: PlacedShard) -> Iterator[tuple[str, str]]:
    """Yield id and group of each document of a shard that has near-duplicates."""
    table = read(recipes, NEAR, shard, "doc_id", "near_group", "near_size")
    ids, groups, sizes = (table.column(name).to_pylist() for name in table.column_names)
    for doc_id, group, size in zip(ids, groups, sizes, strict=True):
        if size > 1:
            yield doc_id, group
