"""Every stage by name: what computes it, which asset shows it, which table it fills.

``version`` is raised when a stage's code changes what it computes; it is part of every recipe, so
that raising it recomputes the stage and what depends on it, and nothing else.
"""

from dataclasses import dataclass

from samplemix_dagster import tables
from samplemix_dagster.tables import Table


@dataclass(frozen=True, slots=True)
class Stage:
    """A per-shard stage: its name in the lake, its asset, its group, its table, its version."""

    name: str
    asset: str
    group: str
    table: Table
    version: int = 1
    carries_over: bool = False
    """Whether a rewritten shard keeps the rows of documents that it had before."""

    @property
    def title(self) -> str:
        """What people call it: its asset, with its own name where that is another one."""
        return self.asset if self.name == self.asset else f"{self.asset} ({self.name})"


@dataclass(frozen=True, slots=True)
class FitStage:
    """A fit over the whole corpus: its name in the lake, its asset, its group, its version."""

    name: str
    asset: str
    group: str
    version: int = 1
    is_frozen: bool = True


DOCUMENTS = Stage("documents", "raw_shards", "shards", tables.DOCUMENTS)
GRAMS = Stage("grams", "raw_shards", "shards", tables.GRAMS)
WORDS = Stage("words", "raw_shards", "shards", tables.WORDS)
PERPLEXITY = Stage("perplexity", "perplexity", "quality", tables.PERPLEXITY, carries_over=True)
TOKENS = Stage("tokens", "token_counts", "quality", tables.TOKENS, carries_over=True)
EMBEDDINGS = Stage(
    "embeddings", "embeddings", "diversity", tables.embeddings_table(1), carries_over=True
)
QUALITY = Stage("quality", "quality_scores", "quality", tables.QUALITY)
CLUSTERS = Stage("clusters", "cluster_diversity", "diversity", tables.CLUSTERS)
OWNERSHIP = Stage("ownership", "ngram_ownership", "diversity", tables.OWNERSHIP)
TOPICS = Stage("topics", "topic_distribution", "diversity", tables.TOPICS)
DIVERSITY = Stage("diversity", "diversity_scores", "diversity", tables.DIVERSITY)
SCORED = (PERPLEXITY, TOKENS, QUALITY, CLUSTERS, OWNERSHIP, TOPICS, DIVERSITY)
"""Stages whose columns the wide table of scores lays side by side, in this order."""
SCORES = Stage("scores", "document_scores", "beta", tables.scores_table())

CORPUS = FitStage("corpus", "corpus", "shards", is_frozen=False)
REFERENCE = FitStage("reference", "reference_model", "reference")
CALIBRATION = FitStage("calibration", "calibration", "quality")
CLUSTER_FIT = FitStage("cluster_fit", "clusters", "diversity", version=2)
NGRAM_INDEX = FitStage("ngram_index", "ngram_index", "diversity")
TOPIC_FIT = FitStage("topic_fit", "topics", "diversity", version=2)
METRIC_FIT = FitStage("metric_fit", "metric_fit", "diversity")
SIGNAL_FIT = FitStage("signal_fit", "signal_fit", "quality")
QUALITY_CALIBRATION = FitStage("quality_calibration", "quality_calibration", "quality")
"""Made only where quality has more signals than perplexity."""
DIVERSITY_CALIBRATION = FitStage("diversity_calibration", "diversity_calibration", "diversity")
BETA = FitStage("beta", "beta_parameters", "beta", is_frozen=False)
MIXTURE = FitStage("mixture", "mixture", "mixture", version=2, is_frozen=False)
REALISED_SCALE = 1
"""The version of a draw whose ledger expects copies at the settled scale, luck and all."""
OLDER_DRAWS = (REALISED_SCALE,)
"""Versions of the draw that are still drawn, to the byte; one that stands in a lake stays."""

SINGLE_FITS = (
    CORPUS,
    CALIBRATION,
    CLUSTER_FIT,
    NGRAM_INDEX,
    TOPIC_FIT,
    DIVERSITY_CALIBRATION,
    BETA,
)
"""Fits of which a project has one."""

FROZEN = (
    CALIBRATION,
    QUALITY_CALIBRATION,
    CLUSTER_FIT,
    NGRAM_INDEX,
    TOPIC_FIT,
    DIVERSITY_CALIBRATION,
)
"""Fits of which there is one, and which are kept until the corpus has drifted."""

MATCHED = (CLUSTER_FIT, TOPIC_FIT)
"""Fits whose groups keep their ids and names when they are made again."""
IDS_FILE = "ids.json"
"""The file of a matched fit that says which id and name each of its groups has."""

COMPONENT_STAGES = {"cluster": CLUSTERS, "ngram": OWNERSHIP, "topic": TOPICS}
"""The built-in components of diversity; their score is the column ``<component>_score``."""


def metric_stage(name: str) -> Stage:
    """Return the stage of a user's own component."""
    return Stage(f"metric-{name}", f"metric_{name}", "diversity", tables.METRIC, carries_over=True)


def signal_stage(name: str) -> Stage:
    """Return the stage of a signal of quality beside perplexity."""
    return Stage(f"signal-{name}", f"signal_{name}", "quality", tables.SIGNAL, carries_over=True)


def fit_asset(folder: str) -> str:
    """Return the asset of a fit, by its folder in the lake: ``reference-main``, ``topic_fit``."""
    kind, _, name = folder.partition("-")
    every = (*SINGLE_FITS, REFERENCE, METRIC_FIT, SIGNAL_FIT, QUALITY_CALIBRATION, MIXTURE)
    asset = next(fit.asset for fit in every if fit.name == kind)
    return f"{asset}/{name}" if name else asset
