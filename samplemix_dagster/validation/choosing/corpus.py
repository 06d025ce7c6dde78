"""The corpus as arms draw from it: each document once, with what controls hold."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from samplemix_dagster.core.hashing import fingerprint, id_words
from samplemix_dagster.core.judging.draws import Pool, groups_by, octaves
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.shards.reading import read
from samplemix_dagster.engine.stages import NotFittedError
from samplemix_dagster.errors import InputError, LakeError
from samplemix_dagster.stages.beta import counted_shards
from samplemix_dagster.stages.exclusions.excluded import read_excluded

Integers = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class JudgedCorpus:
    """The scored corpus, each text once.

    Attributes:
        pool: Ids and tokens of its N documents.
        ids: Document ids as hexadecimal digits: (N,) of bytes.
        shards: The shards that they stand in.
        shard_of: Which shard, by number: (N,).
        row_of: Which row of it: (N,).
        languages: Language codes: (N,).
    """

    pool: Pool
    ids: npt.NDArray[np.bytes_]
    shards: list[PlacedShard]
    shard_of: Integers
    row_of: Integers
    languages: npt.NDArray[np.str_]

    @cached_property
    def sources(self) -> npt.NDArray[np.str_]:
        """The source of each document: (N,)."""
        return np.array([shard.source for shard in self.shards])[self.shard_of]

    @cached_property
    def controls(self) -> dict[str, Integers]:
        """What each control holds: the group of each document, by the control's name."""
        lengths = octaves(self.pool.tokens)
        return {
            "shares": groups_by(self.sources, self.languages),
            "lengths": groups_by(self.sources, self.languages, lengths),
        }

    @cached_property
    def digest(self) -> str:
        """A digest of the shards."""
        return fingerprint([[shard.source, shard.digest] for shard in self.shards])

    @cached_property
    def _order(self) -> Integers:
        return np.argsort(self.ids)

    def rows_of(self, ids: npt.NDArray[np.bytes_]) -> Integers:
        """Return the number of each document; -1 where the corpus has none of that id."""
        ordered = self.ids[self._order]
        at = np.minimum(np.searchsorted(ordered, ids), ordered.size - 1)
        return np.where(ordered[at] == ids, self._order[at], -1)

    def column(self, recipes: Recipes, name: str) -> list[str | None]:
        """Return a column of the documents' first reading, such as ``id``: N values."""
        whole: list[str | None] = [None] * self.ids.size
        for number, shard in enumerate(self.shards):
            mine = np.flatnonzero(self.shard_of == number)
            table = read(recipes, DOCUMENTS, shard, "row", name)
            values: Mapping[int, str | None] = dict(
                zip(table.column("row").to_pylist(), table.column(name).to_pylist(), strict=True)
            )
            for document in mine.tolist():
                whole[document] = values[int(self.row_of[document])]
        return whole

    def own_ids(self, recipes: Recipes, names: Collection[str]) -> Iterator[tuple[int, str, str]]:
        """Yield (document, source, id) wherever a source calls a document by one of some ids.

        A text that stands several times is one document, by any of its ids.
        """
        for shard in self.shards:
            table = read(recipes, DOCUMENTS, shard, "doc_id", "id")
            is_asked = pc.is_in(table.column("id"), pa.array(sorted(names), pa.string()))
            found = table.filter(is_asked)
            ids = found.column("doc_id").to_numpy(zero_copy_only=False).astype("S32")
            rows = self.rows_of(ids).tolist()
            for row, name in zip(rows, found.column("id").to_pylist(), strict=True):
                if row >= 0:
                    yield row, shard.source, name


def read_corpus(recipes: Recipes) -> JudgedCorpus:
    """Return the scored corpus, without duplicates and without what no version may draw.

    Raises:
        InputError: It has not been scored.
    """
    ids, tokens, rows, shard_of, languages, shards = [], [], [], [], [], []
    try:
        excluded = read_excluded(recipes)
        for number, (shard, table, is_duplicate) in enumerate(
            counted_shards(recipes, "doc_id", "num_tokens", "language")
        ):
            shards.append(shard)
            found = table.column("doc_id").to_numpy(zero_copy_only=False).astype("S32")
            own = ~is_duplicate
            if excluded is not None:
                own &= excluded.places(found) < 0
            ids.append(found[own])
            tokens.append(table.column("num_tokens").to_numpy()[own])
            rows.append(table.column("row").to_numpy()[own])
            shard_of.append(np.full(int(own.sum()), number))
            languages.append(np.array(table.column("language").to_pylist(), dtype=str)[own])
    except (NotFittedError, LakeError) as error:
        raise InputError(
            "arms are drawn from a scored corpus, and this one is not scored as it stands now: "
            f"`samplemix run` does it. ({error})"
        ) from error
    joined = np.concatenate(ids)
    _, first = np.unique(joined, return_index=True)
    first.sort()
    return JudgedCorpus(
        pool=Pool(
            words_N2=id_words(joined[first]), tokens=np.concatenate(tokens)[first].astype(np.int64)
        ),
        ids=joined[first],
        shards=shards,
        shard_of=np.concatenate(shard_of)[first],
        row_of=np.concatenate(rows)[first],
        languages=np.concatenate(languages)[first],
    )
