"""Checks of a mixture's versions and of their exports."""

from collections.abc import Callable

from samplemix_dagster.engine.outcome import Outcome
from samplemix_dagster.engine.project import Project
from samplemix_dagster.errors import LakeError, UnreachableLakeError
from samplemix_dagster.stages.mixture.published.publishing import (
    Verdict,
    budget_verdict,
    ledger_verdict,
)
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.wiring.checks.check import Check

IS_CURRENT_CHECK = "is_current"
MAX_PROMISE_GAP = 0.02


def _published(look: Callable[[Project, str, str], Verdict]) -> Callable[..., Verdict]:
    """Return a check of what must hold before a version is published."""

    def of(project: Project, outcome: Outcome) -> Verdict:
        try:
            return look(project, outcome.asset.partition("/")[2], outcome.data_version)
        except UnreachableLakeError:
            raise  # it says nothing of the version
        except LakeError as error:
            return Verdict(passed=False, facts={}, sentence=str(error))

    return of


def _promise(project: Project, outcome: Outcome) -> Verdict:
    del project
    gaps = {
        name: abs(outcome.facts[name] - outcome.facts["promised"][name])
        for name in ("mean_quality", "mean_diversity")
    }
    words = [
        f"{name.replace('_', ' ')} is {outcome.facts[name]:.3f} where "
        f"{outcome.facts['promised'][name]:.3f} was promised"
        for name, gap in gaps.items()
        if gap > MAX_PROMISE_GAP
    ]
    draws = f"; {outcome.facts['num_draws']:,} draws, and few draws have much luck"
    return Verdict(
        passed=not words,
        facts={**gaps, "bound": MAX_PROMISE_GAP},
        sentence=", ".join(words) + draws if words else "",
    )


def _just_made(project: Project, outcome: Outcome) -> Verdict:
    """A version that was just made is current; later looks say when it no longer is."""
    del project, outcome
    return Verdict(passed=True, facts={})


def _export(project: Project, outcome: Outcome) -> Verdict:
    name, version = outcome.facts["name"], outcome.facts["version"]
    manifest = project.lake.read_json(keys.manifest(name, version))
    facts = {
        "exported_tokens": outcome.facts["num_tokens"],
        "realised_tokens": manifest["report"]["realised_tokens"],
        "exported_draws": outcome.facts["num_draws"],
        "ledger_draws": manifest["report"]["num_draws"],
    }
    passed = (
        facts["exported_tokens"] == facts["realised_tokens"]
        and facts["exported_draws"] == facts["ledger_draws"]
    )
    return Verdict(passed=passed, facts=facts)


LEDGER = Check(
    name="ledger_adds_up",
    description=(
        "Each document of the corpus is drawn, not drawn or excluded, and the tokens of the draws "
        "are the tokens that are reported. The ledger is read again for it."
    ),
    is_blocking=True,
    look=_published(ledger_verdict),
)
BUDGET = Check(
    name="budget_is_met",
    description="The drawn tokens fill the budget to within one document, and never exceed it.",
    is_blocking=True,
    look=_published(budget_verdict),
)
PROMISE = Check(
    name="means_are_as_promised",
    description=(
        f"Mean quality and diversity of the draws lie within {MAX_PROMISE_GAP:g} of what was "
        "promised before the draw."
    ),
    is_blocking=False,
    look=_promise,
)
IS_CURRENT = Check(
    name=IS_CURRENT_CHECK,
    description=(
        "What it was made from is as it was: settings, shards, models. Looked at whenever inputs "
        "are observed."
    ),
    is_blocking=False,
    look=_just_made,
)
EXPORT = Check(
    name="export_matches_ledger",
    description="The files, read back, hold as many draws and tokens as the ledger.",
    is_blocking=True,
    look=_export,
)
