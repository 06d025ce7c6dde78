"""What each per-shard table depends on: its recipe, the recipe's fingerprint, its address.

A recipe that needs a fit which does not exist yet is unknown; asking for it raises
:class:`NotFittedError`. What fits depend on is in ``recipes.py``.
"""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.engine import stages
from samplemix_dagster.engine.addresses.model_recipes import ModelRecipes
from samplemix_dagster.engine.addresses.own_signals import OwnSignal, own_of_stage, own_signals
from samplemix_dagster.engine.project import PlacedShard, Project
from samplemix_dagster.engine.stages import Stage
from samplemix_dagster.storage.formats.names import COMPRESSIONS
from samplemix_dagster.storage.lake import keys

_EXACT_BYTES = 256 * 10**6
_TEXT_PER_COMPRESSED_BYTE = 3


class FeatureRecipes(ModelRecipes):
    """The recipes of per-shard tables of one project at one moment."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._recipes: dict[tuple[str, str], dict[str, Any]] = {}
        self._fingerprints: dict[tuple[str, str], str] = {}
        self._texts: dict[str, str] = {}

    def feature_key(self, stage: Stage, shard: PlacedShard) -> str:
        """Return where the stage's table for a shard lies in the lake."""
        return f"{self.feature_folder(stage, shard.source)}/{shard.digest}.parquet"

    def feature_folder(self, stage: Stage, source: str) -> str:
        """Return the folder of a stage's tables for one source's recipe."""
        recipe = self.fingerprint(stage, source)
        if stage is stages.DOCUMENTS:
            return keys.documents_folder(recipe)
        return keys.features_folder(stage.name, recipe)

    def rejections_key(self, shard: PlacedShard) -> str:
        """Return where the rejected rows of a shard lie: beside its documents."""
        return (
            f"{self.feature_folder(stages.DOCUMENTS, shard.source)}/{shard.digest}.rejected.parquet"
        )

    def recipe(self, stage: Stage, source: str) -> dict[str, Any]:
        """Return everything that the stage's result for a shard of this source depends on.

        Raises:
            NotFittedError: It depends on a fit that has not been made.
        """
        found = self._recipes.get((stage.name, source))
        if found is None:
            name = stage.name.split("-", 1)[0]  # `signal-rules` is a `signal`
            parts: Mapping[str, Any] = getattr(self, f"_{name}_recipe")(source, stage)
            found = {"stage": stage.name, "stage_version": stage.version, **parts}
            self._recipes[stage.name, source] = found
        return found

    def fingerprint(self, stage: Stage, source: str) -> str:
        """Return the hash of a stage's recipe for a source.

        Raises:
            NotFittedError: It depends on a fit that has not been made.
        """
        found = self._fingerprints.get((stage.name, source))
        if found is None:
            found = fingerprint(self.recipe(stage, source))
            self._fingerprints[stage.name, source] = found
        return found

    def _text(self, source: str) -> str:
        if source not in self._texts:
            readers = self.project.readers(source)
            self._texts[source] = fingerprint(self.project.rules(source).text_recipe(readers))
        return self._texts[source]

    def _documents_recipe(self, source: str, _stage: Stage) -> dict[str, Any]:
        rules = self.project.rules(source)
        return {
            "text": self._text(source),
            "id": rules.id,
            "metadata": list(rules.metadata),
            "language": self.config.corpus.language,
        }

    def _language(self, source: str) -> dict[str, Any]:
        """What the language column depends on, for the stages that group by it."""
        field = self.config.corpus.language
        return {"text": self._text(source), "language": field}

    def _grams_recipe(self, source: str, _stage: Stage) -> dict[str, Any]:
        return {
            "text": self._text(source),
            "order": self.config.diversity.ngram.order,
            "sample_bits": self.gram_sample_bits,
        }

    def _words_recipe(self, source: str, _stage: Stage) -> dict[str, Any]:
        return {"text": self._text(source)}

    def _perplexity_recipe(self, source: str, _stage: Stage) -> dict[str, Any]:
        return {
            "text": self._text(source),
            "reference": self.reference_digest(self.config.quality.reference),
            "dtype": self.dtype,
            "context_tokens": self.context_tokens,
            "overlap_tokens": self.config.quality.overlap_tokens,
        }

    def _tokens_recipe(self, source: str, _stage: Stage) -> dict[str, Any]:
        return {"text": self._text(source), "tokenizer": self.tokenizer_digest}

    def _embeddings_recipe(self, source: str, _stage: Stage) -> dict[str, Any]:
        return {
            "text": self._text(source),
            "encoder": self.encoder_digest,
            "max_tokens": self.config.encoder.max_tokens,
            "dtype": self.dtype,
        }

    def _quality_recipe(self, source: str, _stage: Stage) -> dict[str, Any]:
        direction = self.config.quality.direction
        return {
            "perplexity": self.fingerprint(stages.PERPLEXITY, source),
            "language": self._language(source),
            "calibration": self.fit(stages.CALIBRATION),
            "direction": direction if isinstance(direction, str) else direction.for_recipe(),
            "source": source if self.config.quality.calibrate_by == "source" else None,
            **self._signals_in_quality(source),
        }

    def _signals_in_quality(self, source: str) -> dict[str, Any]:
        """What quality is made of beside perplexity; nothing where it has perplexity alone."""
        if not self.has_signals:
            return {}
        return {
            "signals": self._signal_recipes(source),
            "combined": self.fit(stages.QUALITY_CALIBRATION),
        }

    @property
    def has_signals(self) -> bool:
        """Whether quality is more than perplexity's."""
        return bool(self.config.quality.targets)

    def _signal_recipes(self, source: str) -> dict[str, Any]:
        """The signals of quality: the exponent of each, and the recipe of all but perplexity."""
        weights = self.config.quality.weights
        return {
            name: [weight, self.fingerprint(stages.signal_stage(name), source)]
            if name in self.config.quality.targets
            else [weight]
            for name, weight in weights.items()
        }

    def _clusters_recipe(self, source: str, _stage: Stage) -> dict[str, Any]:
        return {
            "embeddings": self.fingerprint(stages.EMBEDDINGS, source),
            "clusters": self.fit(stages.CLUSTER_FIT),
        }

    def _ownership_recipe(self, source: str, _stage: Stage) -> dict[str, Any]:
        return {
            "grams": self.fingerprint(stages.GRAMS, source),
            "index": self.fit(stages.NGRAM_INDEX),
            "power": self.config.diversity.ngram.power,
        }

    def _topics_recipe(self, source: str, _stage: Stage) -> dict[str, Any]:
        return {
            "words": self.fingerprint(stages.WORDS, source),
            "topics": self.fit(stages.TOPIC_FIT),
        }

    def own_identity(self, own: OwnSignal) -> dict[str, Any]:
        """Return what a signal's class is: ``name``, ``version``, ``needs``, ``is_fitted``."""
        from samplemix_dagster.engine.addresses.metrics import metric_identity, metric_is_fitted

        root = self.project.root
        identity = metric_identity(own.target, root)
        return {**identity, "is_fitted": metric_is_fitted(own.target, root)}

    def _metric_recipe(self, source: str, stage: Stage) -> dict[str, Any]:
        own = own_of_stage(self.config, stage.name)
        identity = self.own_identity(own)
        is_fitted = identity.pop("is_fitted")
        upstream: dict[str, Any] = {"text": self._text(source)}
        if identity["needs"] == "embedding":
            upstream = {"embeddings": self.fingerprint(stages.EMBEDDINGS, source)}
        if is_fitted:
            upstream["fit"] = self.fit(own.fit, own.name)
        return {**upstream, **identity}

    _signal_recipe = _metric_recipe

    def components(self) -> dict[str, Stage]:
        """Return the components of diversity that have a weight above 0, by name."""
        diversity = self.config.diversity
        every = dict(stages.COMPONENT_STAGES)
        every.update({name: stages.metric_stage(name) for name in diversity.metrics})
        return {name: stage for name, stage in every.items() if diversity.weight(name) > 0}

    def _component_recipes(self, source: str) -> dict[str, Any]:
        return {
            name: [self.config.diversity.weight(name), self.fingerprint(stage, source)]
            for name, stage in self.components().items()
        }

    def _diversity_recipe(self, source: str, _stage: Stage) -> dict[str, Any]:
        return {
            "components": self._component_recipes(source),
            "language": self._language(source),
            "calibration": self.fit(stages.DIVERSITY_CALIBRATION),
        }

    def _scores_recipe(self, source: str, _stage: Stage) -> dict[str, Any]:
        wide = [
            stages.DOCUMENTS,
            stages.PERPLEXITY,
            stages.TOKENS,
            stages.QUALITY,
            stages.CLUSTERS,
            stages.OWNERSHIP,
            stages.TOPICS,
            *(own.stage for own in own_signals(self.config)),
            stages.DIVERSITY,
        ]
        return {stage.name: self.fingerprint(stage, source) for stage in wide}

    @cached_property
    def gram_sample_bits(self) -> int:
        """Grams are kept when so many top bits of their hash are 0; 0 is exact."""
        sample = self.config.diversity.ngram.sample
        if isinstance(sample, int):
            return sample
        size = 0
        for shard in self.project.readable_shards():
            is_packed = shard.shard.path.endswith((*COMPRESSIONS, ".parquet"))
            size += shard.shard.size * (_TEXT_PER_COMPRESSED_BYTE if is_packed else 1)
        bits = 0
        while size > _EXACT_BYTES << bits:
            bits += 1
        return bits
