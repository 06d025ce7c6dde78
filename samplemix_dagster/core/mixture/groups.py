"""Groups of documents whose shares of a budget are held: their names, and who is in which.

Shape letters: N = documents of a shard.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

Rows = slice | npt.NDArray[np.int64]
"""What takes some of N documents out of an array."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Groups:
    """N documents in groups.

    Attributes:
        names: The names of the groups, each once.
        codes: The group of each document, by number: (N,).
    """

    names: Sequence[str]
    codes: npt.NDArray[np.int64]

    @classmethod
    def whole(cls, name: str, num_documents: int) -> "Groups":
        """Return one group of all documents."""
        return cls(names=(name,), codes=np.zeros(num_documents, dtype=np.int64))

    @property
    def of_documents(self) -> npt.NDArray[np.object_]:
        """The name of each document's group: (N,)."""
        return np.array(self.names, dtype=object)[self.codes]

    def parts(self) -> Iterator[tuple[str, Rows]]:
        """Yield each group with its documents, in the order that they have."""
        if len(self.names) == 1:
            yield self.names[0], slice(None)
            return
        order = np.argsort(self.codes, kind="stable")
        bounds = np.searchsorted(self.codes[order], np.arange(len(self.names) + 1))
        for name, (first, last) in zip(self.names, pairwise(bounds.tolist()), strict=True):
            yield name, order[first:last]


def groups_of(columns: Sequence[Sequence[str]]) -> Groups:
    """Return the groups of N documents by one column of names, or by several, one of each.

    Args:
        columns: At least one; each has N names.
    """
    codes = np.zeros(len(columns[0]), dtype=np.int64)
    parts: list[tuple[str, ...]] = [()]
    for column in columns:
        names, own = np.unique(np.asarray(column, dtype=np.str_), return_inverse=True)
        present, codes = np.unique(codes * max(1, names.size) + own, return_inverse=True)
        places = [divmod(int(pair), names.size) for pair in present]
        parts = [(*parts[before], str(names[last])) for before, last in places]
    return Groups(names=[group_name(one) for one in parts], codes=codes.astype(np.int64))


def group_name(parts: Sequence[str]) -> str:
    """Return the name of a group: one part as it is, several joined by ``/``.

    Of several, ``/`` and ``%`` inside one are percent-encoded, so no two groups have one name.
    """
    if len(parts) == 1:
        return parts[0]
    return "/".join(part.replace("%", "%25").replace("/", "%2F") for part in parts)


def group_parts(name: str, count: int) -> tuple[str, ...] | None:
    """Return the parts of a group's name; None where it is not the name of so many."""
    if count == 1:
        return (name,)
    parts = name.split("/")
    if len(parts) != count:
        return None
    return tuple(part.replace("%2F", "/").replace("%25", "%") for part in parts)
