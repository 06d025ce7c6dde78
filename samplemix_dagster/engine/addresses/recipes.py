"""What each result depends on: recipes, fingerprints, addresses, and the versions of fits.

An address is a hash of everything that a result is made from, so a result is current when a file
stands at its address, and stale when none does: no clock, no order, no bookkeeping. A recipe that
needs a fit which does not exist yet is unknown; asking for it raises :class:`NotFittedError`.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from samplemix_dagster.config.scoring.diversity import Refit
from samplemix_dagster.core.hashing import fingerprint, id_words, uniforms
from samplemix_dagster.engine.addresses.model_recipes import ModelRecipes
from samplemix_dagster.engine.fitting.fit_files import check_fit, lost_fit
from samplemix_dagster.engine.foundation.corpus import CORPUS
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.stages import IDS_FILE, FitStage, NotFittedError, Settings, Stage
from samplemix_dagster.errors import InputError
from samplemix_dagster.storage.formats.names import COMPRESSIONS
from samplemix_dagster.storage.lake import keys

if TYPE_CHECKING:
    from samplemix_dagster.engine.project import Project

_TEXT_PER_COMPRESSED_BYTE = 3
_DRIFT_SAMPLE = 2048


class Recipes(ModelRecipes):
    """The recipes of one project at one moment. Make a new one after a fit has changed."""

    def __init__(self, project: "Project") -> None:
        super().__init__(project)
        self._fits: dict[str, str] = {}
        self._recipes: dict[tuple[str, str], dict[str, object]] = {}
        self._fingerprints: dict[tuple[str, str], str] = {}
        self._texts: dict[str, str] = {}

    # -- per-shard tables -------------------------------------------------------------------------

    def feature_key(self, stage: Stage, shard: PlacedShard) -> str:
        """Return where the stage's table for a shard lies in the lake."""
        return f"{self.feature_folder(stage, shard.source)}/{shard.digest}.parquet"

    def feature_folder(self, stage: Stage, source: str) -> str:
        """Return the folder of a stage's tables for one source's recipe."""
        return stage.lake_folder(self.fingerprint(stage, source))

    def rejections_key(self, shard: PlacedShard) -> str:
        """Return where the rejected rows of a shard lie: beside its documents."""
        return f"{self.feature_folder(DOCUMENTS, shard.source)}/{shard.digest}.rejected.parquet"

    def recipe(self, stage: Stage, source: str) -> dict[str, object]:
        """Return everything that the stage's result for a shard of this source depends on.

        Raises:
            NotFittedError: It depends on a fit that has not been made.
        """
        found = self._recipes.get((stage.name, source))
        if found is None:
            settings = stage.settings(self, source)
            found = {"stage": stage.name, "stage_version": stage.version, **settings}
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

    def text(self, source: str) -> str:
        """Return the hash of how a source's text is read."""
        if source not in self._texts:
            readers = self.project.readers(source)
            self._texts[source] = fingerprint(self.project.rules(source).text_recipe(readers))
        return self._texts[source]

    def language(self, source: str) -> Settings:
        """Return what the language of a document depends on, for stages that group by it."""
        return {"text": self.text(source), "language": self.config.corpus.language}

    def by_source(self, stage: Stage) -> dict[str, str]:
        """Return the fingerprint of a stage's recipe for each source."""
        return {source: self.fingerprint(stage, source) for source in self.config.corpus.sources}

    @cached_property
    def text_bytes(self) -> int:
        """About how many bytes of text there are: packed files are taken for so many times more."""
        size = 0
        for shard in self.project.readable_shards():
            is_packed = shard.shard.path.endswith((*COMPRESSIONS, ".parquet"))
            size += shard.shard.size * (_TEXT_PER_COMPRESSED_BYTE if is_packed else 1)
        return size

    # -- fits -------------------------------------------------------------------------------------

    def fit_key(self, fit: FitStage, name: str = "") -> str:
        """Return the folder of the fit's current version, whose files are what was written.

        Raises:
            NotFittedError: There is none.
            DamagedError: A file is not what was written. Looked at once for each lake opened.
        """
        folder = f"{fit.versions_folder(name)}/{self.fit(fit, name)}"
        check_fit(self.lake, folder)
        return folder

    def fit(self, fit: FitStage, name: str = "") -> str:
        """Return the version of a fit that is to be used, which exists.

        Raises:
            NotFittedError: There is none.
        """
        folder = fit.folder(name)
        if folder not in self._fits:
            version = self.wanted_fit(fit, name)
            if not self.lake.exists(keys.fit_note(keys.fit_folder(folder, version))):
                raise NotFittedError(fit, name)
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
                keys.fit_note(keys.fit_folder(fit.folder(name), frozen["version"]))
            )
        )
        if is_candidate and self._is_kept(fit, name, frozen):
            return str(frozen["version"])
        inputs = self._inputs(fit, name)
        if is_candidate and frozen.get("inputs") == fingerprint(inputs):
            return str(frozen["version"])
        basis: dict[str, object] = {"recipe": recipe, "inputs": inputs}
        if former := self.former_fit(fit):
            basis["follows"] = former
        return fingerprint(basis)

    def _is_kept(self, fit: FitStage, name: str, frozen: Mapping[str, Any]) -> bool:
        """Whether a fit of the right recipe stays, although the corpus may have changed."""
        if fit.asset_of(name) in self.project.refits:
            return False
        policy = self.config.diversity.refit
        if not isinstance(policy, Refit) or not fit.by_drift:
            return True
        drift = self.drift(frozen)
        return drift is None or drift <= policy.drift

    def former_fit(self, fit: FitStage) -> str | None:
        """Return the version whose ids and names a new fit carries over; None: there is none.

        Clusters and topics are matched to those before, unless fits are a pure function of the
        corpus, or the two stand in different spaces (another encoder).
        """
        if fit.least_likeness is None or self.config.diversity.refit == "always":
            return None
        current = self.current_fit(fit)
        if not current or current.get("space") != fit.space(self):
            return None
        version = str(current["version"])
        folder = keys.fit_folder(fit.folder(), version)
        return version if self.lake.exists(f"{folder}/{IDS_FILE}") else None

    def inputs_fingerprint(self, fit: FitStage, name: str = "") -> str:
        """Return the hash of what of the corpus a fit reads."""
        return fingerprint(self._inputs(fit, name))

    def _inputs(self, fit: FitStage, name: str) -> list[Any]:
        try:
            return self.fit_inputs(fit, name)
        except InputError:
            # A source cannot be listed, so nothing new can be fitted to the whole corpus.
            raise NotFittedError(fit, name) from None

    def current_fit(self, fit: FitStage, name: str = "") -> dict[str, Any]:
        """Return the manifest of the fit in use: version, recipe, the sample it was fitted on."""
        stated = self.lake.read_json(keys.current_fit(fit.folder(name)))
        if stated is None and fit.is_frozen:
            stated = lost_fit(self, fit, name)
        return dict(stated or {})

    def fit_recipe(self, fit: FitStage, name: str = "") -> dict[str, object]:
        """Return what a fit depends on beside the corpus."""
        settings = fit.settings(self, name)
        version = fit.version_by(self, name, settings)
        return {"stage": fit.name, "stage_version": version, **settings}

    def fit_inputs(self, fit: FitStage, name: str = "") -> list[Any]:
        """Return what of the corpus a fit reads: shards by source, digest and text recipe."""
        shards = fit.shards(self, name)
        return sorted([shard.source, shard.digest, self.text(shard.source)] for shard in shards)

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
        size = min(_DRIFT_SAMPLE, CORPUS.sample_size(self.config))
        self.current_sample = [str(found, "ascii") for found in ids[np.argsort(luck)[:size]]]

    @cached_property
    def current_sample(self) -> list[str]:
        """Return the first ids of the corpus's hash sample, when the corpus asset is current."""
        try:
            key = f"{self.fit_key(CORPUS)}/sample.parquet"
        except NotFittedError:
            return []
        ids = self.lake.read_table(key, ["doc_id"]).column("doc_id")
        return list(ids.slice(0, _DRIFT_SAMPLE).to_pylist())
