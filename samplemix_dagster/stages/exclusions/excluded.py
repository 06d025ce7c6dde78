"""exclusions: which documents no version may draw, and why; what the draw asks of them.

A fit over the corpus, as duplicates are: one small table, by document. A mixture's recipe names
what the table holds, not how it was found. So a takedown that names nothing of the corpus, or
evaluation text that stands nowhere in it, makes no mixture stale.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from samplemix_dagster import tables
from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.engine.fitting.writer import FitWriter
from samplemix_dagster.engine.outcome import Progress
from samplemix_dagster.engine.stages import Facts, Fit, Settings
from samplemix_dagster.stages.exclusions import table
from samplemix_dagster.stages.exclusions.exclusion import Exclusion
from samplemix_dagster.storage.lake import keys

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.engine.project import Project

_FILE = f"{tables.EXCLUDED.name}.parquet"
_DIGEST = "digest"


class ExcludedDocuments(Fit):
    """The documents that no version may draw."""

    name = "exclusions"
    asset = "exclusions"
    group = "mixture"
    words = (
        "Documents that no version may draw, each with its reason: it was taken down, holds text "
        "of an evaluation, is kept out by another tool, or is nearly the text of another."
    )
    is_frozen = False
    named_by_content = True

    def names(self, project: "Project") -> tuple[str, ...]:
        """Return the only one, where anything is asked for."""
        return ("",) if self.is_asked(project) else ()

    def is_asked(self, project: "Project") -> bool:
        """Whether documents may be excluded."""
        if project.pinned_fits is not None:
            return self.folder() in project.pinned_fits
        return bool(self._asked(project))

    def _asked(self, project: "Project") -> list[Exclusion]:
        return [one for one in table.EVERY if one.is_asked(project)]

    def needs(self, project: "Project", name: str) -> tuple[str, ...]:
        """Return what each exclusion reads."""
        del name
        every = (asset for one in self._asked(project) for asset in one.needs(project))
        return tuple(dict.fromkeys(every))

    def settings(self, recipes: "Recipes", name: str) -> Settings:
        """Return what each exclusion depends on."""
        del name
        return {one.reason: one.settings(recipes) for one in self._asked(recipes.project)}

    def make(self, recipes: "Recipes", writer: FitWriter, name: str, progress: Progress) -> Facts:
        """Find the documents; the first exclusion that holds for one gives its reason."""
        shards = recipes.project.all_shards()
        found: dict[str, tuple[str, str | None]] = {}
        asked = self._asked(recipes.project)
        for place, exclusion in enumerate(asked):
            look = exclusion.looks(recipes, frozenset(found))
            for number, shard in enumerate(shards):
                for doc_id, detail in look(shard):
                    found.setdefault(doc_id, (exclusion.reason, detail))
                progress(self.asset, "", place * len(shards) + number + 1, len(asked) * len(shards))
        ids = sorted(found)
        reasons = [found[doc_id][0] for doc_id in ids]
        details = [found[doc_id][1] for doc_id in ids]
        excluded = tables.EXCLUDED.make(doc_id=ids, reason=reasons, detail=details)
        writer.lake.write_table(_FILE, excluded, tables.EXCLUDED, recipes.fit_recipe(self, name))
        return {
            "num_documents": len(ids),
            "by_reason": dict(sorted(Counter(reasons).items())),
            "by_set": _by_set(found, asked, recipes.project),
            _DIGEST: content_digest(excluded),
        }


EXCLUDED = ExcludedDocuments()


def _by_set(
    found: Mapping[str, tuple[str, str | None]], asked: Iterable[Exclusion], project: "Project"
) -> dict[str, int]:
    """Count documents by the set that kept them out; one that kept none out counts 0."""
    counts = Counter(
        (reason, (detail or "").partition(": ")[0]) for reason, detail in found.values()
    )
    return {name: counts[one.reason, name] for one in asked for name in one.sets(project)}


def content_digest(excluded: pa.Table) -> str:
    """Return the hash of what a table of exclusions holds; empty where it holds nothing."""
    columns = [excluded.column(name).to_pylist() for name in tables.EXCLUDED.schema.names]
    return fingerprint([list(row) for row in zip(*columns, strict=True)]) if columns[0] else ""


def excluded_digest(recipes: "Recipes") -> str:
    """Return the hash of what is excluded; empty where nothing is.

    Raises:
        NotFittedError: It is asked for, and has not been found yet.
    """
    if not EXCLUDED.is_asked(recipes.project):
        return ""
    stated = recipes.lake.read_json(keys.fit_note(recipes.fit_key(EXCLUDED)), {})
    return str(stated.get("facts", {}).get(_DIGEST, ""))


@dataclass(frozen=True)
class Excluded:
    """The documents that may not be drawn, by id, ascending."""

    table: pa.Table

    @cached_property
    def _ids(self) -> npt.NDArray[np.bytes_]:
        return np.asarray(self.table.column("doc_id").to_pylist(), dtype="S32")

    def places(self, ids: npt.NDArray[np.bytes_]) -> npt.NDArray[np.int64]:
        """Return where each of N documents stands in the table; -1 where it is not excluded."""
        at = np.minimum(np.searchsorted(self._ids, ids), len(self._ids) - 1)
        return np.where(self._ids[at] == ids, at, -1)

    def column(self, name: str, places: npt.NDArray[np.int64]) -> pa.Array:
        """Return a column of the table at some places; null where a place is -1."""
        taken = pa.array(places, mask=places < 0)
        return self.table.column(name).combine_chunks().take(taken)


def read_excluded(recipes: "Recipes") -> Excluded | None:
    """Return what a draw may not draw; None where nothing is excluded."""
    if not excluded_digest(recipes):
        return None
    return Excluded(recipes.lake.read_table(keys.excluded(recipes.fit(EXCLUDED))))


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Why documents of a shard may not be drawn."""

    reasons: pa.Array
    """`duplicate`, or the reason of an exclusion; null where a document may be drawn: (N,)."""
    detail: pa.Array | None
    """What more there is to say of exclusions: (N,); None where the version has none."""


