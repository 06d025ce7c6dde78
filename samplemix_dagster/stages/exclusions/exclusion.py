"""What an exclusion is: a reason, and which documents of a shard it holds for.

One more is a file beside this one, a line in ``table.py``, and its reason in ``tables.EXCLUSIONS``.
An excluded document has weight 0 in every draw, keeps its row in the ledger with the reason, and is
counted by it; everything else comes by itself.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Iterator
from typing import TYPE_CHECKING

from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.stages import Settings

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.engine.project import Project

Found = tuple[str, str | None]
"""Id of a document, and what more there is to say of it."""
Look = Callable[[PlacedShard], Iterator[Found]]
"""What a shard has of it."""


class Exclusion(ABC):
    """One reason for which documents are not drawn."""

    reason: str
    """One of ``tables.EXCLUSIONS``."""

    @abstractmethod
    def is_asked(self, project: "Project") -> bool:
        """Whether a project asks for it; what is not asked for is in no recipe."""

    @abstractmethod
    def needs(self, project: "Project") -> tuple[str, ...]:
        """Return the assets whose results it reads."""

    @abstractmethod
    def settings(self, recipes: "Recipes") -> Settings:
        """Return everything that it depends on beside the shards.

        Raises:
            NotFittedError: It depends on a fit that has not been made.
        """

    def sets(self, project: "Project") -> tuple[str, ...]:
        """Return the names of what it looks for, if it has such; a detail begins with one."""
        del project
        return ()

    @abstractmethod
    def looks(self, recipes: "Recipes", out: Container[str]) -> Look:
        """Return what yields the documents of a shard for which it holds, in the shard's order.

        Args:
            recipes: Of the project.
            out: The documents, by id, for which an exclusion before this one holds.
        """
