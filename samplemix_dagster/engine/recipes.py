"""What each result depends on: recipes, fingerprints, addresses, and the versions of fits.

An address is a hash of everything that a result is made from, so a result is current when a file
stands at its address, and stale when none does: no clock, no order, no bookkeeping. A recipe that
needs a fit which does not exist yet is unknown; asking for it raises :class:`NotFittedError`.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from samplemix_dagster.config import Refit
from samplemix_dagster.core.hashing import fingerprint, id_words, uniforms
from samplemix_dagster.engine import stages
from samplemix_dagster.engine.model_recipes import ModelRecipes, NotFittedError
from samplemix_dagster.engine.project import PlacedShard, Project
from samplemix_dagster.engine.stages import FitStage, Stage
from samplemix_dagster.errors import InputError

_EXACT_BYTES = 256 * 10**6
_TEXT_PER_COMPRESSED_BYTE = 3
_DRIFT_SAMPLE = 2048


class Recipes(ModelRecipes):
    """The recipes of one project at one moment. Make a new one after a fit has changed."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._fits: dict[str, str] = {}
        self._recipes: dict[tuple[str, str], dict[str, Any]] = {}
        self._fingerprints: dict[tuple[str, str], str] = {}
        self._texts: dict[str, str] = {}

    # -- addresses ----------------------------------------------------------------------------

    def feature_key(self, stage: Stage, shard: PlacedShard) -> str:
        """Return where the stage's table for a shard lies in the lake."""
        return f"{self.feature_folder(stage, shard.source)}/{shard.digest}.parquet"

    def feature_folder(self, stage: Stage, source: str) -> str:
        """Return the folder of a stage's tables for one source's recipe."""
        head = "documents" if stage is stages.DOCUMENTS else f"features/{stage.name}"
        return f"{head}/{self.fingerprint(stage, source)}"

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
            name = stage.name.split("-", 1)[0]  # `metric-length` is a `metric`
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
            self._texts[source] = fingerprint(self.project.rules(source).text_recipe())
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
            "direction": direction if isinstance(direction, str) else direction.model_dump(),
            "source": source if self.config.quality.calibrate_by == "source" else None,
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

    def _metric_recipe(self, source: str, stage: Stage) -> dict[str, Any]:
        from samplemix_dagster.engine.metrics import metric_identity, metric_is_fitted

        name = stage.name.removeprefix("metric-")
        target = self.config.diversity.metrics[name]
        identity = metric_identity(target, self.project.root)
        upstream: dict[str, Any] = {"text": self._text(source)}
        if identity["needs"] == "embedding":
            upstream = {"embeddings": self.fingerprint(stages.EMBEDDINGS, source)}
        if metric_is_fitted(target, self.project.root):
            upstream["fit"] = self.fit(stages.METRIC_FIT, name)
        return {**upstream, **identity}

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
            *(stages.metric_stage(name) for name in self.config.diversity.metrics),
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
            is_packed = shard.shard.path.endswith((".gz", ".zst", ".parquet"))
            size += shard.shard.size * (_TEXT_PER_COMPRESSED_BYTE if is_packed else 1)
        bits = 0
        while size > _EXACT_BYTES << bits:
            bits += 1
        return bits

    # -- fits ---------------------------------------------------------------------------------

    def fit_name(self, fit: FitStage, name: str = "") -> str:
        """Return a fit's folder in the lake: its stage, with a name where there are several."""
        return f"{fit.name}-{name}" if name else fit.name

    def fit_key(self, fit: FitStage, name: str = "") -> str:
        """Return the folder of the fit's current version."""
        return f"fits/{self.fit_name(fit, name)}/{self.fit(fit, name)}"

    def fit(self, fit: FitStage, name: str = "") -> str:
        """Return the version of a fit that is to be used, which exists.

        Raises:
            NotFittedError: There is none.
        """
        folder = self.fit_name(fit, name)
        if folder not in self._fits:
            version = self.wanted_fit(fit, name)
            if not self.lake.exists(f"fits/{folder}/{version}/fit.json"):
                raise NotFittedError(folder)
            self._fits[folder] = version
        return self._fits[folder]

    def wanted_fit(self, fit: FitStage, name: str = "") -> str:
        """Return the version that a fit should have: the frozen one, or that of today's inputs.

        Raises:
            NotFittedError: Its recipe depends on a fit that has not been made.
        """
        recipe = self.fit_recipe(fit, name)
        frozen = self.current_fit(fit, name)
        if fit.is_frozen and frozen.get("recipe_fingerprint") == fingerprint(recipe):
            policy = self.config.diversity.refit
            is_kept = policy == "never" or (fit is stages.REFERENCE and policy != "always")
            if isinstance(policy, Refit) and not is_kept:
                drift = self.drift(frozen)
                is_kept = drift is None or drift <= policy.drift
            if is_kept:
                return str(frozen["version"])
        try:
            inputs = self.fit_inputs(fit, name)
        except InputError:
            # A source cannot be listed, so nothing new can be fitted to the whole corpus.
            raise NotFittedError(self.fit_name(fit, name)) from None
        return fingerprint({"recipe": recipe, "inputs": inputs})

    def current_fit(self, fit: FitStage, name: str = "") -> dict[str, Any]:
        """Return the manifest of the fit in use: version, recipe, the sample it was fitted on."""
        key = f"fits/{self.fit_name(fit, name)}/current.json"
        return dict(self.lake.read_json(key, {}))

    def fit_recipe(self, fit: FitStage, name: str = "") -> dict[str, Any]:
        """Return what a fit depends on beside the corpus."""
        parts = getattr(self, f"_{fit.name}_fit_recipe")(name)
        return {"stage": fit.name, "stage_version": fit.version, **parts}

    def fit_inputs(self, fit: FitStage, name: str = "") -> list[Any]:
        """Return what of the corpus a fit reads: shards by source, digest and text recipe."""
        wanted = None
        if fit is stages.REFERENCE:
            bootstrap = self.config.references[name].bootstrap
            if bootstrap is None:
                return []
            wanted = bootstrap.sources
        shards = self.project.all_shards()
        if wanted is not None:
            shards = [shard for shard in shards if shard.source in wanted]
        return sorted([shard.source, shard.digest, self._text(shard.source)] for shard in shards)

    def drift(self, frozen: Mapping[str, Any]) -> float | None:
        """Return the share of the corpus's sample that a fit was not made on; None if unknown.

        Both samples are the documents with the smallest hashes, so the share of today's that is
        missing from the fit's estimates the share of the corpus that changed. It bounds the total
        variation between any summary that was fitted on and today's.
        """
        sample = self.current_sample
        before = frozen.get("sample")
        if not sample or before is None:
            return None
        return 1.0 - len(set(sample) & set(before)) / len(sample)

    def expect_sample(self, doc_ids: Sequence[str]) -> None:
        """Take the sample of a corpus that is about to be: for plans, before anything is run."""
        ids = np.unique(np.asarray(doc_ids, dtype="S32"))
        luck = uniforms(id_words(ids), 0, "sample")
        size = min(_DRIFT_SAMPLE, self._sample_size)
        self.current_sample = [str(found, "ascii") for found in ids[np.argsort(luck)[:size]]]

    @property
    def _sample_size(self) -> int:
        diversity = self.config.diversity
        return max(diversity.clusters.sample, diversity.topics.sample)

    @cached_property
    def current_sample(self) -> list[str]:
        """Return the first ids of the corpus's hash sample, when the corpus asset is current."""
        try:
            key = f"{self.fit_key(stages.CORPUS)}/sample.parquet"
        except NotFittedError:
            return []
        ids = self.lake.read_table(key, ["doc_id"]).column("doc_id")
        return list(ids.slice(0, _DRIFT_SAMPLE).to_pylist())

    def _sources(self, stage: Stage) -> dict[str, str]:
        return {source: self.fingerprint(stage, source) for source in self.config.corpus.sources}

    def _corpus_fit_recipe(self, _name: str) -> dict[str, Any]:
        return {"documents": self._sources(stages.DOCUMENTS), "sample": self._sample_size}

    def _reference_fit_recipe(self, name: str) -> dict[str, Any]:
        reference = self.config.references[name]
        if reference.bootstrap is None:
            return {"model": self.reference_digest(name)}
        return {"bootstrap": reference.bootstrap.model_dump(mode="json")}

    def _calibration_fit_recipe(self, _name: str) -> dict[str, Any]:
        quality = self.config.quality
        return {
            "perplexity": self._sources(stages.PERPLEXITY),
            "language": self.config.corpus.language,
            "by": quality.calibrate_by,
        }

    def _cluster_fit_fit_recipe(self, _name: str) -> dict[str, Any]:
        return {
            "embeddings": self._sources(stages.EMBEDDINGS),
            **self.config.diversity.clusters.model_dump(),
        }

    def _ngram_index_fit_recipe(self, _name: str) -> dict[str, Any]:
        return {"grams": self._sources(stages.GRAMS)}

    def _topic_fit_fit_recipe(self, _name: str) -> dict[str, Any]:
        return {
            "words": self._sources(stages.WORDS),
            "index": self.fit(stages.NGRAM_INDEX),
            **self.config.diversity.topics.model_dump(),
        }

    def _metric_fit_fit_recipe(self, name: str) -> dict[str, Any]:
        from samplemix_dagster.engine.metrics import metric_identity

        identity = metric_identity(self.config.diversity.metrics[name], self.project.root)
        if identity["needs"] == "embedding":
            return {"embeddings": self._sources(stages.EMBEDDINGS), **identity}
        sources = self.config.corpus.sources
        return {"texts": {source: self._text(source) for source in sources}, **identity}

    def _diversity_calibration_fit_recipe(self, _name: str) -> dict[str, Any]:
        sources = self.config.corpus.sources
        return {
            "components": {source: self._component_recipes(source) for source in sources},
            "language": self.config.corpus.language,
        }

    def _beta_fit_recipe(self, _name: str) -> dict[str, Any]:
        return {
            "scores": self._sources(stages.SCORES),
            "duplicates": self.config.corpus.duplicates,
            "corpus": self.fit(stages.CORPUS),
        }

    def _mixture_fit_recipe(self, name: str) -> dict[str, Any]:
        return {
            "mixture": self.project.mixture_config(name),
            "scores": self._sources(stages.SCORES),
            "duplicates": self.config.corpus.duplicates,
            "beta": self.fit(stages.BETA),
        }

    # -- mixtures -----------------------------------------------------------------------------

    def mixture_version(self, name: str) -> str:
        """Return the version that a mixture should have.

        It is a hash of the mixture's configuration, of every fit and feature recipe (through the
        beta fit and the scores) and of the shards; not of the mixture's name.
        """
        recipe = self.fit_recipe(stages.MIXTURE, name)
        return fingerprint({"recipe": recipe, "inputs": self.fit_inputs(stages.MIXTURE)})
