"""Asset checks: what must hold (blocking), and what a data engineer would want to be told.

Each check looks at what stands in the lake, not at what the asset says it did. They run with the
asset, so a blocking one holds back everything downstream of that partition alone.
"""

import dagster as dg

from samplemix_dagster.engine.outcome import Outcome
from samplemix_dagster.engine.project import Project
from samplemix_dagster.stages.stepping.step import Step
from samplemix_dagster.wiring.checks.check import WITH_ITS_ASSET, Check
from samplemix_dagster.wiring.checks.fits import AGREES, GAP, GIANT, LAW, NOISE
from samplemix_dagster.wiring.checks.shards import INSIDE, REJECTED, ROWS, one_row
from samplemix_dagster.wiring.checks.versions import BUDGET, EXPORT, IS_CURRENT, LEDGER, PROMISE


def checks_of(step: Step) -> list[Check]:
    """Return the checks of a step's asset."""
    if step.asset == "raw_shards":
        return [ROWS, REJECTED]
    if step.asset == "document_scores":
        return [one_row(step), INSIDE]
    if step.is_partitioned:
        return [one_row(step)]
    if step.is_published:
        return [LEDGER, BUDGET, PROMISE, IS_CURRENT]
    named = {
        "student": [AGREES],
        "clusters": [NOISE, GIANT],
        "beta_parameters": [LAW],
    }
    if step.group == "reference":
        return [GAP]
    if step.group == "export":
        return [EXPORT]
    return named.get(step.asset, [])


def specs(step: Step, key: dg.AssetKey) -> list[dg.AssetCheckSpec]:
    """Return Dagster's declarations of a step's checks."""
    return [
        dg.AssetCheckSpec(
            name=check.name, asset=key, description=in_words(check), blocking=check.is_blocking
        )
        for check in checks_of(step)
    ]


def in_words(check: Check) -> str:
    """Return what a check says in the UI: what holds, what follows, and how it is run."""
    follows = (
        "If it does not hold, what reads this asset is not started."
        if check.is_blocking
        else "If it does not hold, it warns and stops nothing."
    )
    return f"{check.description} {follows} {WITH_ITS_ASSET}"


def results(
    step: Step, key: dg.AssetKey, project: Project, outcome: Outcome
) -> list[dg.AssetCheckResult]:
    """Return what a step's checks found."""
    found = []
    for check in checks_of(step):
        verdict = check.look(project, outcome)
        severity = dg.AssetCheckSeverity.ERROR if check.is_blocking else dg.AssetCheckSeverity.WARN
        found.append(
            dg.AssetCheckResult(
                check_name=check.name,
                asset_key=key,
                passed=verdict.passed,
                severity=severity,
                description=None if verdict.passed else verdict.sentence or _not_held(check),
                metadata={**_where(outcome), **verdict.facts},
            )
        )
    return found


def _not_held(check: Check) -> str:
    return f"does not hold: {check.description}"


def broken(found: list[dg.AssetCheckResult]) -> dict[str, str]:
    """Return the blocking checks that do not hold, by name: what each says."""
    return {
        str(result.check_name): result.description or "it does not hold"
        for result in found
        if not result.passed and result.severity == dg.AssetCheckSeverity.ERROR
    }


def _where(outcome: Outcome) -> dict[str, str]:
    """Return the partition that was looked at: the UI shows only a check's latest result."""
    return {} if outcome.partition is None else {"partition": outcome.partition}
