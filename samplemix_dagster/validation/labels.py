"""Labels of a dirty pool: what each document is known to be."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.errors import InputError
from samplemix_dagster.storage.lake.whole_files import digest_file
from samplemix_dagster.validation.choices import table_of
from samplemix_dagster.validation.corpus import JudgedCorpus

CLEAN = "clean"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Labels:
    """What each document of the corpus is.

    Attributes:
        kinds: ``clean``, or a kind of junk; empty where nothing is known: (N,).
        digest: Of the file.
    """

    kinds: npt.NDArray[np.str_]
    digest: str

    @property
    def is_clean(self) -> npt.NDArray[np.bool_]:
        """Which documents are clean: (N,)."""
        found: npt.NDArray[np.bool_] = self.kinds == CLEAN
        return found

    @property
    def junk(self) -> list[str]:
        """The kinds of junk that there are, by name."""
        return sorted(set(self.kinds.tolist()) - {CLEAN, ""})


def read_labels(recipes: Recipes, corpus: JudgedCorpus, place: str) -> Labels:
    """Read labels by source and own id, as ``samplemix dirty`` writes them.

    Args:
        recipes: Of the project.
        corpus: The corpus.
        place: A table with the columns ``source``, ``id`` and ``kind``, relative to the project.

    Raises:
        InputError: It cannot be read, or no document of the corpus is in it.
    """
    inside = recipes.project.root / place
    file = inside if inside.is_file() else Path(place)
    if not file.is_file():
        raise InputError(f"labels: there is no file {place}.")
    table = table_of(file)
    if lacking := sorted({"source", "id", "kind"} - set(table.column_names)):
        raise InputError(f"{file}: no column {lacking[0]!r}; there are {table.column_names}.")
    columns = (table.column(name).to_pylist() for name in ("source", "id", "kind"))
    known = {(str(s), str(i)): str(kind) for s, i, kind in zip(*columns, strict=True)}
    ids = corpus.column(recipes, "id")
    kinds = [known.get((str(s), str(i)), "") for s, i in zip(corpus.sources, ids, strict=True)]
    if not any(kinds):
        raise InputError(f"{file}: none of its documents is in the corpus, by source and id.")
    return Labels(kinds=np.array(kinds, dtype=str), digest=digest_file(file))
