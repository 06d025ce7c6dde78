"""What each result depends on: recipes, fingerprints, addresses, and the versions of fits.

An address is a hash of everything that a result is made from, so a result is current when a file
stands at its address, and stale when none does: no clock, no order, no bookkeeping. A recipe that
needs a fit which does not exist yet is unknown; asking for it raises :class:`NotFittedError`.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from samplemix_dagster.config.scores import Refit
from samplemix_dagster.core.hashing import fingerprint, id_words, uniforms
from samplemix_dagster.engine import stages
from samplemix_dagster.engine.addresses.feature_recipes import FeatureRecipes
from samplemix_dagster.engine.addresses.model_recipes import NotFittedError
from samplemix_dagster.engine.addresses.own_signals import own_of_fit
from samplemix_dagster.engine.fitting.fit_files import check_fit, lost_fit
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.stages import FitStage, Stage
from samplemix_dagster.errors import InputError
from samplemix_dagster.storage.lake import keys

_DRIFT_SAMPLE = 2048


class Recipes(FeatureRecipes):
    """The recipes of one project at one moment. Make a new one after a fit has changed."""

    def __init__(self, project: Project) -> None:
        super().__init__(project)
        self._fits: dict[str, str] = {}

    def fit_name(self, fit: FitStage, name: str = "") -> str:
        """Return a fit's folder in the lake: its stage, with a name where there are several."""
        return f"{fit.name}-{name}" if name else fit.name

    def fit_key(self, fit: FitStage, name: str = "") -> str:
        """Return the folder of the fit's current version, whose files are what was written.

        Raises:
            NotFittedError: There is none.
            DamagedError: A file is not what was written. Looked at once for each lake opened.
        """
        folder = keys.fit_folder(self.fit_name(fit, name), self.fit(fit, name))
        check_fit(self.lake, folder)
        return folder

    def fit(self, fit: FitStage, name: str = "") -> str:
        """Return the version of a fit that is to be used, which exists.

        Raises:
            NotFittedError: There is none.
        """
        folder = self.fit_name(fit, name)
        if folder not in self._fits:
            version = self.wanted_fit(fit, name)
            if not self.lake.exists(keys.fit_note(keys.fit_folder(folder, version))):
                raise NotFittedError(folder)
            self._fits[folder] = version
        return self._fits[folder]

    def wanted_fit(self, fit: FitStage, name: str = "") -> str:
        """Return the version that a fit should have: the frozen one, or that of today's inputs.

        A refit that carries names over from the fit before depends on that one, too, and says so in
        its version; with ``refit: always`` nothing is carried over, and a fit is a pure function
        of the corpus.

        Raises:
            NotFittedError: Its recipe depends on a fit that has not been made.
        """
        recipe = self.fit_recipe(fit, name)
        frozen = self.current_fit(fit, name)
        is_candidate = (
            fit.is_frozen
            and self.config.diversity.refit != "always"
            and frozen.get("recipe_fingerprint") == fingerprint(recipe)
            # What was lost can only be fitted to today's corpus, under today's name.
            and self.lake.exists(
                keys.fit_note(keys.fit_folder(self.fit_name(fit, name), frozen["version"]))
            )
        )
        if is_candidate and self._is_kept(fit, name, frozen):
            return str(frozen["version"])
        inputs = self._inputs(fit, name)
        if is_candidate and frozen.get("inputs") == fingerprint(inputs):
            return str(frozen["version"])
        basis: dict[str, Any] = {"recipe": recipe, "inputs": inputs}
        if former := self.former_fit(fit):
            basis["follows"] = former
        return fingerprint(basis)

    def _is_kept(self, fit: FitStage, name: str, frozen: Mapping[str, Any]) -> bool:
        """Whether a fit of the right recipe stays, although the corpus may have changed."""
        if self.refit_asset(fit, name) in self.project.refits:
            return False
        policy = self.config.diversity.refit
        if not isinstance(policy, Refit) or fit is stages.REFERENCE:
            return True
        drift = self.drift(frozen)
        return drift is None or drift <= policy.drift

    @staticmethod
    def refit_asset(fit: FitStage, name: str = "") -> str:
        """Return the asset that a fit belongs to: ``run --refit`` takes it."""
        return f"{fit.asset}/{name}" if name else fit.asset

    def former_fit(self, fit: FitStage) -> str | None:
        """Return the version whose ids and names a new fit carries over; None: there is none.

        Clusters and topics are matched to those before, unless fits are a pure function of the
        corpus, or the two stand in different spaces (another encoder).
        """
        if fit not in stages.MATCHED or self.config.diversity.refit == "always":
            return None
        current = self.current_fit(fit)
        if not current or current.get("space") != self.fit_space(fit):
            return None
        version = str(current["version"])
        folder = keys.fit_folder(self.fit_name(fit), version)
        return version if self.lake.exists(f"{folder}/{stages.IDS_FILE}") else None

    def fit_space(self, fit: FitStage) -> str:
        """Return what two fits must have in common for their centroids to be compared."""
        if fit is stages.CLUSTER_FIT:
            return fingerprint([self.encoder_digest, self.config.encoder.max_tokens])
        return ""

    def inputs_fingerprint(self, fit: FitStage, name: str = "") -> str:
        """Return the hash of what of the corpus a fit reads."""
        return fingerprint(self._inputs(fit, name))

    def _inputs(self, fit: FitStage, name: str) -> list[Any]:
        try:
            return self.fit_inputs(fit, name)
        except InputError:
            # A source cannot be listed, so nothing new can be fitted to the whole corpus.
            raise NotFittedError(self.fit_name(fit, name)) from None

    def current_fit(self, fit: FitStage, name: str = "") -> dict[str, Any]:
        """Return the manifest of the fit in use: version, recipe, the sample it was fitted on."""
        stated = self.lake.read_json(keys.current_fit(self.fit_name(fit, name)))
        if stated is None and fit.is_frozen:
            stated = lost_fit(self, fit, name)
        return dict(stated or {})

    def fit_recipe(self, fit: FitStage, name: str = "") -> dict[str, Any]:
        """Return what a fit depends on beside the corpus."""
        parts = getattr(self, f"_{fit.name}_fit_recipe")(name)
        version = self._draw_version(name, parts) if fit is stages.MIXTURE else fit.version
        return {"stage": fit.name, "stage_version": version, **parts}

    def _draw_version(self, name: str, parts: Mapping[str, Any]) -> int:
        """Return the version of the draw: an older one, where what it drew of this stands.

        As a frozen fit stays while its recipe is today's, so does a mixture that was drawn before
        the draw's code changed what it notes of the same draws.
        """
        inputs = self.fit_inputs(stages.MIXTURE)
        current = (self.lake.read_json(keys.current_version(name)) or {}).get("version")
        for older in stages.OLDER_DRAWS:
            recipe = {"stage": stages.MIXTURE.name, "stage_version": older, **parts}
            version = fingerprint({"recipe": recipe, "inputs": inputs})
            key = keys.manifest(name, version)
            if version == current or self.lake.exists(key):
                return older
        return stages.MIXTURE.version

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
        return {"bootstrap": reference.bootstrap.for_recipe()}

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
            **self.config.diversity.clusters.for_recipe(),
        }

    def _ngram_index_fit_recipe(self, _name: str) -> dict[str, Any]:
        return {"grams": self._sources(stages.GRAMS)}

    def _topic_fit_fit_recipe(self, _name: str) -> dict[str, Any]:
        return {
            "words": self._sources(stages.WORDS),
            "index": self.fit(stages.NGRAM_INDEX),
            **self.config.diversity.topics.for_recipe(),
        }

    def _metric_fit_fit_recipe(self, name: str) -> dict[str, Any]:
        return self._own_fit_recipe(stages.METRIC_FIT, name)

    def _signal_fit_fit_recipe(self, name: str) -> dict[str, Any]:
        return self._own_fit_recipe(stages.SIGNAL_FIT, name)

    def _own_fit_recipe(self, fit: FitStage, name: str) -> dict[str, Any]:
        identity = self.own_identity(own_of_fit(self.config, fit, name))
        del identity["is_fitted"]
        if identity["needs"] == "embedding":
            return {"embeddings": self._sources(stages.EMBEDDINGS), **identity}
        sources = self.config.corpus.sources
        return {"texts": {source: self._text(source) for source in sources}, **identity}

    def _quality_calibration_fit_recipe(self, _name: str) -> dict[str, Any]:
        quality, direction = self.config.quality, self.config.quality.direction
        return {
            "perplexity": self._sources(stages.PERPLEXITY),
            "calibration": self.fit(stages.CALIBRATION),
            "direction": direction if isinstance(direction, str) else direction.for_recipe(),
            "signals": {s: self._signal_recipes(s) for s in self.config.corpus.sources},
            "language": self.config.corpus.language,
            "by": quality.calibrate_by,
        }

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
