"""topics: fitted to the words of the sample; each document's topic, and how rare its topics are."""

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from samplemix_dagster import tables
from samplemix_dagster.core.diversity.matching import LEAST_AFFINITY
from samplemix_dagster.core.hashing import round_significant, round_unit
from samplemix_dagster.engine.fitting.groups import carry_over, read_groups
from samplemix_dagster.engine.fitting.sample import sample_of, sample_rows
from samplemix_dagster.engine.fitting.writer import NEUTRAL, FitWriter
from samplemix_dagster.engine.foundation.corpus import CORPUS
from samplemix_dagster.engine.outcome import Progress
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.shards.reading import read
from samplemix_dagster.engine.stages import Facts, Fit, Maker, Settings, Stage, Task
from samplemix_dagster.errors import DegenerateSampleError
from samplemix_dagster.stages.columns import lazily
from samplemix_dagster.stages.diversity.grams.ngrams import (
    GRAMS,
    NGRAM_INDEX,
    document_hashes,
    grams_of_table,
    read_index,
)
from samplemix_dagster.stages.diversity.words import WORDS

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes
    from samplemix_dagster.engine.project import Project

_NEAR_DUPLICATE_NOVELTY = 0.7
_TOP_WORDS = 6


class TopicFit(Fit):
    """Topics of the sample's words, with names that stay."""

    name = "topic_fit"
    asset = "topics"
    group = "diversity"
    version = 2
    words = "Topics of the sample's words (KL-NMF), fitted without near-duplicates."
    least_likeness = LEAST_AFFINITY
    can_be_neutral = True

    def needs(self, project: "Project", name: str) -> tuple[str, ...]:
        """Return the sample, its words, and the index, which tells near-duplicates."""
        del project, name
        return (CORPUS.asset, WORDS.asset, NGRAM_INDEX.asset)

    def settings(self, recipes: "Recipes", name: str) -> Settings:
        """Return the words, the index, and how topics are fitted."""
        del name
        return {
            "words": recipes.by_source(WORDS),
            "index": recipes.fit(NGRAM_INDEX),
            **recipes.config.diversity.topics.for_recipe(),
        }

    def make(self, recipes: "Recipes", writer: FitWriter, name: str, progress: Progress) -> Facts:
        """Fit topics on the hash sample without near-duplicates."""
        del name, progress
        return _make(recipes, writer)


TOPIC_FIT = TopicFit()


class Topics(Stage):
    """The strongest topic of each document, and how rare its topics are."""

    name = "topics"
    asset = "topic_distribution"
    group = "diversity"
    table = tables.TOPICS
    words = "Diversity by topics: rarity of a document's topics, and their entropy."
    is_wide = True
    group_column = "topic"

    def needs(self, project: "Project") -> tuple[str, ...]:
        """Return words and topics."""
        del project
        return (WORDS.asset, TOPIC_FIT.asset)

    def settings(self, recipes: "Recipes", source: str) -> Settings:
        """Return the words and the topics."""
        return {
            "words": recipes.fingerprint(WORDS, source),
            "topics": recipes.fit(TOPIC_FIT),
        }

    def work(self, recipes: "Recipes", partition: str) -> Task | Maker:
        """Return what finds the topics of each document."""
        del partition
        return lazily(lambda: _maker(recipes))


TOPICS = Topics()


def _maker(recipes: "Recipes") -> Maker:
    from samplemix_dagster.core.diversity.topics import apply_topics

    model = load_topics(recipes)
    folder = recipes.fit_key(TOPIC_FIT)
    ids = np.array(read_groups(recipes.lake, folder).ids, dtype=np.int32)

    def make(shard: PlacedShard) -> pa.Table:
        table = read(recipes, WORDS, shard)
        scores = apply_topics(
            table.column("words").to_pylist(), table.column("counts").to_pylist(), model
        )
        return tables.TOPICS.make(
            doc_id=table.column("doc_id"),
            topic=ids[scores.topic],
            topic_entropy=round_significant(scores.entropy),
            topic_score=round_unit(scores.rarity),
        )

    return make


def load_topics(recipes: "Recipes") -> Any:
    """Return the topic model in use."""
    from samplemix_dagster.core.diversity.topics import TopicModel

    folder = recipes.fit_key(TOPIC_FIT)
    return TopicModel.from_arrays(
        recipes.lake.read_arrays(f"{folder}/topics.safetensors"),
        recipes.lake.read_json(f"{folder}/vocabulary.json"),
    )


def _make(recipes: "Recipes", writer: FitWriter) -> Facts:
    from samplemix_dagster.core.diversity.grams.ownership import gram_scores
    from samplemix_dagster.core.diversity.topics import fit_topics, one_topic

    settings = recipes.config.diversity.topics
    sample = sample_of(recipes, settings.sample)
    grams = sample_rows(recipes, GRAMS, sample, ["doc_id", "num_positions", "grams", "counts"])
    index = read_index(recipes)
    scores = gram_scores(grams_of_table(grams), document_hashes(grams), index)
    del grams, index
    is_new = scores.novelty > _NEAR_DUPLICATE_NOVELTY
    if is_new.sum() < max(20, settings.count):
        is_new = np.ones(sample.num_rows, dtype=bool)
    chosen = sample.filter(pa.array(is_new))
    words = sample_rows(recipes, WORDS, chosen, ["words", "counts"])
    neutral = {}
    try:
        model = fit_topics(
            words.column("words").to_pylist(),
            words.column("counts").to_pylist(),
            num_topics=settings.count,
            seed=settings.seed,
        )
    except DegenerateSampleError as error:
        model = one_topic()
        neutral = {NEUTRAL: f"Everything is one topic, and none is rare: {error}."}
    writer.lake.write_arrays("topics.safetensors", model.to_arrays())
    writer.lake.replace_json("vocabulary.json", list(model.vocabulary))
    names = [" ".join(words) for words in model.top_words(_TOP_WORDS)]
    groups, matched = carry_over(
        recipes, TOPIC_FIT, names, lambda folder: _topic_likeness(recipes, folder, model)
    )
    groups.write(writer)
    return {
        "num_topics": len(names),
        "num_documents_fitted": int(chosen.num_rows),
        "num_near_duplicates_left_out": int(sample.num_rows - chosen.num_rows),
        "vocabulary_words": len(model.vocabulary),
        "topics": [
            {"topic": identity, "name": name, "share": round(float(share), 4)}
            for identity, name, share in zip(groups.ids, groups.names, model.shares, strict=True)
        ],
        **({"matched": matched} if matched is not None else {}),
        **neutral,
    }


def _topic_likeness(recipes: "Recipes", folder: str, model: Any) -> Any:
    """Affinities of the former fit's topics with a new model's."""
    from samplemix_dagster.core.diversity.matching import affinities

    former = recipes.lake.read_arrays(f"{folder}/topics.safetensors")
    words = recipes.lake.read_json(f"{folder}/vocabulary.json")
    return affinities(former["components_KV"], words, model.components_KV, model.vocabulary)
