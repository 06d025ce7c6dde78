"""n-grams: hashed in the first reading, indexed over the corpus, and what each document owns."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from samplemix_dagster import tables
from samplemix_dagster.core.hashing import id_words, round_significant, round_unit
from samplemix_dagster.engine.fitting.writer import FitWriter
from samplemix_dagster.engine.foundation.corpus import CORPUS
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.outcome import Progress
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.shards.reading import read
from samplemix_dagster.engine.stages import Facts, Fit, Maker, Settings, Stage, Task
from samplemix_dagster.stages.columns import lazily

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.engine.project import Project

_EXACT_BYTES = 256 * 10**6
_INDEX = "index.safetensors"


def sample_bits(recipes: "Recipes") -> int:
    """Return how many top bits of a gram's hash are 0 if it is kept; 0 is exact."""
    sample = recipes.config.diversity.ngram.sample
    if isinstance(sample, int):
        return sample
    bits = 0
    while recipes.text_bytes > _EXACT_BYTES << bits:
        bits += 1
    return bits


@dataclass(frozen=True, slots=True, kw_only=True)
class HashGrams:
    """Hash the n-grams of each text."""

    order: int
    sample_bits: int

    def run(self, doc_ids: list[str], texts: list[str]) -> pa.Table:
        """Return the ``grams`` table of a chunk."""
        from samplemix_dagster.core.diversity.grams.ngrams import document_grams

        grams = document_grams(texts, n=self.order, sample_bits=self.sample_bits)
        offsets = pa.array(grams.offsets.astype(np.int32))
        return tables.GRAMS.make(
            doc_id=doc_ids,
            num_positions=grams.num_positions,
            grams=pa.ListArray.from_arrays(offsets, pa.array(grams.grams)),
            counts=pa.ListArray.from_arrays(offsets, pa.array(grams.counts)),
        )


class Grams(Stage):
    """The distinct hashed n-grams of each document."""

    name = "grams"
    asset = DOCUMENTS.asset
    group = "shards"
    table = tables.GRAMS
    is_base = True
    feeds = True

    def needs(self, project: "Project") -> tuple[str, ...]:
        """Return nothing: it joins in the first reading."""
        del project
        return ()

    def settings(self, recipes: "Recipes", source: str) -> Settings:
        """Return how texts are read and cut into grams, and which of them are kept."""
        return {
            "text": recipes.text(source),
            "order": recipes.config.diversity.ngram.order,
            "sample_bits": sample_bits(recipes),
        }

    def work(self, recipes: "Recipes", partition: str) -> Task | Maker:
        """Return what hashes the n-grams of texts."""
        del partition
        order = recipes.config.diversity.ngram.order
        return HashGrams(order=order, sample_bits=sample_bits(recipes))


GRAMS = Grams()


class NgramIndex(Fit):
    """Who owns each n-gram of the corpus."""

    name = "ngram_index"
    asset = "ngram_index"
    group = "diversity"
    words = "Who owns each n-gram of the corpus: the document with the smallest hash."

    def needs(self, project: "Project", name: str) -> tuple[str, ...]:
        """Return the grams of all documents."""
        del project, name
        return (GRAMS.asset, CORPUS.asset)

    def settings(self, recipes: "Recipes", name: str) -> Settings:
        """Return the grams."""
        del name
        return {"grams": recipes.by_source(GRAMS)}

    def make(self, recipes: "Recipes", writer: FitWriter, name: str, progress: Progress) -> Facts:
        """Merge the grams of every shard: who owns each, and whether another document has it."""
        del name, progress
        return _make_index(recipes, writer)


NGRAM_INDEX = NgramIndex()


