"""What of a project a mixture version depends on, for its manifest."""

from typing import Any

from samplemix_dagster.config.project import Config
from samplemix_dagster.engine.addresses.recipe_graph import OTHER, RecipeGraph
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.foundation.reference import REFERENCE
from samplemix_dagster.engine.stages import FitStage
from samplemix_dagster.stages import flow
from samplemix_dagster.stages.beta import BETA
from samplemix_dagster.stages.mixture.drawing.drawn import MIXTURE
from samplemix_dagster.stages.outside.labels import labels_by
from samplemix_dagster.stages.scores import feature_stages

_LEFT_OUT: dict[str, Any] = {
    **dict.fromkeys(
        (
            "lake",
            "labels",
            "exclude",
            "export",
            "schedule",
            "sensor",
            "hooks",
            "s3",
            "query",
            "evaluation",
        ),
        True,
    ),
    "corpus": {"warn", "warn_rejected"},
}
"""Sections and keys of the configuration that cannot change a result; ``exclude``, of which the
recipe of the exclusions has all that decides them; ``labels``, of which some can."""


def traced(recipes: Recipes, name: str) -> dict[str, object]:
    """Return what of a project a mixture version depends on, for its manifest.

    Args:
        recipes: The project as it is now; every fit and score has been made.
        name: The mixture.
    """
    fits = _every_fit(recipes)
    config = recipes.config
    recipe = recipes.fit_recipe(MIXTURE, name)
    found = {
        "config": recipe["mixture"],
        "project": config.model_dump(mode="json", exclude=_LEFT_OUT | {"compute": True})
        | {"compute": config.compute.model_dump(mode="json", include={"device", "dtype"})}
        | _labels(config),
        "recipe": recipe,
        "fits": {
            **{fit.folder(label): recipes.fit(fit, label) for fit, label in fits},
            **{kind: model["digest"] for kind, model in _models(recipes).items()},
        },
        "fit_recipes": {fit.folder(label): recipes.fit_recipe(fit, label) for fit, label in fits},
        "features": {source: _features(recipes, source, name) for source in config.corpus.sources},
        "models": _models(recipes),
        "machine": {"device": recipes.device, "dtype": recipes.dtype},
        "shards": [
            {
                "source": shard.source,
                "digest": shard.digest,
                "path": shard.shard.path,
                "partition": shard.partition,
                "size_bytes": shard.shard.size,
                "previous": shard.shard.previous,
                **({"values": dict(shard.shard.values)} if shard.shard.values else {}),
            }
            for shard in recipes.project.all_shards()
        ],
    }
    graph = RecipeGraph.of_manifest(found)
    needs = {node: list(graph.found_needs(node)) for node in graph.recipes}
    needs[MIXTURE.node()] += [fit.node(label) for fit, label in fits if fit.named_by_content]
    return {**found, "needs": needs}


def _labels(config: Config) -> dict[str, object]:
    """Return the labels that mixtures hold shares by, as the configuration has them."""
    every = [label for name in config.mixtures for label in labels_by(config, name)]
    found = {one.label: one.joined.model_dump(mode="json") for one in every}
    return {"labels": found} if found else {}


def _features(recipes: Recipes, source: str, name: str) -> dict[str, object]:
    return {
        stage.name: {
            "asset": stage.asset,
            "folder": recipes.feature_folder(stage, source),
            "fingerprint": recipes.fingerprint(stage, source),
            "recipe": recipes.recipe(stage, source),
        }
        for stage in feature_stages(recipes.config, name)
    }


def _every_fit(recipes: Recipes) -> list[tuple[FitStage, str]]:
    return [
        (fit, name)
        for line in (*flow.FLOW, BETA)
        for fit, name in line.members(recipes.project)
        if isinstance(fit, FitStage) and fit.is_used(recipes.config, name)
    ]


def _models(recipes: Recipes) -> dict[str, dict[str, object]]:
    config = recipes.config
    name = config.quality.reference
    counting = config.tokenizer
    tokenizer: dict[str, object] = {
        "found": counting.model or counting.file,
        "revision": counting.revision,
    }
    if counting.reference is not None:
        tokenizer = _found_reference(recipes, counting.reference)
    return {
        "reference": {
            "digest": recipes.reference_digest(name),
            **_found_reference(recipes, name),
        },
        "encoder": {
            "digest": recipes.encoder_digest,
            "found": config.encoder.model,
            "revision": config.encoder.revision,
        },
        "tokenizer": {"digest": recipes.tokenizer_digest, **tokenizer},
        **{
            f"{OTHER}{other}": {
                "digest": recipes.reference_digest(other),
                **_found_reference(recipes, other),
            }
            for other in config.quality.other_references
        },
    }


def _found_reference(recipes: Recipes, name: str) -> dict[str, object]:
    reference = recipes.config.references[name]
    trained = f"{recipes.fit_key(REFERENCE, name)}/model" if reference.model is None else ""
    return {"found": reference.model or trained, "revision": reference.revision}
