"""The contract of each table in the lake: its grain, its columns, their types and meanings.

Tables are written and read through these, so that a stage cannot hand on a bad table. Rows of a
per-shard table stand in row order, one for each document of the shard, so that two tables of one
shard can be laid side by side without a join. Where a table's file lies is said by ``storage``.
"""

from dataclasses import dataclass

import pyarrow as pa

EMBEDDING = "embedding"
NOT_DRAWN, DUPLICATE = "not_drawn", "duplicate"
EXCLUSIONS = {
    "takedown": "it was taken down: takedown.jsonl names it",
    "contaminated": "it holds text of an evaluation",
    "external": "another tool's label or score keeps it out",
    "near_duplicate": "it is nearly the text of another document, which may be drawn",
}
"""Why a version must not draw a document, each reason with its meaning: a closed list."""
OUT = frozenset({DUPLICATE, *EXCLUSIONS})
"""Reasons of rows that were not to be drawn at all."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column: name, type, meaning, and whether null is allowed."""

    name: str
    type: pa.DataType
    meaning: str
    nullable: bool = False
    came_later: bool = False
    """Tables that were written before it was there lack it, and are whole."""

    @property
    def field(self) -> pa.Field:
        """The Arrow field of a table that may lack the column."""
        return pa.field(self.name, self.type, nullable=True)


