"""What a kind of junk is."""

from dataclasses import dataclass
from typing import Protocol

from samplemix_dagster.core.junk.luck import Luck
from samplemix_dagster.core.junk.material import Material


@dataclass(frozen=True, slots=True)
class Junk:
    """One text that is junk."""

    text: str
    made_from: str | None = None
    """The id of the clean text that it was made from; None where it was made from many or none."""


class Kind(Protocol):
    """One kind of junk: a class of its own and a line in ``table.py``.

    Its docstring says what it imitates. It has no state: what its documents share, they find in the
    material under a name.
    """

    name: str
    """The label of its documents."""

    def make(self, material: Material, luck: Luck) -> Junk:
        """Return a document.

        Args:
            material: The clean texts of the source that it will stand in.
            luck: The document's own.
        """
