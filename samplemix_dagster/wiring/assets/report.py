"""The report: dbt's models as assets of the same graph, each fed by the assets that it reads.

What the models are is in ``dbt/``; how they are built and published, in
``storage/report/``.
Staging models are views that say nothing to a person, and are left out of the graph.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg

from samplemix_dagster.engine.project import Project
from samplemix_dagster.stages.stepping.step import Step
from samplemix_dagster.stages.stepping.steps import build_steps
from samplemix_dagster.storage.report.building import NodeResult, ReportError, build_report
from samplemix_dagster.storage.report.dbt_run import dbt_digest, dbt_manifest, report_models
from samplemix_dagster.storage.report.published import (
    first_report_rows,
    num_report_rows,
    report_path,
    report_reason,
    report_version,
)
from samplemix_dagster.wiring.assets.asset import (
    OWNER,
    begin,
)
from samplemix_dagster.wiring.assets.shown.told import table_value
from samplemix_dagster.wiring.checks.check import WITH_ITS_ASSET
from samplemix_dagster.wiring.names import PLAIN, Names
from samplemix_dagster.wiring.running.resources import ProjectResource

GROUP = "report"
_ROWS_SHOWN = 20
_MIXTURES = "mixture/*"
_UPSTREAM: dict[str, tuple[str, ...]] = {
    "documents": ("raw_shards", "document_scores"),
    "rejections": ("raw_shards",),
    "duplicates": ("corpus",),
    "scores": ("document_scores",),
    "clusters": ("clusters",),
    "topics": ("topics",),
    "ledger": (_MIXTURES,),
    "mixtures": (_MIXTURES,),
}
"""The assets behind each of the lake's views."""


def report_keys(project: Project, names: Names = PLAIN) -> list[dg.AssetKey]:
    """Return the keys of the report's assets; they are the same in every project."""
    del project
    return [names.key(name) for name in report_models()]


def report_is_current(project: Project) -> bool:
    """Whether the report was built from the lake as it is now."""
    return not report_reason(project.lake)