class Ownership(Stage):
    """How many of its n-grams each document owns."""

    name = "ownership"
    asset = "ngram_ownership"
    group = "diversity"
    table = tables.OWNERSHIP
    words = (
        "Diversity by n-grams: the share of a document's n-grams that it owns. The first copy "
        "of a text keeps its n-grams, later copies lose them."
    )
    is_wide = True

    def needs(self, project: "Project") -> tuple[str, ...]:
        """Return the grams and their index."""
        del project
        return (GRAMS.asset, NGRAM_INDEX.asset)

    def settings(self, recipes: "Recipes", source: str) -> Settings:
        """Return the grams, their index, and the exponent on ownership."""
        return {
            "grams": recipes.fingerprint(GRAMS, source),
            "index": recipes.fit(NGRAM_INDEX),
            "power": recipes.config.diversity.ngram.power,
        }

    def work(self, recipes: "Recipes", partition: str) -> Task | Maker:
        """Return what compares each document's n-grams with the corpus's."""
        del partition
        return lazily(lambda: _maker(recipes))


OWNERSHIP = Ownership()


def read_index(recipes: "Recipes") -> Any:
    """Return the index in use."""
    from samplemix_dagster.core.diversity.grams.ownership import GramIndex

    folder = recipes.fit_key(NGRAM_INDEX)
    return GramIndex(**recipes.lake.read_arrays(f"{folder}/{_INDEX}"))


def document_hashes(table: pa.Table) -> npt.NDArray[np.uint64]:
    """Return the first 64 bits of each document id: the name by which grams are owned."""
    ids = table.column("doc_id").to_numpy(zero_copy_only=False).astype("S32")
    return np.ascontiguousarray(id_words(ids)[:, 0])


def grams_of_table(table: pa.Table) -> Any:
    """Return the ragged grams of a ``grams`` table."""
    from samplemix_dagster.core.diversity.grams.ngrams import DocumentGrams

    grams = table.column("grams").combine_chunks()
    counts = table.column("counts").combine_chunks()
    if isinstance(grams, pa.ChunkedArray):
        grams, counts = pa.concat_arrays(grams.chunks), pa.concat_arrays(counts.chunks)
    return DocumentGrams(
        num_positions=table.column("num_positions").to_numpy(),
        offsets=grams.offsets.to_numpy().astype(np.int64) - int(grams.offsets[0].as_py()),
        grams=grams.flatten().to_numpy(),
        counts=counts.flatten().to_numpy(),
    )


def _maker(recipes: "Recipes") -> Maker:
    from samplemix_dagster.core.diversity.grams.ownership import component, gram_scores

    index = read_index(recipes)
    power = recipes.config.diversity.ngram.power

    def make(shard: PlacedShard) -> pa.Table:
        table = read(recipes, GRAMS, shard)
        if table.num_rows == 0:
            return tables.OWNERSHIP.schema.empty_table()
        scores = gram_scores(grams_of_table(table), document_hashes(table), index)
        return tables.OWNERSHIP.make(
            doc_id=table.column("doc_id"),
            ngram_ownership=round_significant(scores.ownership),
            ngram_overlap=round_significant(scores.overlap),
            ngram_novelty=round_significant(scores.novelty),
            ngram_repetition=round_significant(scores.repetition),
            ngram_score=round_unit(component(scores.ownership, power=power)),
        )

    return make


def _make_index(recipes: "Recipes", writer: FitWriter) -> Facts:
    from samplemix_dagster.core.diversity.grams.ownership import gram_index, merge_indexes

    pending: list[Any] = []
    for shard in recipes.project.all_shards():
        table = read(recipes, GRAMS, shard)
        if table.num_rows:
            pending.append(gram_index(grams_of_table(table), document_hashes(table)))
        # Like sizes are merged with like, as in a binary counter: few moves for each gram.
        while len(pending) > 1 and len(pending[-1].grams) * 2 > len(pending[-2].grams):
            pending[-2:] = [merge_indexes(pending[-2:])]
    index = merge_indexes(pending)
    writer.lake.write_arrays(
        _INDEX,
        {"grams": index.grams, "owners": index.owners, "is_shared": index.is_shared},
    )
    bits = sample_bits(recipes)
    num_grams = len(index.grams)
    return {
        "num_grams": num_grams,
        "share_shared": round(float(index.is_shared.mean()), 4) if num_grams else 0.0,
        "sample_rate": 2.0**-bits,
        "is_exact": bits == 0,
    }
