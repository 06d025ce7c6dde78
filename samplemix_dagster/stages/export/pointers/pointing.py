"""Export as pointers: an index into the ids of the whole corpus, which all exports of it share.

Every document of a version's shards stands once in an array, drawn or not, shard after shard. An
export is then an index of 20 bytes a draw. The array is made of the ids that were stored for each
shard; where another export in the lake has that of the same shards, it is linked to and not
written again, after a look at each of its bytes.

D = draws, in the order of the export.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from samplemix_dagster.core.hashing import tokens_digest
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.errors import InputError
from samplemix_dagster.export_formats.format import Vocabulary
from samplemix_dagster.export_formats.ids.arrays import little, mapped
from samplemix_dagster.export_formats.ids.megatron import index_bytes
from samplemix_dagster.export_formats.wanted import PLACES, Wanted
from samplemix_dagster.stages.export.order import ledger_key, ordered_draws
from samplemix_dagster.stages.export.pointers.corpus_array import (
    link,
    linked,
    pool_name,
    write_array,
)
from samplemix_dagster.stages.export.pointers.pointers_back import read_pointers_back
from samplemix_dagster.stages.export.reading import Found
from samplemix_dagster.stages.export.token_ids import TOKEN_IDS
from samplemix_dagster.storage.exports import ExportedFile, writing_place_tables
from samplemix_dagster.storage.lake.whole_files import digest_file, remove_folder
from samplemix_dagster.storage.ranges import Ranges

Integers = npt.NDArray[np.int64]
Digests = npt.NDArray[np.bytes_]

_POINTER = np.dtype([("of", "<i8"), ("copy", "<i4")])
_SCRATCH = ".pointers"
_DIGEST = "S32"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pointed:
    """An export of pointers, as it was written and read back."""

    files: list[ExportedFile]
    found: Found
    pool: str
    """Of which shards the array is, and how they lie in it."""
    num_holding: Counter[str]
    """Drawn documents whose own text gives the id of EOS, or of BOS, by that name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Documents:
    """Every document of a version's shards, shard after shard."""

    shard: Integers
    row: Integers
    doc_id: npt.NDArray[np.object_]
    num_tokens: Integers
    id: list[str | None]

    def places(self, shard: Integers, row: Integers) -> Integers:
        """Return which documents stand in some rows of some shards."""
        width = int(self.row.max(initial=0)) + 1
        found: Integers = np.searchsorted(self.shard * width + self.row, shard * width + row)
        return found


def write_pointers(
    recipes: Recipes,
    mixture: Mapping[str, Any],
    wanted: Wanted,
    vocabulary: Vocabulary,
    folder: Path,
    *,
    links: bool,
) -> Pointed:
    """Fill the folder of an export; return what was written and read back.

    Args:
        recipes: The project's recipes.
        mixture: The version's manifest.
        wanted: What is asked for.
        vocabulary: The tokens.
        folder: An empty folder.
        links: Whether the array may be a link to one that stands in the lake.

    Raises:
        InputError: The ids of a shard are not stored, or a drawn text gives the id of a mark.
        CheckFailedError: What was read back is not what was written.
    """
    placed = _placed(recipes, mixture)
    documents = _documents(recipes, mixture, placed)
    lengths = documents.num_tokens + len(vocabulary.laid([]))
    starts = np.cumsum(lengths) - lengths
    dtype = wanted.form.dtype(vocabulary.size)
    pool = pool_name(recipes, placed, vocabulary, dtype)
    names = [wanted.form.file_names(number) for number in range(wanted.num_files)]
    array = folder / names[0][0]
    digest = linked(recipes.lake, pool, array) if links else None
    if digest is None:
        write_array(recipes, placed, vocabulary, dtype, lengths, array)
        digest = digest_file(array)
    with Ranges(folder / _SCRATCH, "pointers", _POINTER, wanted.num_files) as aside:
        drawn = _set_aside(recipes, mixture, documents, aside)
        digests, num_holding = _digests(
            np.asarray(mapped(array, dtype)), starts, lengths, drawn, documents, vocabulary
        )
        written = []
        with writing_place_tables(folder / PLACES) as places:
            for number, (ids_name, index_name) in enumerate(names):
                if number:
                    link(array, folder / ids_name)
                own = aside.read(number)
                of = own["of"]
                pointers = starts[of] * little(dtype).itemsize
                (folder / index_name).write_bytes(index_bytes(dtype, lengths[of], pointers))
                table = _places(mixture, documents, of, digests[np.searchsorted(drawn, of)])
                places.add(
                    table.append_column("copy", pa.array(own["copy"]))
                    .append_column("file", pa.repeat(ids_name, of.size))
                    .append_column("offset", pa.array(starts[of]))
                    .append_column("num_ids", pa.array(lengths[of]))
                )
                written.append(
                    ExportedFile(
                        name=ids_name,
                        num_draws=int(of.size),
                        num_tokens=int(documents.num_tokens[of].sum()),
                        num_bytes=array.stat().st_size,
                        digest=digest,
                    )
                )
    remove_folder(folder / _SCRATCH)
    return Pointed(
        files=written,
        found=read_pointers_back(folder, names),
        pool=pool,
        num_holding=num_holding,
    )


