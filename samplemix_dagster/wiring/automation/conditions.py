"""The conditions on which assets run by themselves."""

from collections.abc import Iterable
from typing import Any

import dagster as dg


def when_changed(
    upstream: Iterable[dg.AssetKey], observed: Iterable[dg.AssetKey] = ()
) -> dg.AutomationCondition[dg.AssetKey]:
    """Run when the *data version* of a dependency changed, not when it was made again.

    It waits until everything upstream is done, however far: an asset that starts as soon as one of
    its dependencies has changed would read half of a change, and run again for the other half.
    What failed upstream, by an error or a blocking check, holds back what reads that partition.

    Args:
        upstream: Every asset upstream, near and far.
        observed: Dependencies that are looked at, not made. They mirror the plan for the eyes of
            people, and start nothing.
    """
    condition = dg.AutomationCondition
    looked_at = dg.AssetSelection.assets(*sorted(observed))
    news: dg.AutomationCondition[Any] = (
        condition.newly_missing()
        | condition.any_deps_match(condition.data_version_changed()).ignore(looked_at)
        | condition.code_version_changed()
    )
    changed = news.since_last_handled()
    unfinished = (
        changed
        | condition.in_progress()
        | condition.will_be_requested()
        | condition.execution_failed()
    ).with_label("is to run, runs or failed")
    is_lacking = condition.any_deps_missing().ignore(looked_at)
    ready = changed & ~is_lacking & ~condition.in_progress()
    for key in sorted(upstream):
        ready &= ~condition.asset_matches(key, unfinished)
    return ready.with_label("a data version upstream changed, and all upstream is done")


def with_automation(assets: Iterable[dg.AssetsDefinition]) -> list[dg.AssetsDefinition]:
    """Return the assets, each with the condition on which it runs by itself."""
    given = list(assets)
    deps = {
        spec.key: {dep.asset_key for dep in spec.deps} for asset in given for spec in asset.specs
    }
    observed = {dep for found in deps.values() for dep in found} - deps.keys()

    def conditioned(spec: dg.AssetSpec) -> dg.AssetSpec:
        upstream, pending = set[dg.AssetKey](), [spec.key]
        while pending:
            found = deps[pending.pop()] - upstream - observed
            upstream |= found
            pending += found
        return spec.replace_attributes(automation_condition=when_changed(upstream, observed))

    return list(dg.map_asset_specs(conditioned, given))
