"""What a person named of a project (stages, mixtures, fits), held against what there is."""

from collections.abc import Collection

from samplemix_dagster.engine.project import Project
from samplemix_dagster.errors import ConfigError
from samplemix_dagster.stages.stepping.step import GROUPS
from samplemix_dagster.stages.stepping.steps import build_steps


def check_stages(names: Collection[str], said: str) -> None:
    """Refuse a stage that does not exist; ``said`` is how it was named, for the sentence.

    Raises:
        ConfigError: There is no such stage.
    """
    for name in names:
        if name not in GROUPS:
            raise ConfigError(f"{said}: no stage {name!r}; there are {', '.join(GROUPS)}.")


def check_mixtures(project: Project, names: Collection[str], said: str) -> None:
    """Refuse a mixture that does not exist; ``said`` is how it was named, for the sentence.

    Raises:
        ConfigError: There is no such mixture.
    """
    for name in names:
        if name not in project.config.mixtures:
            there = ", ".join(project.config.mixtures)
            raise ConfigError(f"{said}: no mixture {name!r}; there are {there}.")


def fits_to_remake(project: Project, words: Collection[str], said: str) -> set[str]:
    """Return the assets of frozen fits that were named; ``all`` names every one.

    Raises:
        ConfigError: There is no such fit.
    """
    steps = build_steps(project)
    known = {step.asset for step in steps if step.fit is not None and step.fit.is_frozen}
    known -= {
        f"reference_model/{name}"
        for name, reference in project.config.references.items()
        if reference.model is not None
    }
    if "all" in words:
        return known
    for word in words:
        if word not in known:
            raise ConfigError(f"{said}: no fit {word!r}; there are {', '.join(sorted(known))}.")
    return set(words)
