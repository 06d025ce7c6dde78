"""A state: everything that decided a draw, by cause, out of a version's manifest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from samplemix_dagster.config.scoring.diversity import Diversity
from samplemix_dagster.engine.addresses.recipe_graph import OTHER, RecipeGraph
from samplemix_dagster.stages.exclusions.excluded import EXCLUDED
from samplemix_dagster.stages.signals import identity_in
from samplemix_dagster.storage.lake.keys import LABEL_STAGE


class NotComputableError(Exception):
    """A state needs something that is not stored; the message says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything that decides a draw, by cause. Each value comes whole from one version."""

    data: Mapping[str, Any]
    """Shards, and how they are read: the section ``corpus``, and fingerprints of the readings."""
    reference: Mapping[str, Any]
    tokenizer: Mapping[str, Any]
    encoder: Mapping[str, Any]
    refit: Sequence[Mapping[str, Any]]
    """Fits that may be used, the preferred first: a fit is used if its recipe is the state's."""
    settings: Mapping[str, Any]
    """Sections ``quality`` and ``diversity``, without what belongs to the above; what the classes
    of their signals were, by stage; and digests of files from outside, by what reads them."""
    labels: Mapping[str, Mapping[str, Any]]
    """Labels that shares are held by: the section of each, and the digest of its file."""
    exclusions: Mapping[str, str]
    """Which documents may not be drawn: the version of the fit that says so, by its folder."""
    dials: Mapping[str, Any]
    """The mixture's settings but budget, seed and what was consumed before."""
    budget: int
    after: Mapping[str, Any] | None
    """The version that the mixture goes on from, and how much of it was consumed."""
    seed: int
    code: Mapping[str, Mapping[str, int]]
    """Version of each stage and of each fit."""
    recorded: RecipeGraph | None = field(default=None, compare=False, repr=False)
    """What the version's manifest recorded; None for a state that no version has."""

    def moved(self, **inputs: Any) -> "State":
        """Return a state with other inputs: nobody recorded it."""
        return replace(self, **inputs, recorded=None)


def state_of(manifest: Mapping[str, Any]) -> State:
    """Return the state that a version was made in."""
    project, config = manifest["project"], dict(manifest["config"])
    quality, diversity = dict(project["quality"]), effective_diversity(project["diversity"])
    recipes = [entry["recipe"] for part in manifest["features"].values() for entry in part.values()]
    fit_recipes = manifest["fit_recipes"]
    first = next(iter(manifest["features"].values()))
    signals = {
        stage: identity
        for stage, entry in first.items()
        if (identity := identity_in(entry["recipe"])) is not None
    }
    named = str(quality.pop("reference"))
    return State(
        data={
            "shards": manifest["shards"],
            "corpus": project["corpus"],
            "texts": {
                source: part["documents"]["recipe"]["text"]
                for source, part in manifest["features"].items()
            },
        },
        reference={
            **_references(manifest, named),
            "digest": manifest["models"]["reference"]["digest"],
            "dtype": manifest["machine"]["dtype"],
            "overlap_tokens": quality.pop("overlap_tokens"),
            "context_tokens": quality.pop("context_tokens"),
        },
        tokenizer={"digest": manifest["models"]["tokenizer"]["digest"]},
        encoder={
            "digest": manifest["models"]["encoder"]["digest"],
            "dtype": manifest["machine"]["dtype"],
            "max_tokens": project["encoder"]["max_tokens"],
        },
        refit=({"versions": manifest["fits"], "recipes": fit_recipes},),
        settings={
            "quality": quality,
            "diversity": diversity,
            "signals": signals,
            "files": _files(first, fit_recipes),
        },
        labels={
            label: {**section, "digest": first[f"{LABEL_STAGE}{label}"]["recipe"]["file"]}
            for label, section in project.get("labels", {}).items()
            if label in manifest["recipe"].get("labels", {})
        },
        exclusions={
            folder: version
            for folder, version in manifest["fits"].items()
            if folder == EXCLUDED.folder()
        },
        budget=config.pop("budget_tokens"),
        after=config.pop("after", None),
        seed=config.pop("seed"),
        dials=config,
        code={
            "stages": {recipe["stage"]: recipe["stage_version"] for recipe in recipes},
            "fits": {
                recipe["stage"]: recipe["stage_version"]
                for recipe in (*fit_recipes.values(), manifest["recipe"])
            },
        },
        recorded=RecipeGraph.of_manifest(manifest),
    )


def _files(
    features: Mapping[str, Any], fit_recipes: Mapping[str, Mapping[str, Any]]
) -> dict[str, list[str]]:
    """Return the digests of scores of other tools, by stage, and of examples, by fit.

    Files of labels belong to the labels.
    """
    scores = {
        stage: [str(entry["recipe"]["file"])]
        for stage, entry in features.items()
        if "file" in entry["recipe"] and not stage.startswith(LABEL_STAGE)
    }
    examples = {
        folder: [str(digest) for digest in recipe["like"]]
        for folder, recipe in fit_recipes.items()
        if "like" in recipe
    }
    return scores | examples


def _references(manifest: Mapping[str, Any], main: str) -> Mapping[str, object]:
    """Return names, where they matter: of other references, and of those that count n-grams."""
    others = {
        kind.removeprefix(OTHER): model["digest"]
        for kind, model in manifest["models"].items()
        if kind.startswith(OTHER)
    }
    settings = manifest["project"]["references"]
    ngrams = [name for name in (main, *others) if settings[name].get("ngram") is not None]
    return {"name": main, "others": others, "ngrams": ngrams} if others or ngrams else {}


def effective_diversity(section: Mapping[str, Any]) -> dict[str, object]:
    """Return the section ``diversity`` with every weight and without ``refit``."""
    gates = section.get("gates", {})
    external = {name: 0.0 if name in gates else 1.0 for name in section.get("external", {})}
    own = dict.fromkeys((*Diversity.BUILT_IN, *section["metrics"]), 1.0)
    named = {**own, **external, **section["weights"]}
    return {**{key: value for key, value in section.items() if key != "refit"}, "weights": named}
