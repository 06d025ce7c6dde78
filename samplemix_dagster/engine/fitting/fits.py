"""Fits over the whole corpus: gather summaries, call ``core``, write a version.

A version is a folder that appears whole: arrays as safetensors, tables as Parquet, numbers as
JSON, and ``fit.json`` saying what it was made from. ``current.json`` beside the versions says
which one is in use. What is made is said by each fit's own file.
"""

import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.fitting.fit_files import sealed_fit
from samplemix_dagster.engine.fitting.writer import FitWriter
from samplemix_dagster.engine.outcome import Outcome, Progress, no_progress
from samplemix_dagster.engine.stages import Fit, FitStage
from samplemix_dagster.storage.lake.whole_files import digest_file

if TYPE_CHECKING:
    from samplemix_dagster.engine.project import Project

_BASIS = 2048


def run_fit(
    project: "Project",
    fit: Fit,
    name: str,
    why: str,
    progress: Progress = no_progress,
) -> Outcome:
    """Make a fit's wanted version unless it is there; say which one is in use.

    Args:
        project: The project.
        fit: The kind of fit.
        name: Which one, where there are several; else empty.
        why: Why it runs, for people.
        progress: Told how far it is, where a fit says so.
    """
    began = time.perf_counter()
    recipes = Recipes(project)
    lake = project.lake
    version = recipes.wanted_fit(fit, name)
    folder = fit.versions_folder(name)
    recipe = recipes.fit_recipe(fit, name)
    if not lake.exists(f"{folder}/{version}/fit.json"):
        with lake.fill_folder(f"{folder}/{version}", "fit.json") as aside:
            writer = FitWriter(aside)
            stated = {
                "version": version,
                "recipe": recipe,
                "facts": _finite(fit.make(recipes, writer, name, progress)),
                "files": _file_digests(aside),
            }
            if fit.is_frozen and fit.by_drift:
                stated["basis"] = {
                    "inputs": recipes.inputs_fingerprint(fit, name),
                    "sample": recipes.current_sample[:_BASIS] or None,
                }
            writer.lake.replace_json("fit.json", sealed_fit(stated))
    stated = lake.read_json(f"{folder}/{version}/fit.json")
    # Recipes are read again: a fit that was just made may be the corpus, which holds the sample.
    current = {
        "version": version,
        "recipe": recipe,
        "recipe_fingerprint": fingerprint(recipe),
        "inputs": _fitted_inputs(recipes, fit, name, version),
        "space": fit.space(recipes),
        "sample": _basis(Recipes(project), recipes.current_fit(fit, name), version),
    }
    lake.keep_json(f"{folder}/current.json", current)
    facts = dict(stated["facts"])
    if fit.is_frozen:
        facts["drift"] = Recipes(project).drift(current)
    return Outcome(
        asset=fit.asset_of(name),
        partition=None,
        why=why,
        data_version=version,
        seconds=time.perf_counter() - began,
        facts=facts,
    )


def _finite(value: Any) -> Any:
    """Return facts with None for a number that is none: nothing could be measured."""
    if isinstance(value, dict):
        return {name: _finite(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _file_digests(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): digest_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _fitted_inputs(recipes: Recipes, fit: FitStage, name: str, version: str) -> str | None:
    """The hash of what this version was fitted on: kept when the version is the one before."""
    before = recipes.current_fit(fit, name)
    if before.get("version") == version and before.get("inputs"):
        return str(before["inputs"])
    return recipes.inputs_fingerprint(fit, name)


def _basis(recipes: Recipes, before: dict[str, Any], version: str) -> list[str] | None:
    """The sample that this version was fitted on: kept when the version is the one before."""
    if before.get("version") == version and before.get("sample"):
        return list(before["sample"])
    return recipes.current_sample[:_BASIS] or None
