"""A choice of documents from elsewhere: a file of ids, of draws, or of weights."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from samplemix_dagster.core.values import spelt
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.errors import InputError
from samplemix_dagster.storage.lake.whole_files import digest_file
from samplemix_dagster.storage.outside_tables import DOC_ID, is_both, table_of
from samplemix_dagster.validation.choosing.corpus import JudgedCorpus

_KEYS = ("doc_id", "id")
_WEIGHTS = ("weight", "copies")
_MOST_WEIGHT = 1e12
_MOST_COPIES = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Choice:
    """Documents that another tool chose.

    Attributes:
        key: What names them: ``doc_id``, the digest of the text, or ``id``, the document's own id.
        names: One a line of the file.
        may_be_own_ids: Whether the file does not say which of the two its lines are.
        sources: The source of each, where the file says it: own ids can repeat between sources. An
            empty one is any.
        weights: How much of each: its weight or copies; 1 where the file does not say.
        copies: How many draws of each the file asks for; 1 where it says no copies.
        digest: Of the file.
    """

    key: str
    names: list[str]
    may_be_own_ids: bool = False
    sources: list[str] | None
    weights: npt.NDArray[np.float64]
    copies: npt.NDArray[np.float64]
    digest: str

    @property
    def max_copies(self) -> int:
        """How often the document is drawn that the file asks for most often."""
        sources = self.sources or [""] * len(self.names)
        asked: dict[tuple[str, str], float] = {}
        for place, copies in zip(
            zip(sources, self.names, strict=True), self.copies.tolist(), strict=True
        ):
            asked[place] = asked.get(place, 0.0) + copies
        return max(1, math.ceil(min(max(asked.values(), default=1.0), _MOST_COPIES)))

    def rows(self, recipes: Recipes, corpus: JudgedCorpus) -> npt.NDArray[np.int64]:
        """Return the number of each document in the corpus; -1 where it is not there.

        Raises:
            InputError: A name is that of several documents.
        """
        if self.key == "doc_id":
            # Cut to the width of a digest, another text would be taken for one.
            digests = [name if DOC_ID.fullmatch(name) else "" for name in self.names]
            rows = corpus.rows_of(np.array(digests, dtype="S32"))
            if not self.may_be_own_ids or (rows >= 0).any():
                return rows
        sources = self.sources or [""] * len(self.names)
        asked = set(zip(sources, self.names, strict=True))
        known: dict[tuple[str, str], tuple[int, str]] = {}
        for row, source, name in corpus.own_ids(recipes, {name for _, name in asked}):
            for place in ((source, name), ("", name)):
                first = known.setdefault(place, (row, source))
                if first[0] != row and place in asked:
                    raise InputError(_ambiguous(name, first[1], source))
        return np.array(
            [known.get(place, (-1, ""))[0] for place in zip(sources, self.names, strict=True)],
            dtype=np.int64,
        )


def _spelt(column: pa.ChunkedArray, file: Path) -> list[str]:
    """Return names as text; a missing one is empty.

    Raises:
        InputError: One is a list, say.
    """
    try:
        return [spelt(value) for value in column.to_pylist()]
    except ValueError as error:
        raise InputError(f"{file}: {error}.") from None


def _ambiguous(name: str, one: str, other: str) -> str:
    if one == other:
        return (
            f"the id {name!r} stands more than once in source {one!r}, so it does not say which "
            "document is meant; name documents by `doc_id`, as `samplemix scores` gives it."
        )
    return (
        f"the id {name!r} stands in the sources {one!r} and {other!r}, so it does not say which "
        "document is meant; add a column `source`, or name documents by `doc_id`."
    )


def read_choice(file: Path) -> Choice:
    """Read a choice: Parquet, CSV, TSV, JSON lines, a JSON array, or one id a line.

    Columns ``doc_id`` or ``id`` (with ``source`` where ids repeat between sources) name documents;
    ``weight`` or ``copies`` say how much of each. A document may stand there several times.

    Raises:
        InputError: The file cannot be read as such, or names no document.
    """
    table = table_of(file)
    key = next((name for name in _KEYS if name in table.column_names), None)
    if key is None:
        raise InputError(f"{file}: no column `doc_id` or `id`; there are {table.column_names}.")
    names = _spelt(table.column(key), file)
    if key == "doc_id":
        names = [name.lower() for name in names]
    if not names:
        raise InputError(f"{file}: names no document.")
    weighed = next((name for name in _WEIGHTS if name in table.column_names), None)
    weights = np.ones(len(names))
    if weighed is not None:
        try:
            weights = table.column(weighed).cast(pa.float64()).to_numpy()
        except pa.ArrowException as error:
            raise InputError(f"{file}: {weighed} is a number in every row ({error}).") from error
    if not np.isfinite(weights).all() or (weights < 0).any() or (weights > _MOST_WEIGHT).any():
        raise InputError(f"{file}: {weighed} is a number from 0 to {_MOST_WEIGHT:g} in every row.")
    if not weights.any():
        raise InputError(f"{file}: {weighed} is 0 in every row, so that nothing is chosen.")
    has_source = key == "id" and "source" in table.column_names
    return Choice(
        key=key,
        names=names,
        may_be_own_ids=key == "doc_id" and is_both(table),
        sources=_spelt(table.column("source"), file) if has_source else None,
        weights=weights,
        copies=weights if weighed == "copies" else np.ones(len(names)),
        digest=digest_file(file),
    )
