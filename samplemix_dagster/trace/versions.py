"""Mixture versions by name: which there are, which is meant, what one says of itself."""

from collections.abc import Mapping
from typing import Any

from samplemix_dagster.engine.project import Project
from samplemix_dagster.errors import CheckFailedError, ConfigError, InputError, LakeError
from samplemix_dagster.stages.mixture.published.mixture_manifest import read_traced
from samplemix_dagster.stages.stepping.fit_assets import fit_asset
from samplemix_dagster.storage.ask.relations.listed import ListedVersion, mixture_versions
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.trace.difference.causes import CAUSES, MEANING
from samplemix_dagster.trace.remade.states import state_of

_SHOWN = (
    "budget_tokens",
    "realised_tokens",
    "num_documents",
    "num_documents_drawn",
    "num_draws",
    "mean_quality",
    "mean_diversity",
    "effective_sample_size_tokens",
    "effective_sample_share",
    "kl_nats",
    "near_duplicate_share_before",
    "near_duplicate_share_after",
    "corpus",
    "promised",
    "control",
    "sources",
    "languages",
    "clusters",
    "topics",
    "copies",
    "warnings",
)


def list_versions(project: Project) -> list[ListedVersion]:
    """Return every version, newest last."""
    return [
        {
            "name": entry["name"],
            "version": entry["version"],
            "made_at": entry["made_at"],
            "budget_tokens": entry["budget_tokens"],
            "realised_tokens": entry["realised_tokens"],
            "is_current": entry["is_current"],
        }
        for entry in mixture_versions(project.lake)
    ]


def resolve_version(project: Project, words: str) -> tuple[str, str]:
    """Return (name, version) of ``name``, ``name@prefix`` or a unique version prefix.

    Raises:
        InputError: Nothing has been made under that name.
        ConfigError: There is no such version, or several begin so.
    """
    name, _, prefix = words.partition("@")
    there = project.lake.names(keys.MIXTURES)
    if not prefix and name in there:
        current = project.lake.read_json(keys.current_version(name))
        if current is not None:
            return name, str(current["version"])
    if not prefix and name in project.config.mixtures:
        raise InputError(f"mixture {name!r} has not been made; `samplemix run` makes it.")
    every = list_versions(project)
    matches = sorted(
        {
            (entry["name"], entry["version"])
            for entry in every
            if (
                entry["name"] == name and entry["version"].startswith(prefix)
                if prefix
                else entry["version"].startswith(name)
            )
        }
    )
    if len(matches) == 1:
        return matches[0]
    if not matches:
        known = ", ".join(sorted({entry["name"] for entry in every})) or "none"
        raise ConfigError(f"no mixture version {words!r}; mixtures that were made: {known}.")
    shown = ", ".join(f"{found}@{version[:12]}" for found, version in matches)
    raise ConfigError(f"{words!r} is not one version but {len(matches)}: {shown}.")


def load_manifest(project: Project, name: str, version: str) -> dict[str, Any]:
    """Return a version's manifest.

    Raises:
        LakeError: There is none, or it is damaged.
    """
    key = keys.manifest(name, version)
    manifest = project.lake.read_json(key)
    if manifest is None:
        raise LakeError(f"the lake has no {key}; `samplemix run` makes the current version again.")
    return dict(manifest)


def current_manifest(project: Project, name: str) -> dict[str, Any] | None:
    """Return the manifest of a mixture's current version; None when it was never made."""
    current = project.lake.read_json(keys.current_version(name))
    return None if current is None else load_manifest(project, name, current["version"])


def summary(manifest: Mapping[str, Any]) -> dict[str, object]:
    """Return what ``mixture show --json`` says."""
    report = manifest["report"]
    return {
        "name": manifest["name"],
        "version": manifest["version"],
        "made_at": manifest["made_at"],
        **{key: report[key] for key in _SHOWN},
        **({"groups": report["groups"]} if "groups" in report else {}),
        **({"excluded": report["excluded"]} if "excluded" in report else {}),
        **({"after": report["after"]} if "after" in report else {}),
        "config": manifest["config"],
        "fits": manifest["fits"],
    }


def version_inputs(manifest: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the inputs of a version: ``asset``, ``version`` (or digest) and ``what`` it is."""
    rows = [
        {"asset": fit_asset(name), "version": manifest["fits"][name], "what": "fit"}
        for name in manifest["fit_recipes"]
    ]
    by_asset: dict[str, dict[str, list[str]]] = {}
    for source, entries in manifest["features"].items():
        for stage, entry in entries.items():
            recipes = by_asset.setdefault(entry["asset"], {})
            recipes.setdefault(f"{stage} {entry['fingerprint']}", []).append(source)
    for asset, recipes in by_asset.items():
        for recipe, sources in recipes.items():
            stage, _, fingerprint = recipe.partition(" ")
            what = f"{stage} of {', '.join(sources)}"
            rows.append({"asset": asset, "version": fingerprint, "what": what})
    return rows


def changed_inputs(project: Project, name: str, before: str, after: str) -> str:
    """Return in a few words which inputs two versions do not share; nothing is drawn."""
    try:
        earlier, later = (state_of(read_traced(project, name, one)) for one in (before, after))
    except (CheckFailedError, ConfigError, LakeError):
        return f"not known: the manifest of {before[:12]} cannot be read"
    named = [cause for cause in CAUSES if getattr(earlier, cause) != getattr(later, cause)]
    # Where an input of the fits changed, other fits are no news.
    rest = [cause for cause in named if cause != "refit"]
    words = ", ".join(MEANING[cause] for cause in rest or named)
    return f"{words}; `samplemix mixture diff {name}@{before[:12]} {name}@{after[:12]}` says more"
