"""A version of a mixture under other settings: drawn from what is scored, and never made current.

The configuration stays as it is, and so does the current version. The version stands in the lake
like any other, so that it can be listed, verified and compared.
"""

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from samplemix_dagster.config.mixtures import AXES, MIXTURES, Mixture
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.outcome import Outcome
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.stages import NotFittedError
from samplemix_dagster.errors import ConfigError, InfeasibleMixtureError, InputError
from samplemix_dagster.runs.plan.foresight import refusal_of
from samplemix_dagster.stages.mixture.mixing import run_mixture


def draw_what_if(
    project: Project, name: str, changes: Mapping[str, Any], run_id: str | None
) -> Outcome:
    """Draw a version of a mixture with some settings changed.

    Args:
        project: The project; its configuration is not touched.
        name: The mixture.
        changes: Settings of the mixture as the configuration has them, those that change.
        run_id: The run that asks for it.

    Raises:
        ConfigError: The settings do not go together.
        InfeasibleMixtureError: There is no such mixture; the message says which is nearest.
        InputError: The corpus has not been scored yet.
    """
    other = _with(project, name, changes)
    try:
        if refusal := refusal_of(Recipes(other), name):
            raise InfeasibleMixtureError(f"mixture {name!r} cannot be drawn so: {refusal}.")
        return run_mixture(other, name, "what if", run_id)
    except NotFittedError:
        raise InputError(
            "the corpus has not been scored yet: start the job mix, or `samplemix run`, first."
        ) from None


def _with(project: Project, name: str, changes: Mapping[str, Any]) -> Project:
    """Return the project with some settings of one mixture changed."""
    before = project.config.mixtures[name].model_dump(exclude={"budget"})  # said twice
    try:
        settings = MIXTURES[before["strategy"]].model_validate({**before, **changes})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"{where or 'settings'}: {first['msg']}") from None
    _check_sources(project, settings)
    mixtures = {**project.config.mixtures, name: settings}
    return project.with_config(project.config.model_copy(update={"mixtures": mixtures}))


def _check_sources(project: Project, settings: Mixture) -> None:
    every = (*AXES, *project.config.labels)
    for word in settings.axes:
        if word not in every:
            raise ConfigError(f"shares_by: there is no {word!r}; there are {', '.join(every)}.")
    if not isinstance(settings.shares, dict) or not settings.is_by_source:
        return
    for source in settings.shares:
        if source not in project.config.corpus.sources:
            there = ", ".join(project.config.corpus.sources)
            raise ConfigError(f"source_shares: no source {source!r}; there are {there}.")
