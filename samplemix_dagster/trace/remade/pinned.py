"""A project as a mixture version saw it, or would have: its shards, settings, models and fits.

A *state* is made of named inputs, in the order of the pipeline, each out of a version's manifest.
The addresses of a version's own state are read from its manifest, whatever today's code would make
of its settings. A state between two versions was recorded nowhere: its addresses are worked out,
with keys that came later at the value that stands for their absence. What of a state is absent is
made by ``state_maker.py``.
"""

import contextlib
import tempfile
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from samplemix_dagster.config.project import Config
from samplemix_dagster.config.scoring.scores import Quality
from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.placed_shard import PlacedShard
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.stages import FitStage, Stage
from samplemix_dagster.stages.scores import feature_stages
from samplemix_dagster.storage.corpus.manifest import Shard
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.overlay import OverlayLake
from samplemix_dagster.trace.remade.states import NotComputableError, State

REFERENCE = "main"
"""The name under which a state has its reference; recipes know it by its digest only."""


class PinnedProject(Project):
    """A project whose configuration and shards are those of a state."""

    def __init__(self, project: Project, state: State, name: str, lake: OverlayLake) -> None:
        """Take the folder of a project, the inputs of a state and the name of the mixture."""
        try:
            config = _config(state, name)
        except ValidationError as error:
            words = error.errors()[0]["msg"].removeprefix("Value error, ")
            raise NotComputableError(f"its settings do not go together: {words}") from None
        super().__init__(config, project.root, project.config_path)
        self.lake = lake
        self.files = project.files
        self.pinned_fits = state.exclusions
        self.state = state
        self.mixture = name

    def shards(self, partition: str) -> list[PlacedShard]:
        """Return the state's shards of a partition, or of a whole source."""
        wanted = {partition, partition.partition(":")[0]}
        return [s for s in self.all_shards() if s.partition in wanted or s.source == partition]

    def all_shards(self) -> list[PlacedShard]:
        """Return the state's shards, by (source, digest)."""
        return self._placed

    def readable_shards(self) -> list[PlacedShard]:
        """Return the state's shards: a state knows them without looking at files."""
        return self._placed

    def signal_identity(self, stage: str, target: str) -> dict[str, str | bool]:
        """Return what a signal's class was in the state."""
        del target
        return dict(self.state.settings["signals"][stage])

    def stated_files(self, owner: str) -> list[str] | None:
        """Return the digests of files from outside in the state, where it says them."""
        if owner.startswith(keys.LABEL_STAGE):
            return [str(self.state.labels[owner.removeprefix(keys.LABEL_STAGE)]["digest"])]
        found = self.state.settings["files"].get(owner)
        return None if found is None else list(found)

    @cached_property
    def _placed(self) -> list[PlacedShard]:
        placed = [self.placed(entry) for entry in self.state.data["shards"]]
        return sorted(placed, key=lambda one: (one.source, one.digest))

    def readers(self, source: str) -> dict[str, int]:
        """Return the mended readers that the state's files of a source have today."""
        shards = [one.shard for one in self._placed if one.source == source]
        return self._looks.readers(shards, self.rules(source))

    def placed(self, entry: Mapping[str, Any]) -> PlacedShard:
        """Return a shard of a manifest, with the rules by which the state reads it."""
        shard = Shard(
            path=entry["path"],
            digest=entry["digest"],
            size=entry["size_bytes"],
            mtime_ns=0,
            previous=entry["previous"],
            values=tuple(sorted((entry.get("values") or {}).items())),
        )
        rules = self.rules(entry["source"])
        return PlacedShard(partition=entry["partition"], shard=shard, rules=rules)


def _config(state: State, name: str) -> Config:
    """Return a configuration of a state; where models lie does not matter to an address."""
    reference = state.reference
    # The name of a lone reference is no part of an address; those of several are known to signals.
    quality = {
        **state.settings["quality"],
        "reference": reference.get("name", REFERENCE),
        "overlap_tokens": reference["overlap_tokens"],
        "context_tokens": reference["context_tokens"],
    }
    named = Quality.recorded(quality).every_reference
    return Config.recorded(
        {
            "corpus": state.data["corpus"],
            "references": {one: {"model": "pinned"} for one in named},
            "tokenizer": {"file": "pinned"},
            "encoder": {"model": "pinned", "max_tokens": state.encoder["max_tokens"]},
            "quality": quality,
            "diversity": state.settings["diversity"],
            "labels": {
                label: {key: value for key, value in section.items() if key != "digest"}
                for label, section in state.labels.items()
            },
            "mixtures": {
                name: {
                    **state.dials,
                    "budget_tokens": state.budget,
                    "after": state.after,
                    "seed": state.seed,
                },
            },
        }
    )


