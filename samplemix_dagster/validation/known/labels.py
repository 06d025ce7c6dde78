"""Labels of a dirty pool: what each document is known to be."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.junk.table import CLEAN
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.errors import InputError
from samplemix_dagster.storage.lake.whole_files import digest_file
from samplemix_dagster.validation.choosing.corpus import JudgedCorpus
from samplemix_dagster.validation.known.labelled import Labels, read_labels


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CorpusLabels:
    """What each document of the corpus is.

    Attributes:
        kinds: ``clean``, or a kind of junk; empty where nothing is known: (N,).
        by_place: The same by source and own id.
        digest: Of the file.
    """

    kinds: npt.NDArray[np.str_]
    by_place: Labels
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


def labels_of(recipes: Recipes, corpus: JudgedCorpus, place: str) -> CorpusLabels:
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
    known = read_labels(file)
    ids = corpus.column(recipes, "id")
    pairs = zip(corpus.sources.tolist(), ids, strict=True)
    kinds = [known.get((source, str(found)), "") for source, found in pairs]
    if not any(kinds):
        raise InputError(f"{file}: none of its documents is in the corpus, by source and id.")
    return CorpusLabels(kinds=np.array(kinds, dtype=str), by_place=known, digest=digest_file(file))