def left_out_of(
    excluded: Excluded | None, ids: npt.NDArray[np.bytes_], is_duplicate: npt.NDArray[np.bool_]
) -> LeftOut:
    """Return why each of N documents may not be drawn.

    A later occurrence of a text is a duplicate of the first, whatever becomes of that one.

    Args:
        excluded: What the version excludes; None: nothing.
        ids: Their ids: (N,).
        is_duplicate: Which of them are duplicates: (N,).
    """
    reasons, detail = pa.nulls(len(ids), pa.string()), None
    if excluded is not None:
        places = np.where(is_duplicate, -1, excluded.places(ids))
        reasons, detail = (excluded.column(name, places) for name in ("reason", "detail"))
    return LeftOut(pc.if_else(pa.array(is_duplicate), tables.DUPLICATE, reasons), detail)


class LeftOutCount:
    """Counts what a draw left out, by the reason of the exclusion."""

    def __init__(self) -> None:
        self.by_reason: dict[str, dict[str, int]] = {}

    def add(self, reasons: pa.Array | pa.ChunkedArray, tokens: npt.NDArray[np.int64]) -> None:
        """Count the documents of a shard: their reasons, and their tokens."""
        for reason in tables.EXCLUSIONS:
            is_it = pc.fill_null(pc.equal(reasons, reason), fill_value=False)
            chosen = np.asarray(is_it.to_numpy(zero_copy_only=False), dtype=bool)
            if chosen.any():
                entry = self.by_reason.setdefault(reason, {"documents": 0, "tokens": 0})
                entry["documents"] += int(chosen.sum())
                entry["tokens"] += int(tokens[chosen].sum())
