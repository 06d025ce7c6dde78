"""The job ``what_if``: a version of a mixture under other settings, beside the current one.

It is drawn from what is scored. ``samplemix.yaml`` and the current version stay as they are;
``samplemix mixture list``, ``verify`` and ``diff`` work on what it draws.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from pydantic import Field

from samplemix_dagster.core.mixture.shares import SHARES
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.outcome import Outcome
from samplemix_dagster.engine.project import Project
from samplemix_dagster.errors import CheckFailedError, ConfigError, SampleMixError
from samplemix_dagster.runs.work.choosing import check_mixtures
from samplemix_dagster.runs.work.what_if import draw_what_if
from samplemix_dagster.stages.beta import load_plane
from samplemix_dagster.stages.mixture.published.publishing import broken_verdicts, current_or_none
from samplemix_dagster.trace.difference.difference import difference
from samplemix_dagster.wiring.assets.mixture import headline_words, mixture_plane
from samplemix_dagster.wiring.assets.shown.pictures import bars_svg, plane_svg, share_rows
from samplemix_dagster.wiring.names import PLAIN, Names
from samplemix_dagster.wiring.run_tags import LASTS_TAG, TOLD_TAG, process_tags
from samplemix_dagster.wiring.running.resources import ProjectResource

WHAT_IF = "what_if"
_NUMBERS = (
    "budget_tokens",
    "realised_tokens",
    "num_documents_drawn",
    "num_draws",
    "mean_quality",
    "mean_diversity",
    "near_duplicate_share_after",
    "effective_sample_share",
)


class WhatIf(dg.Config):
    """Other settings of one mixture; what is left out is as ``samplemix.yaml`` has it."""

    mixture: str = Field(
        default="",
        description="The mixture to begin with, by name; the first of samplemix.yaml when empty.",
    )
    quality: float | None = Field(
        default=None, description="The dial of quality: 0 is no lean, 1 the usual one."
    )
    diversity: float | None = Field(
        default=None, description="The dial of diversity: 0 is no lean, 1 the usual one."
    )
    budget_tokens: int | None = Field(default=None, description="Tokens to draw, as a number.")
    max_copies: int | None = Field(
        default=None, description="How often one document may be drawn at most."
    )
    shares: str | None = Field(
        default=None,
        description="Shares of the sources, or of what shares_by says: free, proportional, kept or "
        "uniform.",
    )
    shares_by: list[str] = Field(
        default=[],
        description="What shares are shares of: source, language, cluster, topic, a label, or "
        "several of them; as samplemix.yaml has it when empty.",
    )
    source_shares: dict[str, float] = Field(
        default={},
        description="Shares of the sources, or of the groups that shares_by makes, by name, which "
        "sum to 1, instead of shares.",
    )
    seed: int | None = Field(default=None, description="Another seed draws by other luck.")


def changes_of(choice: WhatIf, before: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings of a mixture that change, in the words of the configuration.

    Raises:
        ConfigError: A field is for other mixtures, or two of them contradict each other.
    """
    dials = {"quality": choice.quality, "diversity": choice.diversity}
    turned = {key: value for key, value in dials.items() if value is not None}
    if turned and "balance" not in before:
        raise ConfigError(
            f"{' and '.join(turned)}: the strategy {before['strategy']} has no dials; leave them "
            "out, or name a mixture of the strategy beta."
        )
    if choice.shares is not None and choice.shares not in SHARES:
        raise ConfigError(f"shares: one of {', '.join(SHARES)}, not {choice.shares!r}.")
    if choice.shares is not None and choice.source_shares:
        raise ConfigError("shares and source_shares say the same thing twice: name one of them.")
    named = {
        "budget_tokens": choice.budget_tokens,
        "max_copies": choice.max_copies,
        "shares": choice.source_shares or choice.shares,
        "shares_by": choice.shares_by or None,
        "seed": choice.seed,
    }
    changed = {key: value for key, value in named.items() if value is not None}
    return changed | ({"balance": {**before.get("balance", {}), **turned}} if turned else {})


