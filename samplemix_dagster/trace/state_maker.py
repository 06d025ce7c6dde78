"""Make what of a state is not stored, in a scratch folder over the lake: the lake is only read.

Tables and fits are made by the same code that a run uses. Stages that read text or run a model are
never run: a state that needs them is *not computable*, and the error says what is missing.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from samplemix_dagster import tables
from samplemix_dagster.engine import stages
from samplemix_dagster.engine.addresses.own_signals import (
    OwnSignal,
    names_of_columns,
    own_of_fit,
    own_of_stage,
)
from samplemix_dagster.engine.fitting.fits import FitWriter, make_corpus
from samplemix_dagster.engine.project import PlacedShard
from samplemix_dagster.engine.stages import FitStage, Stage
from samplemix_dagster.errors import SampleMixError
from samplemix_dagster.stages import scoring
from samplemix_dagster.stages.mixture.mixture_manifest import BASE_STAGES
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.trace.pinned import NotComputableError, PinnedRecipes


class StateMaker:
    """Makes what of a state is not stored, in the scratch folder over the lake."""

    def __init__(self, recipes: PinnedRecipes) -> None:
        """Take the addresses of a state."""
        self.recipes = recipes
        self.lake = recipes.lake

    def make(self) -> None:
        """Make every table and fit that the state's draw reads.

        Raises:
            NotComputableError: Something that only text or a model could give is not stored.
        """
        self.require_base()
        self._fit(stages.CORPUS)
        for fit in (stages.CALIBRATION, stages.CLUSTER_FIT, stages.NGRAM_INDEX, stages.TOPIC_FIT):
            self._fit(fit)
        for stage, identity in self.recipes.state.settings["signals"].items():
            if identity["is_fitted"]:
                own = own_of_stage(self.recipes.config, stage)
                self._fit(own.fit, own.name)
        last = (stages.QUALITY, stages.DIVERSITY, stages.SCORES)
        for one in self.recipes.feature_stages():
            if one not in (*BASE_STAGES, *last):
                self._tables(one)
        if self.recipes.has_signals:
            self._fit(stages.QUALITY_CALIBRATION)
        self._tables(stages.QUALITY)
        self._fit(stages.DIVERSITY_CALIBRATION)
        self._tables(stages.DIVERSITY)
        self._tables(stages.SCORES)
        self._fit(stages.BETA)
        self.require_same_draw()

    def require_base(self) -> None:
        """Refuse a state of which text or a model would have to be read.

        Raises:
            NotComputableError: What a text or a model gave for a shard is not stored.
        """
        for stage in self.recipes.feature_stages():
            if stage in BASE_STAGES:
                self._require(stage)

    def require_same_draw(self) -> None:
        """Refuse to draw by this code what another version of it drew.

        Raises:
            NotComputableError: The state has another version of the mixture's code.
        """
        drawn_by = self.recipes.state.code["fits"].get(stages.MIXTURE.name)
        if drawn_by not in stages.OLDER_DRAWS:
            self._same_code("fits", stages.MIXTURE)

    def _missing(self, stage: Stage) -> list[PlacedShard]:
        folders = {}
        for source in self.recipes.config.corpus.sources:
            folders[source] = self.lake.names(self.recipes.feature_folder(stage, source))
        return [
            shard
            for shard in self.recipes.project.all_shards()
            if f"{shard.digest}.parquet" not in folders[shard.source]
        ]

    def _require(self, stage: Stage) -> None:
        missing = self._missing(stage)
        if not missing:
            return
        shown = ", ".join(shard.shard.path for shard in missing[:3])
        more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
        raise NotComputableError(f"{stage.title} of {shown}{more} is not stored for these inputs")

    def _tables(self, stage: Stage) -> None:
        missing = self._missing(stage)
        if not missing:
            return
        self._same_code("stages", stage)
        for source in self.recipes.config.corpus.sources:
            self._same_recipe(
                stage.asset,
                self.recipes.recipe(stage, source),
                partial(self.recipes.todays_recipe, stage, source),
            )
        make = scoring.lazily(self._maker(stage), self.recipes)
        contract = stage.table
        if stage is stages.SCORES:
            contract = tables.scores_table(names_of_columns(self.recipes.config))
        for shard in missing:
            key = self.recipes.feature_key(stage, shard)
            recipe = self.recipes.recipe(stage, shard.source)
            self.lake.write_table(key, make(shard), contract, recipe)

    def _maker(self, stage: Stage) -> Any:
        makers = {
            stages.QUALITY: scoring.quality_maker,
            stages.CLUSTERS: scoring.clusters_maker,
            stages.OWNERSHIP: scoring.ownership_maker,
            stages.TOPICS: scoring.topics_maker,
            stages.DIVERSITY: scoring.diversity_maker,
            stages.SCORES: scoring.scores_maker,
        }
        if stage in makers:
            return makers[stage]
        own = own_of_stage(self.recipes.config, stage.name)
        if self._own(own)["needs"] != "embedding":
            raise NotComputableError(f"{stage.asset} is not stored, and it reads the text")
        return lambda recipes: scoring.embedding_metric_maker(recipes, own)

    def _own(self, own: OwnSignal) -> Mapping[str, Any]:
        """Return what a signal's class is, if its code is still the same."""
        from samplemix_dagster.engine.addresses.metrics import metric_identity

        identity = dict(self.recipes.state.settings["signals"][own.stage.name])
        identity.pop("is_fitted")
        if metric_identity(own.target, self.recipes.project.root) != identity:
            raise NotComputableError(f"the code of {own.name!r} has changed since")
        return identity

    def _fit(self, fit: FitStage, name: str = "") -> None:
        recipes = self.recipes
        folder = recipes.fit_key(fit, name)
        if self.lake.exists(keys.fit_note(folder)):
            return
        if recipes.fit(fit, name) in self._versions_known(recipes.fit_name(fit, name)):
            raise NotComputableError(f"{folder} is gone from the lake")
        self._same_code("fits", fit)
        if (
            fit in OWN_FITS
            and self._own(own_of_fit(recipes.config, fit, name))["needs"] != "embedding"
        ):
            raise NotComputableError(f"{fit.asset}/{name} is not stored, and it reads the text")
        recipe = recipes.fit_recipe(fit, name)
        self._same_recipe(fit.asset, recipe, lambda: recipes.todays_fit_recipe(fit, name))
        with self.lake.fill_folder(folder, "fit.json") as aside:
            writer = FitWriter(aside)
            facts = _fit_maker(recipes, fit, name)(recipes, writer)
            stated = {"version": recipes.fit(fit, name), "recipe": recipe, "facts": facts}
            writer.lake.replace_json("fit.json", stated)

    def _versions_known(self, folder: str) -> set[str]:
        """Versions of frozen fits that a manifest names: they are read, never made again."""
        frozen = {fit.name for fit in stages.FROZEN}
        if folder not in frozen and not folder.startswith(tuple(fit.name for fit in OWN_FITS)):
            return set()
        return {known["versions"].get(folder, "") for known in self.recipes.state.refit}

    def _same_code(self, kind: str, stage: Stage | FitStage) -> None:
        """Refuse to make by this code what another version of it made.

        Raises:
            NotComputableError: The state has another version of the stage's code.
        """
        wanted = self.recipes.state.code[kind].get(stage.name, stage.version)
        if wanted != stage.version:
            raise NotComputableError(
                f"{stage.asset} was made by version {wanted} of its code, and this is version "
                f"{stage.version}"
            )

    def _same_recipe(
        self, asset: str, recorded: Mapping[str, Any], todays: Callable[[], Mapping[str, Any]]
    ) -> None:
        """Refuse to make by this code what it would not call by the recorded recipe.

        Raises:
            NotComputableError: This code makes another recipe of the state's settings.
        """
        try:
            is_same = todays() == recorded
        except (KeyError, ValueError, SampleMixError) as error:
            raise NotComputableError(f"{asset} was made of what is not known today: {error}") from (
                error
            )
        if not is_same:
            raise NotComputableError(
                f"{asset} was made by a recipe that this code does not make of the same settings"
            )


OWN_FITS = (stages.METRIC_FIT, stages.SIGNAL_FIT)


def _fit_maker(recipes: PinnedRecipes, fit: FitStage, name: str) -> Any:
    from samplemix_dagster.stages import beta, diversity_fits

    if fit in OWN_FITS:
        return diversity_fits.own_fit_maker(own_of_fit(recipes.config, fit, name))
    return {
        stages.CORPUS: make_corpus,
        stages.QUALITY_CALIBRATION: diversity_fits.make_quality_calibration,
        stages.CALIBRATION: diversity_fits.make_calibration,
        stages.CLUSTER_FIT: diversity_fits.make_clusters,
        stages.NGRAM_INDEX: diversity_fits.make_ngram_index,
        stages.TOPIC_FIT: diversity_fits.make_topics,
        stages.DIVERSITY_CALIBRATION: diversity_fits.make_diversity_calibration,
        stages.BETA: beta.make_beta,
    }[fit]
