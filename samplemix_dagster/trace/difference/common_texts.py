"""The texts that two versions have in common: data between the data of A and that of B.

Texts that came with B were never seen by A's models, nor those that went by B's. What both versions
have is stored for the models of both. So the models can be replaced on these texts alone, after
what went is taken out and before what came is put in, and no text is scored for it.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from samplemix_dagster import tables
from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.stages import Stage
from samplemix_dagster.errors import LakeError
from samplemix_dagster.trace.remade.pinned import PinnedRecipes
from samplemix_dagster.trace.remade.states import NotComputableError, State

Entry = Mapping[str, Any]


class CommonTexts:
    """Data with B's shards, of which those that A does not have keep A's texts only.

    Such a part of a shard stands in the lake like a shard of its own, in the scratch folder.
    """

    def __init__(self, a: State, b: State) -> None:
        """Take the states of both versions."""
        self._reading = {"corpus": b.data["corpus"], "texts": b.data["texts"]}
        known = {_place(entry) for entry in a.data["shards"]}
        kept = {_place(entry) for entry in b.data["shards"]}
        self._shared = [entry for entry in b.data["shards"] if _place(entry) in known]
        self._new = [entry for entry in b.data["shards"] if _place(entry) not in known]
        self._gone = [entry for entry in a.data["shards"] if _place(entry) not in kept]
        self._parts = [self._part(entry) for entry in self._new if self._former(entry["source"])]
        self._texts: dict[str, _Texts] = {}
        self._shares: dict[str, _Share] = {}

    def data(self, recipes: PinnedRecipes) -> dict[str, Any]:
        """Return the data; a part without a text is left out.

        Args:
            recipes: Addresses of a state that reads the corpus as B does.

        Raises:
            NotComputableError: The documents of a shard are not stored as they are read there.
        """
        parts = [part for part in self._parts if self._share(recipes, part).rows]
        return {"shards": [*self._shared, *parts], **self._reading}

    def fill(self, recipes: PinnedRecipes) -> None:
        """Write what texts and models gave for the parts, from what is stored for whole shards.

        Raises:
            NotComputableError: It is stored neither for A's shards nor for B's.
        """
        for part in self._parts:
            share = self._share(recipes, part)
            if not share.rows:
                continue
            placed = recipes.project.placed(part)
            for stage in _stages(recipes):
                key = recipes.feature_key(stage, placed)
                if recipes.lake.exists(key):
                    continue
                found = _taken(recipes, stage, part, share)
                contract = stage.contract(recipes.config, found)
                recipe = recipes.recipe(stage, part["source"])
                recipes.lake.write_table(key, found, contract, recipe)
            nothing = tables.REJECTIONS.schema.empty_table()
            key = recipes.rejections_key(placed)
            recipe = recipes.recipe(DOCUMENTS, part["source"])
            recipes.lake.write_table(key, nothing, tables.REJECTIONS, recipe)

    def _former(self, source: str) -> list[Entry]:
        """Return A's shards of a source that B does not have."""
        return [gone for gone in self._gone if gone["source"] == source]

    def _part(self, entry: Entry) -> dict[str, Any]:
        former = sorted(gone["digest"] for gone in self._former(entry["source"]))
        digest = fingerprint(["texts in common", entry["digest"], former])
        return {**entry, "digest": digest, "whole": entry["digest"]}

    def _share(self, recipes: PinnedRecipes, part: Entry) -> "_Share":
        """Return which texts of a new shard A's shards have too, and which of them."""
        if part["digest"] not in self._shares:
            known = self._known(recipes, part["source"])
            ids = _table(recipes, DOCUMENTS, _whole(part)).column("doc_id").combine_chunks()
            places = pc.index_in(ids, value_set=known.ids)
            homes = known.shard[places.drop_null().to_numpy()]
            former = self._former(part["source"])
            self._shares[part["digest"]] = _Share(
                rows=np.flatnonzero(places.is_valid()).tolist(),
                former=[former[number] for number in np.unique(homes)],
            )
        return self._shares[part["digest"]]

    def _known(self, recipes: PinnedRecipes, source: str) -> "_Texts":
        if source not in self._texts:
            former = self._former(source)
            found = [_table(recipes, DOCUMENTS, entry).column("doc_id") for entry in former]
            self._texts[source] = _Texts(
                ids=pa.chunked_array(found, pa.string()).combine_chunks(),
                shard=np.repeat(np.arange(len(found)), [len(ids) for ids in found]),
            )
        return self._texts[source]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Texts:
    """The texts of A's shards of a source that B does not have, and the shard of each."""

    ids: pa.Array
    shard: npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Share:
    """What a new shard has in common with A: rows of its tables, and the shards that have them."""

    rows: list[int]
    former: list[Entry]


def _taken(recipes: PinnedRecipes, stage: Stage, part: Entry, share: _Share) -> pa.Table:
    """Return the rows of a stage's table: of the new shard, else of A's shards by text."""
    with contextlib.suppress(NotComputableError):
        return _table(recipes, stage, _whole(part)).take(share.rows)
    former = pa.concat_tables([_table(recipes, stage, entry) for entry in share.former])
    ids = _table(recipes, DOCUMENTS, _whole(part)).column("doc_id").take(share.rows)
    known = former.column("doc_id").combine_chunks()
    return former.take(pc.index_in(ids.combine_chunks(), value_set=known))


def _whole(part: Entry) -> dict[str, Any]:
    return {**part, "digest": part["whole"]}


def _place(entry: Entry) -> tuple[str, str]:
    return entry["source"], entry["digest"]


def _stages(recipes: PinnedRecipes) -> list[Stage]:
    """Return the stages that read text or run a model."""
    project = recipes.project
    return [stage for stage in recipes.feature_stages() if stage.reads_text(project)]


def _table(recipes: PinnedRecipes, stage: Stage, entry: Entry) -> pa.Table:
    try:
        return recipes.lake.read_table(recipes.feature_key(stage, recipes.project.placed(entry)))
    except LakeError as error:
        raise NotComputableError(
            f"{stage.title} of {entry['path']} is not stored for these inputs"
        ) from error
