"""The data version of what stands in the lake, as the step that made it stated it."""

from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.shards.working.maps import data_version
from samplemix_dagster.stages.mixture.published.version_files import export_key
from samplemix_dagster.stages.stepping.step import Step
from samplemix_dagster.storage.lake import keys


def stated_version(recipes: Recipes, step: Step, partition: str) -> str | None:
    """Return the data version of a step's current result; None where nothing stands there.

    Args:
        recipes: The project's recipes.
        step: The step.
        partition: The partition; empty for a step that is not partitioned.
    """
    if step.is_partitioned:
        return data_version(recipes, step.stages, partition)
    if step.fit is not None:
        folder = step.fit.versions_folder(step.name)
        return _noted(recipes, f"{folder}/current.json", "version")
    version = _noted(recipes, keys.current_version(step.name), "version")
    if version is None:
        return None
    folder = export_key(recipes.project, step.name, version, step.export)
    return _noted(recipes, f"{folder}/manifest.json", "digest")


def _noted(recipes: Recipes, key: str, word: str) -> str | None:
    value = recipes.lake.read_json(key)
    return None if value is None else str(value[word])
