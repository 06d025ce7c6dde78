"""Make what of a state is not stored, in a scratch folder over the lake: the lake is only read.

Tables and fits are made by the same code that a run uses. Stages that read text or run a model are
never run: a state that needs them is *not computable*, and the error says what is missing.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from samplemix_dagster.engine.addresses.metrics import metric_identity
from samplemix_dagster.engine.fitting.writer import FitWriter
from samplemix_dagster.engine.outcome import no_progress
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.stages import Fit, FitStage, Maker, Stage, Task
from samplemix_dagster.errors import SampleMixError
from samplemix_dagster.stages.mixture.drawing.drawn import MIXTURE
from samplemix_dagster.stages.signals import OwnFit, OwnStage
from samplemix_dagster.stages.stepping.steps import build_steps
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.trace.remade.pinned import PinnedRecipes
from samplemix_dagster.trace.remade.states import NotComputableError


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
        mine = {stage.name for stage in self.recipes.feature_stages()}
        for step in build_steps(self.recipes.project):
            if isinstance(step.fit, Fit) and not step.is_given(self.recipes.config):
                self._fit(step.fit, step.name)
            for stage in step.stages:
                if stage.name in mine and not stage.is_base:
                    self._tables(stage)
        self.require_same_draw()

    def require_base(self) -> None:
        """Refuse a state of which text or a model would have to be read.

        Raises:
            NotComputableError: What a text or a model gave for a shard is not stored.
        """
        for stage in self.recipes.feature_stages():
            if stage.is_base:
                self._require(stage)

    def require_same_draw(self) -> None:
        """Refuse to draw by this code what another version of it drew.

        Raises:
            NotComputableError: The state has another version of the mixture's code.
        """
        drawn_by = self.recipes.state.code["fits"].get(MIXTURE.name)
        if drawn_by not in MIXTURE.older:
            self._same_code("fits", MIXTURE)

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
        make = self._maker(stage)
        contract = stage.contract(self.recipes.config)
        for shard in missing:
            key = self.recipes.feature_key(stage, shard)
            recipe = self.recipes.recipe(stage, shard.source)
            self.lake.write_table(key, make(shard), contract, recipe)

    def _maker(self, stage: Stage) -> Maker:
        """Return what makes a stage's tables from others.

        Raises:
            NotComputableError: It reads text, or the code of its class has changed.
        """
        if isinstance(stage, OwnStage):
            self._require_same_class(stage)
        if stage.reads_text(self.recipes.project):
            raise NotComputableError(f"{stage.asset} is not stored, and it reads the text")
        made = stage.work(self.recipes, "")
        if isinstance(made, Task):
            raise NotComputableError(f"{stage.asset} is not stored, and it reads the text")
        return made

    def _require_same_class(self, stage: OwnStage) -> None:
        """Refuse to make by a signal's class what its code of before made.

        Raises:
            NotComputableError: The code has changed since.
        """
        before = self.recipes.project.signal_identity(stage.name, stage.own.target)
        today = metric_identity(stage.own.target, self.recipes.project.root)
        if {**today, "is_fitted": before["is_fitted"]} != before:
            raise NotComputableError(f"the code of {stage.own.name!r} has changed since")

    def _require_no_text(self, fit: FitStage, name: str) -> None:
        """Refuse to fit a signal's class to texts.

        Raises:
            NotComputableError: It reads them, or its code has changed since.
        """
        if isinstance(fit, OwnFit):
            self._require_same_class(fit.own(self.recipes.config, name))
        if fit.reads_text(self.recipes.project, name):
            asset = fit.asset_of(name)
            raise NotComputableError(f"{asset} is not stored, and it reads the text")

    def _fit(self, fit: Fit, name: str) -> None:
        recipes = self.recipes
        if not recipes.has_fit(fit, name):
            return
        folder = recipes.fit_key(fit, name)
        if self.lake.exists(keys.fit_note(folder)):
            return
        if recipes.fit(fit, name) in self._versions_known(fit, name):
            raise NotComputableError(f"{folder} is gone from the lake")
        self._same_code("fits", fit)
        self._require_no_text(fit, name)
        recipe = recipes.fit_recipe(fit, name)
        self._same_recipe(fit.asset, recipe, lambda: recipes.todays_fit_recipe(fit, name))
        with self.lake.fill_folder(folder, "fit.json") as aside:
            writer = FitWriter(aside)
            facts = fit.make(recipes, writer, name, no_progress)
            stated = {"version": recipes.fit(fit, name), "recipe": recipe, "facts": facts}
            writer.lake.replace_json("fit.json", stated)

    def _versions_known(self, fit: FitStage, name: str) -> set[str]:
        """Versions of a frozen fit that a manifest names: they are read, never made again."""
        if not fit.is_frozen:
            return set()
        return {known["versions"].get(fit.folder(name), "") for known in self.recipes.state.refit}

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