def _set_aside(
    recipes: Recipes, mixture: Mapping[str, Any], documents: _Documents, aside: Ranges
) -> Integers:
    """Set which document each draw is aside, by file and in order; return those that are drawn."""
    is_drawn = np.zeros(documents.row.size, dtype=np.bool_)
    with ordered_draws(recipes.lake, mixture, aside.num_ranges) as stretches:
        for draws in stretches:
            found = np.empty(draws.row.size, dtype=_POINTER)
            found["of"] = documents.places(draws.shard, draws.row)
            found["copy"] = draws.copy
            is_drawn[found["of"]] = True
            aside.add(draws.file, found)
    return np.flatnonzero(is_drawn)


def _places(
    mixture: Mapping[str, Any], documents: _Documents, of: Integers, digests: Digests
) -> pa.Table:
    """Return what is said of some draws, by which documents they are and the digest of each."""
    shards = documents.shard[of].tolist()
    return pa.table(
        {
            "doc_id": documents.doc_id[of],
            "source": [mixture["shards"][number]["source"] for number in shards],
            "num_tokens": documents.num_tokens[of],
            "id": pa.array([documents.id[one] for one in of.tolist()], pa.string()),
            "digest": pa.array(digests).cast(pa.string()),
        }
    )


def _placed(recipes: Recipes, mixture: Mapping[str, Any]) -> list[PlacedShard]:
    """Return a version's shards as they lie today, each of which has stored ids.

    Raises:
        InputError: One has none.
    """
    here = {(one.source, one.digest): one for one in recipes.project.all_shards()}
    found = [here.get((shard["source"], shard["digest"])) for shard in mixture["shards"]]
    for shard, one in zip(mixture["shards"], found, strict=True):
        if one is None or not recipes.lake.exists(recipes.feature_key(TOKEN_IDS, one)):
            raise InputError(
                f"`array: corpus` points to stored ids, and shard {shard['path']} of source "
                f"{shard['source']!r} has none. Name such an export in samplemix.yaml and run "
                "`samplemix run`, or leave `array` out."
            )
    return [one for one in found if one is not None]


def _documents(
    recipes: Recipes, mixture: Mapping[str, Any], placed: list[PlacedShard]
) -> _Documents:
    tables, ids = [], list[str | None]()
    for number, (shard, one) in enumerate(zip(mixture["shards"], placed, strict=True)):
        ledger = recipes.lake.read_table(
            ledger_key(mixture, shard), ["doc_id", "row", "num_tokens"]
        )
        key = recipes.feature_key(DOCUMENTS, one)
        documents = recipes.lake.read_table(key, ["doc_id", "id"])
        if not documents.column("doc_id").equals(ledger.column("doc_id")):
            raise InputError(
                f"shard {shard['path']} is read otherwise today than when this version was drawn; "
                "leave `array` out to export it from its texts."
            )
        tables.append(ledger.append_column("shard", pa.array(np.full(ledger.num_rows, number))))
        ids += documents.column("id").to_pylist()
    joined = pa.concat_tables(tables)
    return _Documents(
        shard=joined.column("shard").to_numpy(),
        row=joined.column("row").to_numpy(),
        doc_id=joined.column("doc_id").to_numpy(),
        num_tokens=joined.column("num_tokens").to_numpy(),
        id=ids,
    )


def _digests(
    ids: npt.NDArray[np.integer[Any]],
    starts: Integers,
    lengths: Integers,
    of: Integers,
    documents: _Documents,
    vocabulary: Vocabulary,
) -> tuple[Digests, Counter[str]]:
    """Return the digest of each drawn document's ids, and how many texts give the id of each mark.

    Raises:
        InputError: One gives such an id, and that is refused.
    """
    found, num_holding = np.empty(of.size, dtype=_DIGEST), Counter[str]()
    front, marks = len(vocabulary.front), vocabulary.marks
    for place, one in enumerate(of.tolist()):
        own = ids[starts[one] : starts[one] + lengths[one]]
        text = own[front : own.size - len(vocabulary.back)]
        held = [name for name, mark in marks.items() if bool((text == mark).any())]
        if held and vocabulary.inside == "refuse":
            raise InputError(
                f"the text of document {documents.doc_id[one]} gives the id of {held[0]} "
                f"({marks[held[0]]}), at which trainers would cut it in two. `eos_inside: keep` "
                "leaves it as it is; `escape` needs an array of the export's own."
            )
        num_holding.update(held)
        found[place] = tokens_digest(own)
    return found, num_holding
