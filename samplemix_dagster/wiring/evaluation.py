"""evaluation: learners trained on draws of each mixture, compared on texts that are held out.

It is there where ``evaluation.texts`` names such texts. It has no condition on which it runs by
itself, and no job runs it: it costs, and changes no mixture. A person materializes it.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg

from samplemix_dagster.engine.project import Project
from samplemix_dagster.show.evaluated.judgement_facts import cost_words
from samplemix_dagster.show.evaluated.judgement_words import (
    ALL,
    Found,
    cautions,
    claims,
    figures_columns,
    figures_row,
    own_part,
    with_controls,
)
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.wiring.assets.asset import OWNER, begin, retries
from samplemix_dagster.wiring.assets.shown.pictures import Interval, intervals_svg
from samplemix_dagster.wiring.assets.shown.told import place_value, table_value
from samplemix_dagster.wiring.checks.check import WITH_ITS_ASSET
from samplemix_dagster.wiring.names import PLAIN, Names
from samplemix_dagster.wiring.running.resources import ProjectResource

GROUP = "validation"
ASSET = "evaluation"
NOT_WORSE = "judged_arms_are_not_worse"
_LOGGED_SECONDS = 30.0
_DESCRIPTION = (
    "Which mixture trains the better model: small learners are trained on draws of each mixture, "
    "of its controls and of the whole corpus in proportion, and compared in bits per byte on texts "
    "that are held out. Nothing starts it but you: it costs, and changes no mixture. What was "
    "trained before is not trained again."
)
_CHECK = (
    "No mixture is worse than proportional beyond doubt, over all groups of texts. If one is, it "
    f"warns and stops nothing. {WITH_ITS_ASSET}"
)


def evaluation_assets(
    project: Project, names: Names = PLAIN, pool: str | None = None
) -> list[dg.AssetsDefinition]:
    """Return the asset of an evaluation; none where the configuration has no texts to judge on."""
    settings = project.config.evaluation
    if not settings.texts:
        return []
    key = names.key(ASSET)

    @dg.asset(
        key=key,
        description=_DESCRIPTION,
        group_name=names.group(GROUP),
        kinds={"python"},
        owners=[OWNER],
        tags={"stage": GROUP},
        deps=[names.key(f"mixture/{name}") for name in judged_mixtures(project)],
        check_specs=[dg.AssetCheckSpec(name=NOT_WORSE, asset=key, description=_CHECK)],
        pool=pool if settings.learner == "transformer" else None,
    )
    @names.hand_project
    def run(  # with a type argument Dagster would take the result for several outputs
        context: dg.AssetExecutionContext, project: ProjectResource
    ) -> dg.MaterializeResult:  # type: ignore[type-arg]
        from samplemix_dagster.validation import evaluate

        opened = begin(context, project)
        progress = _logged(context.log.info)
        with retries(context, opened):
            prepared = evaluate.prepare(opened, [], opened.config.evaluation, progress)
            found = evaluate.run(prepared, progress)
        return dg.MaterializeResult(
            asset_key=key,
            data_version=dg.DataVersion(str(found["evaluation"])),
            metadata=told(opened, found),
            check_results=[not_worse(found, key)],
        )

    return [run]


def judged_mixtures(project: Project) -> list[str]:
    """Return the mixtures of the configuration that an evaluation judges."""
    mixtures = list(project.config.mixtures)
    arms = project.config.evaluation.arms
    named = {(arm.partition("=")[2] or arm).partition("@")[0] for arm in arms}
    return [name for name in mixtures if not arms or name in named]


def told(project: Project, found: Found) -> Mapping[str, Any]:
    """Return what the asset's page shows: what may be claimed first."""
    rows = [
        dict(zip(figures_columns(found), map(str, figures_row(found, name, ALL)), strict=True))
        for name, _ in with_controls(found)
    ]
    base = found["baseline"]
    shown = [name for name, is_control in with_controls(found) if not is_control and name != base]
    figures = {name: found["arms"][name]["groups"][ALL] for name in shown}
    return {
        "claims": "\n".join(_sentences(found)),
        "beside_proportional": intervals_svg(
            [
                Interval(name, one["difference"], one["low"], one["high"])
                for name, one in figures.items()
            ],
            "bits per byte beside proportional, with 95 % intervals",
        ),
        "how_to_read_it": "left of the line: better than proportional; right: worse",
        "arms": table_value(rows),
        "scores_own_part": "\n".join(own_part(found)) or "no mixture was judged",
        "cost": cost_words(found),
        "evaluation": str(found["evaluation"]),
        "lies_at": place_value(project, keys.evaluation_result(str(found["evaluation"]))),
        **{f"difference_{name}": one["difference"] for name, one in figures.items()},
    }


def _sentences(found: Found) -> list[str]:
    said = [sentence for _, sentence in claims(found)]
    return [*said, *cautions(found)] or ["Nothing: no mixture was judged."]


def not_worse(found: Found, key: dg.AssetKey) -> dg.AssetCheckResult:
    """Return whether no judged arm is worse than the baseline beyond doubt; it warns at most."""
    worse = [sentence for verdict, sentence in claims(found) if verdict == "worse"]
    return dg.AssetCheckResult(
        check_name=NOT_WORSE,
        asset_key=key,
        passed=not worse,
        severity=dg.AssetCheckSeverity.WARN,
        description=" ".join(worse) or None,
        metadata={"judged": len(claims(found)), "worse": len(worse)},
    )


def _logged(log: Callable[[str], None]) -> Callable[[str, str, int, int], None]:
    """Return what tells Dagster's log how far it is, every half minute."""
    last = [time.monotonic()]

    def progress(asset: str, what: str, done: int, total: int) -> None:
        del asset
        if time.monotonic() - last[0] >= _LOGGED_SECONDS:
            last[0] = time.monotonic()
            log(f"{what}: {done:,} of {total:,}")

    return progress