class PinnedRecipes(Recipes):
    """The addresses of a state."""

    project: PinnedProject

    def __init__(self, project: PinnedProject) -> None:
        """Take a project that is pinned to a state."""
        super().__init__(project)
        self.state = project.state

    def reference_digest(self, name: str) -> str:
        """Return the digest of a reference of the state."""
        reference = self.state.reference
        return str(reference.get("others", {}).get(name, reference["digest"]))

    def counts_ngrams(self, name: str) -> bool:
        """Whether a reference of the state counts n-grams."""
        return name in self.state.reference.get("ngrams", ())

    @property
    def tokenizer_digest(self) -> str:
        """Return the digest of the state's tokenizer."""
        return str(self.state.tokenizer["digest"])

    @property
    def encoder_digest(self) -> str:
        """Return the digest of the state's encoder."""
        return str(self.state.encoder["digest"])

    @property
    def dtype(self) -> str:
        """Return the number format in which the state's reference ran."""
        return str(self.state.reference["dtype"])

    @property
    def encoder_dtype(self) -> str:
        """Return the number format in which the state's encoder ran."""
        return str(self.state.encoder["dtype"])

    def recipe(self, stage: Stage, source: str) -> dict[str, object]:
        """Return a stage's recipe: the recorded one, else today's with the state's code."""
        found = self._recorded(f"feature/{source}/{stage.name}")
        return self.todays_recipe(stage, source) if found is None else found

    def fit_recipe(self, fit: FitStage, name: str = "") -> dict[str, object]:
        """Return a fit's recipe: the recorded one, else today's with the state's code."""
        found = self._recorded(fit.node(name))
        return self.todays_fit_recipe(fit, name) if found is None else found

    def _recorded(self, node: str) -> dict[str, object] | None:
        recorded = self.state.recorded
        recipe = recorded.recipes.get(node) if recorded is not None else None
        return None if recipe is None else dict(recipe)

    def feature_stages(self) -> tuple[Stage, ...]:
        """Return the per-shard stages of the state.

        Those that its version recorded, or those that its settings ask of this code.
        """
        todays = feature_stages(self.config, self.project.mixture)
        recorded = self.state.recorded
        if recorded is None:
            return todays
        named = {stage for entries in recorded.features.values() for stage in entries}
        return tuple(stage for stage in todays if stage.name in named)

    def has_fit(self, fit: FitStage, name: str) -> bool:
        """Whether the state has a fit: it was recorded, or the settings ask for it."""
        recorded = self.state.recorded
        return recorded is None or fit.folder(name) in recorded.fit_recipes

    def todays_recipe(self, stage: Stage, source: str) -> dict[str, object]:
        """Return the recipe that this code would give the state's stage."""
        known = (stage.name, source) in self._recipes
        found = super().recipe(stage, source)
        if not known:
            found["stage_version"] = self.state.code["stages"].get(stage.name, stage.version)
        return found

    def todays_fit_recipe(self, fit: FitStage, name: str = "") -> dict[str, object]:
        """Return the recipe that this code would give the state's fit."""
        found = super().fit_recipe(fit, name)
        return {**found, "stage_version": self.state.code["fits"].get(fit.name, fit.version)}

    def text(self, source: str) -> str:
        """Return the fingerprint of how the state read a source, whatever readers there are now."""
        return str(self.state.data["texts"][source])

    def fit_key(self, fit: FitStage, name: str = "") -> str:
        """Return the folder of the state's fit, which may not exist.

        Raises:
            DamagedError: It exists, and a file of it is not what was written.
        """
        folder = keys.fit_folder(fit.folder(name), self.fit(fit, name))
        return super().fit_key(fit, name) if self.lake.exists(keys.fit_note(folder)) else folder

    def fit(self, fit: FitStage, name: str = "") -> str:
        """Return the version of a fit that the state has, whether or not it exists."""
        return self.wanted_fit(fit, name)

    def wanted_fit(self, fit: FitStage, name: str = "") -> str:
        """Return a known fit of the state's very recipe, else that of the state's inputs."""
        folder = fit.folder(name)
        if folder in self.state.exclusions:
            return self.state.exclusions[folder]
        if folder not in self._fits:
            recipe = self.fit_recipe(fit, name)
            if self.state.recorded is not None and folder in self.state.recorded.fits:
                self._fits[folder] = self.state.recorded.fits[folder]
                return self._fits[folder]
            version = fingerprint({"recipe": recipe, "inputs": self.fit_inputs(fit, name)})
            if fit.is_frozen:
                version = self._known(folder, recipe) or version
            self._fits[folder] = version
        return self._fits[folder]

    def former_fit(self, fit: FitStage) -> str | None:
        """Return None: a fit that is made for a state alone carries over nobody's names."""
        del fit
        return None

    def _known(self, folder: str, recipe: Mapping[str, Any]) -> str | None:
        """Return the first known fit that was made by this recipe."""
        wanted = fingerprint(recipe)
        for known in self.state.refit:
            made_by = known["recipes"].get(folder)
            if made_by is not None and fingerprint(made_by) == wanted:
                return str(known["versions"][folder])
        return None


@contextlib.contextmanager
def scratch_over(project: Project) -> Iterator[OverlayLake]:
    """Yield the project's lake with a scratch folder over it, which is removed at the end."""
    with tempfile.TemporaryDirectory(prefix="samplemix-scratch-") as folder:
        yield OverlayLake(project.lake, Path(folder))


def pinned(
    project: Project, state: State, lake: OverlayLake, name: str = "pinned"
) -> PinnedRecipes:
    """Return the addresses of a state of a project."""
    return PinnedRecipes(PinnedProject(project, state, name, lake))
