"""A choice of documents from elsewhere: a file of ids, of draws, or of weights."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.errors import InputError
from samplemix_dagster.storage.lake.whole_files import digest_file
from samplemix_dagster.storage.outside_tables import table_of
from samplemix_dagster.validation.corpus import JudgedCorpus

_KEYS = ("doc_id", "id")
_WEIGHTS = ("weight", "copies")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Choice:
    """Documents that another tool chose.

    Attributes:
        key: What names them: ``doc_id``, the digest of the text, or ``id``, the document's own id.
        names: One a line of the file.
        sources: The source of each, where the file says it: own ids can repeat between sources.
        weights: How much of each: its weight or copies; 1 where the file does not say.
        digest: Of the file.
    """

    key: str
    names: list[str]
    sources: list[str] | None
    weights: npt.NDArray[np.float64]
    digest: str

    @property
    def max_copies(self) -> int:
        """How often the document that stands there most often stands there."""
        _, counts = np.unique(np.array(self.names), return_counts=True)
        return int(max(counts.max(initial=1), 1))

    def rows(self, recipes: Recipes, corpus: JudgedCorpus) -> npt.NDArray[np.int64]:
        """Return the number of each document in the corpus; -1 where it is not there."""
        if self.key == "doc_id":
            return corpus.rows_of(np.array(self.names, dtype="S32"))
        own = corpus.column(recipes, "id")
        with_source = self.sources is not None
        known = {
            (str(source) if with_source else "", found): row
            for row, (source, found) in enumerate(zip(corpus.sources, own, strict=True))
        }
        sources = self.sources or [""] * len(self.names)
        found_rows = [known.get(pair, -1) for pair in zip(sources, self.names, strict=True)]
        return np.array(found_rows, dtype=np.int64)


def read_choice(file: Path) -> Choice:
    """Read a choice: Parquet, CSV, JSON lines, or one id a line.

    Columns ``doc_id`` or ``id`` (with ``source`` where ids repeat between sources) name documents;
    ``weight`` or ``copies`` say how much of each. A document may stand there several times.

    Raises:
        InputError: The file cannot be read as such, or names no document.
    """
    table = table_of(file)
    key = next((name for name in _KEYS if name in table.column_names), None)
    if key is None:
        raise InputError(f"{file}: no column `doc_id` or `id`; there are {table.column_names}.")
    names = [str(name) for name in table.column(key).to_pylist()]
    if not names:
        raise InputError(f"{file}: names no document.")
    weighed = next((name for name in _WEIGHTS if name in table.column_names), None)
    weights = np.ones(len(names))
    if weighed is not None:
        weights = table.column(weighed).cast(pa.float64()).to_numpy()
    if not np.isfinite(weights).all() or (weights < 0).any():
        raise InputError(f"{file}: {weighed} is a finite number of at least 0 in every row.")
    has_source = key == "id" and "source" in table.column_names
    return Choice(
        key=key,
        names=names,
        sources=[str(name) for name in table.column("source").to_pylist()] if has_source else None,
        weights=weights,
        digest=digest_file(file),
    )