def build_report_assets(project: Project, names: Names = PLAIN) -> dg.AssetsDefinition:
    """Return the assets of the report.

    dbt parses its models only when one of its files has changed since the last time.
    """
    from dagster_dbt import dbt_assets

    manifest = dbt_manifest(project.lake, project.home)

    @dbt_assets(
        manifest=manifest,
        select="fqn:samplemix_report.reports.*",
        dagster_dbt_translator=_translator(build_steps(project), names),
        name=names.of(GROUP),
    )
    @names.hand_project
    def report(
        context: dg.AssetExecutionContext, project: ProjectResource
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        yield from _build(context, begin(context, project), names)

    return report


def _translator(steps: Sequence[Step], names: Names) -> Any:
    """Return how dbt's models become asset specs. The class is made here: its base loads slowly."""
    from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings

    version, above = dbt_digest(), _above(steps)
    mixtures = [step.name for step in steps if step.is_published]

    class ReportTranslator(DagsterDbtTranslator):
        """One asset a model, named as the model, fed by the assets behind the views it reads."""

        def get_asset_spec(
            self, manifest: Mapping[str, Any], unique_id: str, project: Any = None
        ) -> dg.AssetSpec:
            spec = super().get_asset_spec(manifest, unique_id, project)
            if not unique_id.startswith("model."):
                return spec
            return spec.replace_attributes(
                key=names.key(spec.key.path[-1]),
                deps=[
                    names.key(name)
                    for name in nearest(_upstream(manifest, unique_id, mixtures), above)
                ],
                description=manifest["nodes"][unique_id]["description"],
                group_name=names.group(GROUP),
                code_version=version,
                owners=[OWNER],
                tags={**spec.tags, "stage": GROUP},
            )

        def get_asset_check_spec(
            self,
            asset_spec: dg.AssetSpec,
            manifest: Mapping[str, Any],
            unique_id: str,
            project: Any = None,
        ) -> dg.AssetCheckSpec | None:
            spec = super().get_asset_check_spec(asset_spec, manifest, unique_id, project)
            if spec is None:
                return None
            # Without the staging views that it reads too: they are no assets.
            return dg.AssetCheckSpec(
                name=spec.name,
                asset=spec.asset_key,
                description=f"{manifest['nodes'][unique_id]['description']} {WITH_ITS_ASSET}",
                metadata=spec.metadata,
                blocking=spec.blocking,
            )

    # Two views may come from one asset.
    return ReportTranslator(DagsterDbtTranslatorSettings(enable_duplicate_source_asset_keys=True))


def _upstream(manifest: Mapping[str, Any], unique_id: str, mixtures: Sequence[str]) -> list[str]:
    """Return the assets behind the views that a model reads, itself or through other models."""
    pending, seen, found = [unique_id], {unique_id}, set[str]()
    while pending:
        node = pending.pop()
        if node.startswith("source."):
            found.update(_UPSTREAM[manifest["sources"][node]["name"]])
            continue
        parents = manifest["nodes"][node]["depends_on"]["nodes"]
        pending += [name for name in parents if name not in seen]
        seen.update(parents)
    if _MIXTURES in found:
        found.remove(_MIXTURES)
        found.update(f"mixture/{name}" for name in mixtures)
    return sorted(found)


def _above(steps: Sequence[Step]) -> dict[str, set[str]]:
    """Return everything upstream of each asset that is not partitioned."""
    found: dict[str, set[str]] = {}
    for step in steps:  # each stands after those that it depends on
        found[step.asset] = set(step.deps).union(*(found[name] for name in step.deps))
    return {step.asset: found[step.asset] for step in steps if not step.is_partitioned}


def nearest(assets: Sequence[str], above: Mapping[str, set[str]]) -> list[str]:
    """Return the assets but those upstream of another one that is not partitioned.

    An edge from what stands above such a one says nothing more: the lower one's version follows
    from it. A partitioned one's does not, when a whole partition has gone. With fewer edges the
    graph can be read.
    """
    passed = set[str]().union(*(above.get(name, set()) for name in assets))
    return [name for name in assets if name not in passed]


def _build(
    context: dg.AssetExecutionContext, project: Project, names: Names
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    checks = context.selected_asset_check_keys
    wanted = {key.path[-1] for key in context.selected_asset_keys}
    why = report_reason(project.lake) or "forced"
    version = report_version(project.lake)
    context.log.info("why: %s", why)
    try:
        results = build_report(
            project.lake, project.home, wanted | {key.asset_key.path[-1] for key in checks}
        )
    except ReportError as error:
        yield from _check_results(checks, error.results)
        raise
    yield from _check_results(checks, results)
    seconds = {result.name: result.seconds for result in results if result.kind == "model"}
    for model in sorted(wanted):
        yield dg.MaterializeResult(
            asset_key=names.key(model),
            data_version=dg.DataVersion(version),
            metadata={
                "why": why,
                "first_rows": table_value(first_report_rows(project.lake, model, _ROWS_SHOWN)),
                "path": dg.MetadataValue.path(str(report_path(project.lake, model))),
                "dagster/table_name": model,
                "dagster/row_count": num_report_rows(project.lake, model),
                "seconds": round(seconds[model], 3),
            },
        )


def _check_results(checks: Any, results: list[NodeResult]) -> Iterator[dg.AssetCheckResult]:
    """Yield the data tests that were run, each as the asset check of its name."""
    by_name = {result.name: result for result in results if result.kind == "test"}
    for key in sorted(checks, key=lambda key: (key.asset_key, key.name)):
        result = by_name.get(key.name)
        if result is not None and result.status != "skipped":
            yield dg.AssetCheckResult(
                asset_key=key.asset_key,
                check_name=key.name,
                passed=result.passed,
                description=result.message,
                metadata={"rows_that_break_it": result.num_failures},
            )
