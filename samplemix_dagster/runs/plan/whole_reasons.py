"""Why a step over the whole corpus is to run: a fit, a mixture, an export."""

from typing import Any

from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.engine.addresses.reasons import recipe_change
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.stages import FitStage, NotFittedError
from samplemix_dagster.stages.mixture.published.publishing import refused
from samplemix_dagster.stages.mixture.published.version_files import is_exported, wanted_export
from samplemix_dagster.stages.stepping.step import Step
from samplemix_dagster.storage.lake import keys

FIRST_RUN = "first run"


class WholeReasons:
    """Compares the addresses of what is made of the whole corpus with the lake."""

    def __init__(self, recipes: Recipes) -> None:
        """Take the addresses of a project as it is."""
        self._recipes = recipes
        self._project = recipes.project

    def of(self, step: Step, stale: set[str]) -> str | None:
        """Return why a step over the whole corpus is to run; None when it is current."""
        if step.fit is None:
            return self._export_reason(step, stale)
        if step.is_given(self._project.config):
            return self._given_reason(step, step.fit)
        try:
            version = self._recipes.wanted_fit(step.fit, step.name)
        except NotFittedError as error:
            return f"after {error.asset}"
        folder = step.fit.versions_folder(step.name)
        current = self._project.lake.read_json(f"{folder}/current.json", {})
        # It is read, not only looked for: a damaged one is found here, and made again.
        is_there = self._project.lake.read_json(f"{folder}/{version}/{step.fit.marker}") is not None
        if step.is_published and (why := refused(self._project, step.name, version)):
            return f"again: {why}"
        if is_there and current.get("version") == version:
            return None
        if not current:
            return "which version is in use is no longer noted" if is_there else FIRST_RUN
        return self._changed_fit_reason(step, step.fit, current)

    def _changed_fit_reason(self, step: Step, fit: FitStage, current: dict[str, Any]) -> str:
        recipe = self._recipes.fit_recipe(fit, step.name)
        before = current.get("recipe")
        if fit.is_published:
            key = keys.manifest(step.name, current["version"])
            before = (self._project.lake.read_json(key) or {}).get("recipe")
        if before and fingerprint(before) != fingerprint(recipe):
            return recipe_change(before, recipe)
        if fit.asset_of(step.name) in self._project.refits:
            return "refit: asked for"
        drift = self._recipes.drift(current) if fit.is_frozen else None
        if drift is not None and self._refits_by_drift:
            return f"refit: {drift:.1%} of the corpus changed since it was fitted"
        return "the set of shards changed"

    @property
    def _refits_by_drift(self) -> bool:
        """Whether fits are made again when the corpus has drifted."""
        return not isinstance(self._project.config.diversity.refit, str)

    def _given_reason(self, step: Step, fit: FitStage) -> str | None:
        """Return why what stands somewhere already is to be looked at; None when it was."""
        digest = str(fit.settings(self._recipes, step.name)["model"])
        current = self._recipes.current_fit(fit, step.name)
        before = (current.get("recipe") or {}).get("model")
        if before == digest:
            return None if self._is_there(fit, step.name) else "what was noted of it is gone"
        return (
            FIRST_RUN if before is None else f"{step.group} changed: {before[:8]} -> {digest[:8]}"
        )

    def _is_there(self, fit: FitStage, name: str) -> bool:
        """Whether the version of a fit is in the lake, and noted to be in use."""
        version = self._recipes.wanted_fit(fit, name)
        folder = fit.versions_folder(name)
        files = (f"{folder}/current.json", f"{folder}/{version}/fit.json")
        return all(self._project.lake.read_json(file) is not None for file in files)

    def _export_reason(self, step: Step, stale: set[str]) -> str | None:
        mixture = f"mixture/{step.name}"
        if mixture in stale:
            return f"after {mixture}"
        current = self._project.lake.read_json(keys.current_version(step.name))
        if not current:
            return f"after {mixture}"
        version = str(current["version"])
        if is_exported(self._project, step.name, version, step.export):
            return None
        if not self._project.lake.names(keys.exports_folder(step.name)):
            return FIRST_RUN
        form = wanted_export(self._project, step.name, step.export).words
        return f"version {version[:8]} has not been exported as {form} yet"