@dataclass(frozen=True, slots=True)
class Table:
    """A table's contract."""

    name: str
    grain: str
    columns: tuple[Column, ...]

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema, without metadata."""
        return pa.schema([pa.field(c.name, c.type, c.nullable) for c in self.columns])

    def make(self, **arrays: object) -> pa.Table:
        """Return a table of these columns.

        Raises:
            ValueError: A column is missing, unknown, of another length, or holds a forbidden null.
        """
        expected = [column.name for column in self.columns]
        if set(arrays) != set(expected):
            odd = sorted(set(arrays) ^ set(expected))
            raise ValueError(f"table {self.name}: columns {odd} are missing or unknown")
        columns = []
        for column in self.columns:
            values = arrays[column.name]
            array = (
                values
                if isinstance(values, pa.Array | pa.ChunkedArray)
                else pa.array(values, type=column.type)
            )
            columns.append(array.cast(column.type))
        table = pa.Table.from_arrays(columns, schema=self.schema)
        self.check(table)
        return table

    def check(self, table: pa.Table) -> None:
        """Raise ValueError when a table breaks this contract."""
        for column in self.columns:
            if column.name not in table.column_names:
                raise ValueError(f"table {self.name}: no column {column.name!r}")
            if not column.nullable and table.column(column.name).null_count:
                raise ValueError(f"table {self.name}: nulls in column {column.name!r}")


DOC_ID = Column("doc_id", pa.string(), "128-bit BLAKE2b of the text, 32 hex digits")
"""The first column of every table of a shard."""
_ROW = Column("row", pa.int64(), "row within the shard, from 0")

DOCUMENTS = Table(
    "documents",
    "One row per document of a shard.",
    (
        DOC_ID,
        _ROW,
        Column("id", pa.string(), "the document's own id, as given", nullable=True),
        Column("language", pa.string(), "language code, or `und` when nothing can be said"),
        Column("num_bytes", pa.int64(), "UTF-8 bytes of the text"),
        Column("metadata", pa.string(), "fields kept beside the text, as a JSON object"),
    ),
)
REJECTIONS = Table(
    "rejections",
    "One row per row of a shard that is no document, or for many of one reason.",
    (
        _ROW,
        Column("reason", pa.string(), "why, from a closed list"),
        Column("excerpt", pa.string(), "at most 200 characters of what was found"),
        Column(
            "num_rows",
            pa.int64(),
            "rows of the shard that it stands for: 1, or many",
            came_later=True,
        ),
    ),
)
GRAMS = Table(
    "grams",
    "One row per document of a shard: its distinct hashed n-grams.",
    (
        DOC_ID,
        Column("num_positions", pa.int64(), "n-gram positions (among the sampled grams)"),
        Column("grams", pa.list_(pa.uint64()), "distinct gram hashes, ascending"),
        Column("counts", pa.list_(pa.uint32()), "how often each gram occurs in the document"),
    ),
)
WORDS = Table(
    "words",
    "One row per document of a shard: its distinct words.",
    (
        DOC_ID,
        Column("words", pa.list_(pa.string()), "distinct lower-cased words, sorted"),
        Column("counts", pa.list_(pa.int32()), "how often each word occurs in the document"),
    ),
)
PERPLEXITY = Table(
    "perplexity",
    "One row per document of a shard: its loss under a reference.",
    (
        DOC_ID,
        Column("nll_nats", pa.float64(), "negative log-likelihood of the scored tokens, in nats"),
        Column("num_scored_tokens", pa.int64(), "tokens scored, each once"),
        Column("num_reference_tokens", pa.int64(), "tokens in the reference's tokenizer"),
        Column("bits_per_byte", pa.float64(), "nll / (ln 2 * UTF-8 bytes)"),
        Column("perplexity", pa.float64(), "exp(nll / scored tokens)"),
    ),
)
TOKENS = Table(
    "tokens",
    "One row per document of a shard: its length in the budget's tokenizer.",
    (DOC_ID, Column("num_tokens", pa.int64(), "tokens in the budget's tokenizer")),
)
QUALITY = Table(
    "quality",
    "One row per document of a shard: calibrated quality.",
    (
        DOC_ID,
        Column("quality_z", pa.float64(), "robust z of bits per byte within its group"),
        Column("quality", pa.float64(), "quality in (0, 1)"),
    ),
)
CLUSTERS = Table(
    "clusters",
    "One row per document of a shard: its cluster and distance.",
    (
        DOC_ID,
        Column("cluster", pa.int32(), "the nearest cluster"),
        Column("is_noise", pa.bool_(), "HDBSCAN left its micro-centroid outside every cluster"),
        Column("cluster_distance", pa.float64(), "1 - cosine to the cluster's centroid"),
        Column("cluster_score", pa.float64(), "diversity by clusters, in (0, 1)"),
    ),
)
OWNERSHIP = Table(
    "ownership",
    "One row per document of a shard: its n-gram overlap with the corpus.",
    (
        DOC_ID,
        Column("ngram_ownership", pa.float64(), "share of n-gram positions that it owns"),
        Column("ngram_overlap", pa.float64(), "share of positions that other documents have too"),
        Column("ngram_novelty", pa.float64(), "share of positions new with this document alone"),
        Column("ngram_repetition", pa.float64(), "share of positions that repeat inside it"),
        Column("ngram_score", pa.float64(), "diversity by n-grams, in (0, 1)"),
    ),
)
TOPICS = Table(
    "topics",
    "One row per document of a shard: its topics.",
    (
        DOC_ID,
        Column("topic", pa.int32(), "the strongest topic"),
        Column("topic_entropy", pa.float64(), "entropy of the topic mixture, in nats"),
        Column("topic_score", pa.float64(), "diversity by topics: rarity, in (0, 1)"),
    ),
)
NEAR = Table(
    "near",
    "One row per document of a shard: its group of near-duplicates.",
    (
        DOC_ID,
        Column("near_group", pa.string(), "first half of the id of the group's first text"),
        Column("near_size", pa.int64(), "distinct texts of the group, this one included"),
        Column("near_score", pa.float64(), "1 / near_size, inside (0, 1)"),
    ),
)
COMMONNESS = Table(
    "commonness",
    "One row per document of a shard: how common its n-grams are in the rest of the corpus.",
    (
        DOC_ID,
        Column(
            "log_commonness",
            pa.float64(),
            "mean log probability of its grams, in nats; null without grams",
            nullable=True,
        ),
        Column("commonness_score", pa.float64(), "diversity by commonness, in (0, 1): high = rare"),
    ),
)
DENSITY = Table(
    "density",
    "One row per document of a shard: how densely the corpus lies around it.",
    (
        DOC_ID,
        Column(
            "log_density",
            pa.float64(),
            "log of the kernel density; null at an embedding of zero",
            nullable=True,
        ),
        Column("density_score", pa.float64(), "diversity by density, in (0, 1): high = few near"),
    ),
)
METRIC = Table(
    "metric",
    "One row per document of a shard: a user's own component.",
    (DOC_ID, Column("score", pa.float64(), "the component, in (0, 1)")),
)
SIGNAL = Table(
    "signal",
    "One row per document of a shard: one signal of quality beside perplexity.",
    (DOC_ID, Column("score", pa.float64(), "the signal, in (0, 1), high = good")),
)
DIVERSITY = Table(
    "diversity",
    "One row per document of a shard: the combined, calibrated diversity.",
    (
        DOC_ID,
        Column("diversity_raw", pa.float64(), "weighted geometric mean of the components"),
        Column("diversity", pa.float64(), "diversity in (0, 1)"),
    ),
)
LEDGER = Table(
    "ledger",
    "One row per document of a mixture, drawn or not.",
    (
        DOC_ID,
        _ROW,
        Column("num_tokens", pa.int64(), "tokens in the budget's tokenizer"),
        Column("quality", pa.float64(), "quality in (0, 1)", nullable=True),
        Column("diversity", pa.float64(), "diversity in (0, 1)", nullable=True),
        Column("weight", pa.float64(), "target density / corpus density; mean 1 over tokens"),
        Column(
            "expected_copies",
            pa.float64(),
            "min(max_copies, s * weight) at the design's scale",
        ),
        Column("copies", pa.int32(), "how often it is drawn"),
        Column("reason", pa.string(), "null when drawn, else why not", nullable=True),
    ),
)
DETAIL = Column("detail", pa.string(), "what more there is to say of an exclusion", nullable=True)
LEDGER_OF_EXCLUSIONS = Table("ledger", LEDGER.grain, (*LEDGER.columns, DETAIL))
"""The ledger of a version that honours exclusions; others have no detail to tell."""
EXCLUDED = Table(
    "excluded",
    "One row per document that no version may draw, by id.",
    (DOC_ID, Column("reason", pa.string(), "why, from a closed list"), DETAIL),
)
CONTAMINATION = Table(
    "contamination",
    "One row per document of a shard: what it holds of evaluations.",
    (
        DOC_ID,
        Column(
            "evaluation", pa.string(), "the set of the item of which most is there", nullable=True
        ),
        Column("item", pa.int64(), "that item's row in the set's files, from 0", nullable=True),
        Column("share", pa.float64(), "of what is looked for of that item, how much is there"),
        Column("num_items", pa.int64(), "items of which something stands there"),
        Column("snippet", pa.string(), "the longest run of it, and what is around", nullable=True),
    ),
)
DUPLICATES = Table(
    "duplicates",
    "One row per occurrence of a text that stands earlier in the corpus too.",
    (
        DOC_ID,
        Column("source", pa.string(), "source of the occurrence"),
        Column("shard", pa.string(), "digest of its shard"),
        _ROW,
    ),
)
SAMPLE = Table(
    "sample",
    "One row per document of the hash sample, smallest hash first.",
    (
        DOC_ID,
        Column("source", pa.string(), "source of the document"),
        Column("shard", pa.string(), "digest of its shard"),
        _ROW,
        Column("num_bytes", pa.int64(), "UTF-8 bytes of the text"),
    ),
)
LOSSES = Table(
    "losses",
    "One row per judged text: what a learner lost on it.",
    (
        Column("group", pa.string(), "group of texts"),
        DOC_ID,
        Column("num_bytes", pa.int64(), "UTF-8 bytes that were judged"),
        Column("nats", pa.float64(), "negative log-likelihood, in nats"),
    ),
)


def embeddings_table(dimensions: int) -> Table:
    """The contract of an embeddings table for an encoder of so many dimensions."""
    return Table(
        "embeddings",
        "One row per document of a shard: its sentence embedding.",
        (
            DOC_ID,
            Column(EMBEDDING, pa.list_(pa.float16(), dimensions), "unit vector, float16"),
        ),
    )


def scores_table() -> Table:
    """The contract of the wide table of scores, as far as every project has its columns."""
    wide: list[Column] = []
    for table in (PERPLEXITY, TOKENS, QUALITY, CLUSTERS, OWNERSHIP, TOPICS):
        wide += table.columns[1:]
    wide += DIVERSITY.columns[1:]
    head = (DOC_ID, _ROW, Column("language", pa.string(), "language code"))
    return Table("scores", "One row per document of a shard, with every score.", (*head, *wide))


_OF_SHARDS = {
    table.name: table
    for table in (GRAMS, WORDS, PERPLEXITY, TOKENS, QUALITY, CLUSTERS, OWNERSHIP, TOPICS, DIVERSITY)
} | {"embeddings": embeddings_table(1), "scores": scores_table()}
_OF_SHARDS |= {"metric": METRIC, "signal": SIGNAL, "contamination": CONTAMINATION}
_OF_FITS = {f"{table.name}.parquet": table for table in (SAMPLE, DUPLICATES, EXCLUDED)}


def contract_of(key: str) -> Table | None:
    """Return the contract of the table at a key of the lake; None where none is known."""
    head, *parts = key.split("/")
    if head == "documents" and len(parts) == 2:
        return REJECTIONS if parts[1].endswith(".rejected.parquet") else DOCUMENTS
    if head == "features" and len(parts) == 3:
        return _OF_SHARDS.get(parts[0].partition("-")[0])
    if head == "evaluations" and parts[0] == "losses":
        return LOSSES
    if head == "mixtures" and len(parts) == 4 and parts[2] == "ledger":
        return LEDGER
    if head == "fits" and len(parts) == 3:
        return _OF_FITS.get(parts[2])
    return None
