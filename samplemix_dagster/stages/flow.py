"""The flow: every stage that makes scores of documents, a line each.

A stage stands in its own file; this is the list of them. Their order is found from what they need
(``stepping/order.py``). The wide table of all scores, and what is made from it, come after them
(``stepping/steps.py``).
"""

from samplemix_dagster.config.project import Config
from samplemix_dagster.engine.foundation.corpus import CORPUS
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.foundation.reference import REFERENCE
from samplemix_dagster.engine.stages import Line, Stage
from samplemix_dagster.stages.diversity.diversity import DIVERSITY, DIVERSITY_CALIBRATION
from samplemix_dagster.stages.diversity.grams.commonness import COMMONNESS
from samplemix_dagster.stages.diversity.grams.near import NEAR
from samplemix_dagster.stages.diversity.grams.ngrams import GRAMS, NGRAM_INDEX, OWNERSHIP
from samplemix_dagster.stages.diversity.meaning.clusters import CLUSTER_FIT, CLUSTERS
from samplemix_dagster.stages.diversity.meaning.density import DENSITY
from samplemix_dagster.stages.diversity.meaning.embeddings import EMBEDDINGS
from samplemix_dagster.stages.diversity.topics import TOPIC_FIT, TOPICS
from samplemix_dagster.stages.diversity.words import WORDS
from samplemix_dagster.stages.exclusions.evaluations.contamination import STAGE as CONTAMINATION
from samplemix_dagster.stages.exclusions.excluded import EXCLUDED
from samplemix_dagster.stages.export.token_ids import TOKEN_IDS
from samplemix_dagster.stages.outside.external import EXTERNALS
from samplemix_dagster.stages.outside.labels import LABELS
from samplemix_dagster.stages.quality.calibration import CALIBRATION, COMPARED
from samplemix_dagster.stages.quality.clean import CLEAN
from samplemix_dagster.stages.quality.loss.letters import LETTERS
from samplemix_dagster.stages.quality.loss.other_references import OTHER_REFERENCES
from samplemix_dagster.stages.quality.loss.perplexity import PERPLEXITY
from samplemix_dagster.stages.quality.loss.student import STUDENT
from samplemix_dagster.stages.quality.quality import QUALITY, QUALITY_CALIBRATION
from samplemix_dagster.stages.quality.resembles import RESEMBLES
from samplemix_dagster.stages.quality.tokens import TOKENS
from samplemix_dagster.stages.signals import SIGNALS

FLOW: tuple[Line, ...] = (
    DOCUMENTS,
    GRAMS,
    WORDS,
    CORPUS,
    REFERENCE,
    STUDENT,
    PERPLEXITY,
    OTHER_REFERENCES,
    TOKENS,
    EMBEDDINGS,
    LETTERS,
    CALIBRATION,
    CLUSTER_FIT,
    NGRAM_INDEX,
    TOPIC_FIT,
    CLUSTERS,
    OWNERSHIP,
    NEAR,
    COMMONNESS,
    DENSITY,
    TOPICS,
    SIGNALS,
    CLEAN,
    RESEMBLES,
    EXTERNALS,
    LABELS,
    COMPARED,
    QUALITY_CALIBRATION,
    QUALITY,
    DIVERSITY_CALIBRATION,
    DIVERSITY,
    CONTAMINATION,
    EXCLUDED,
    TOKEN_IDS,
)
"""A line more is a stage more. Ask for it as ``flow.FLOW``, so that everybody sees the same."""


def flow_stages(config: Config) -> tuple[Stage, ...]:
    """Return the per-shard stages of a project, in the order of their lines."""
    return tuple(stage for line in FLOW for stage in line.stages(config))