def build_what_if(names: Names = PLAIN) -> dg.JobDefinition:
    """Return the job."""
    description = (
        "Draws one mixture under other settings (dials, budget, shares), to look at before "
        "samplemix.yaml is changed. The version that is current stays, and nothing is exported."
    )

    op_name = names.of("drawing")

    @dg.op(name=op_name, description=description, out=dg.Out(dg.Nothing))
    @names.hand_project
    def draw(context: dg.OpExecutionContext, config: WhatIf, project: ProjectResource) -> None:
        context.instance.add_run_tags(context.run_id, process_tags())
        try:
            run_what_if(context, project.open(), config, names)
        except SampleMixError as error:
            # Whoever tries settings looks at what comes of it: the failure hook is for the rest.
            context.instance.add_run_tags(context.run_id, {LASTS_TAG: "true", TOLD_TAG: "true"})
            raise dg.Failure(str(error), allow_retries=False) from None

    def as_run_config(chosen: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"ops": {op_name: {"config": chosen}}}

    @dg.job(
        name=names.of(WHAT_IF),
        description=description,
        executor_def=dg.in_process_executor,
        config=dg.ConfigMapping(config_fn=as_run_config, config_schema=WhatIf.to_config_schema()),
    )
    def job() -> None:
        draw()

    return job


def run_what_if(
    context: dg.OpExecutionContext, project: Project, choice: WhatIf, names: Names = PLAIN
) -> None:
    """Draw the version, and log what it is and how it differs from the current one.

    Raises:
        SampleMixError: There is no such mixture, or none can be drawn so.
    """
    project.refresh()
    name = choice.mixture or next(iter(project.config.mixtures))
    check_mixtures(project, [name], "mixture")
    changes = changes_of(choice, project.config.mixtures[name].model_dump())
    outcome = draw_what_if(project, name, changes, context.run_id)
    if broken := broken_verdicts(project, name, outcome.data_version):
        raise CheckFailedError("; ".join(f"{check}: {words}" for check, words in broken.items()))
    lines = _against_current(project, name, outcome.data_version)
    for line in lines:
        context.log.info(line)
    context.log_event(_materialization(project, name, outcome, changes, lines, names))


def _against_current(project: Project, name: str, version: str) -> list[str]:
    current = current_or_none(project, name)
    if current is None:
        return [f"mixture {name!r} has no current version to compare with."]
    if current == version:
        return [f"these settings give the current version of mixture {name!r}."]
    return list(difference(project, (name, current), (name, version))["words"])


def _materialization(
    project: Project,
    name: str,
    outcome: Outcome,
    changes: Mapping[str, Any],
    lines: list[str],
    names: Names,
) -> dg.AssetMaterialization:
    version = outcome.data_version
    commands = [
        f"samplemix mixture {verb} {rest}"
        for verb, rest in (
            ("show", f"{name}@{version[:12]}"),
            ("verify", f"{name}@{version[:12]}"),
            ("diff", f"{name} {name}@{version[:12]}"),
        )
    ]
    return dg.AssetMaterialization(
        asset_key=names.key(f"{WHAT_IF}/{name}"),
        description=(
            f"version {version[:12]} of mixture {name!r}, which is "
            f"{'' if current_or_none(project, name) == version else 'not '}current"
        ),
        metadata={
            **headline_words(outcome.facts),
            "against_current_version": "; ".join(lines),
            "plane": plane_svg(
                load_plane(Recipes(project)).tokens_BB, mixture_plane(project, name, version), None
            ),
            "how_to_read_the_plane": "right: quality; up: diversity; dark: half the tokens",
            "shares_by_source": bars_svg(
                share_rows(outcome.facts["sources"]), "shares before and after"
            ),
            "settings": dg.MetadataValue.json(dict(changes)),
            "version": version,
            "against_current": dg.MetadataValue.md("\n".join(f"- {line}" for line in lines)),
            **{key: outcome.facts[key] for key in _NUMBERS},
            "commands": dg.MetadataValue.md("\n".join(f"    {line}" for line in commands)),
        },
        tags={"dagster/data_version": version},
    )
