"""The contract of each table in the lake: its grain, its columns, their types and meanings.

Tables are written and read through these, so that a stage cannot hand on a bad table. Rows of a
per-shard table stand in row order, one for each document of the shard, so that two tables of one
shard can be laid side by side without a join. Where a table's file lies is said by ``storage``.
"""

import pyarrow as pa

from samplemix_dagster.table_contract import Column, Table

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
LETTERS = Table(
    "letters",
    "One row per document of a shard: its length in letters.",
    (
        DOC_ID,
        Column(
            "num_letters",
            pa.int64(),
            "characters of the text; an ideograph, a kana or a syllable of Hangul counts three",
        ),
    ),
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
