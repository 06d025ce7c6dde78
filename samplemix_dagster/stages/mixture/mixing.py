"""Draw a mixture: weights, the exact scale, a ledger of every document, a manifest.

Three passes over the scores, memory flat in the corpus: count activations, collect those at the
boundary, write the ledger. All numbers are ``core.mixture``'s; the manifest says where they came
from. A version that stands in the lake is not drawn again.
"""

import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from samplemix_dagster import tables
from samplemix_dagster.core.mixture.report import merge_tallies, report_of, tally_of
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.outcome import Outcome, Progress, no_progress
from samplemix_dagster.engine.provenance import provenance
from samplemix_dagster.errors import CheckFailedError
from samplemix_dagster.stages.exclusions.excluded import LeftOutCount
from samplemix_dagster.stages.mixture.consumed import AfterTally, and_consumed
from samplemix_dagster.stages.mixture.drawing.axes import SHARE_GROUP, and_group, group_column
from samplemix_dagster.stages.mixture.drawing.draw import Draw, Part
from samplemix_dagster.stages.mixture.drawing.drawn import MIXTURE, REALISED_SCALE
from samplemix_dagster.stages.mixture.drawing.drawn_ledger import DrawnLedger
from samplemix_dagster.stages.mixture.mixture_report import ledger_columns, mixture_report
from samplemix_dagster.stages.mixture.promised import promised
from samplemix_dagster.stages.mixture.published.mixture_manifest import SCHEMA, sealed
from samplemix_dagster.stages.mixture.published.publishing import refused
from samplemix_dagster.stages.mixture.published.traced import traced
from samplemix_dagster.stages.mixture.published.version_files import mend_manifest
from samplemix_dagster.storage.corpus.manifest import ledger_file
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.lake import Lake

if TYPE_CHECKING:
    from samplemix_dagster.engine.project import Project


def run_mixture(
    project: "Project", name: str, why: str, run_id: str | None, progress: Progress = no_progress
) -> Outcome:
    """Draw a mixture unless its version is there; ``published/publishing.py`` makes it current.

    A version that was refused when it was to be published is drawn again.

    Raises:
        InfeasibleMixtureError: No such mixture exists.
        CheckFailedError: The ledger does not add up.
    """
    began = time.perf_counter()
    recipes = Recipes(project)
    version = MIXTURE.wanted(recipes, name)
    folder = keys.version_folder(name, version)
    if refused(project, name, version) is not None:
        project.lake.remove_folder(folder)
    if not project.lake.exists(keys.manifest_in(folder)):
        mend_manifest(project.lake, folder)
    if not project.lake.exists(keys.manifest_in(folder)):
        with project.lake.fill_folder(folder, keys.MANIFEST) as aside:
            manifest = _draw(Draw(recipes, name), Lake(aside), version, run_id, progress)
            for file in (keys.MANIFEST_COPY, keys.MANIFEST):
                Lake(aside).replace_json(file, manifest)
    manifest = project.lake.read_json(keys.manifest_in(folder))
    return Outcome(
        asset=f"mixture/{name}",
        partition=None,
        why=why,
        data_version=version,
        seconds=time.perf_counter() - began,
        facts=manifest["report"],
    )


def _draw(
    draw: Draw, lake: Lake, version: str, run_id: str | None, progress: Progress
) -> dict[str, Any]:
    drawn = draw_ledger(draw, lake, version, progress)
    return sealed(
        {
            "schema": SCHEMA,
            "name": draw.name,
            "version": version,
            **traced(draw.recipes, draw.name),
            **drawn.to_json(),
            **provenance(draw.recipes.project.root, run_id),
        }
    )


def draw_ledger(
    draw: Draw, lake: Lake, version: str, progress: Progress = no_progress
) -> DrawnLedger:
    """Draw every shard into ``ledger/`` of a lake.

    Raises:
        InfeasibleMixtureError: No such mixture exists.
        CheckFailedError: The corpus has no shard, or the budget is exceeded.
    """
    recipes, settings = draw.recipes, draw.settings
    recipe = {"stage": "mixture", "version": version}
    scales = draw.scales()
    tally, digests = None, {}
    count, after = LeftOutCount(), AfterTally(draw.consumed)
    total = len(recipes.project.all_shards())
    for number, part in enumerate(draw.parts()):
        drawn, expected = draw.drawn(part, scales)
        own = ~part.is_duplicate
        key = ledger_file(part.shard.source, part.shard.digest)
        ledger = _ledger(part, drawn, expected, is_by_source=settings.is_by_source)
        lake.write_table(key, ledger, tables.LEDGER, recipe)
        digests[key] = lake.digest(key)
        groups = None if settings.is_by_source else part.groups
        columns = ledger_columns(part.shard.source, part.table, own, drawn, expected, groups)
        found = tally_of(columns)
        tally = found if tally is None else merge_tallies([tally, found])
        count.add(part.left_out.reasons, part.tokens)
        after.add(part.table, part.words_N2, expected * part.tokens)
        progress(f"mixture/{draw.name}", "", number + 1, total)
    if tally is None:
        raise CheckFailedError("the mixture has no shard")
    means = promised(draw, scales.shares) if draw.consumed is None else after.promised()
    report = mixture_report(recipes, settings, report_of(tally), means) | after.facts(draw.after)
    if draw.excluded is not None:
        report["excluded"] = count.by_reason
    _check(report, settings.budget_tokens)
    return DrawnLedger(
        scales={name: scale.value for name, scale in sorted(scales.settled.items())},
        design_scales=(
            None
            if draw.version == REALISED_SCALE or draw.consumed is not None
            else {name: scales.design[name] for name in sorted(scales.settled)}
        ),
        digests=digests,
        report=report,
    )


def _ledger(part: Part, drawn: Any, expected: Any, *, is_by_source: bool) -> pa.Table:
    detail, consumed = part.left_out.detail, part.consumed
    contract = tables.LEDGER if detail is None else tables.LEDGER_OF_EXCLUSIONS
    beside = {} if detail is None else {"detail": detail}
    if consumed is not None:
        contract = and_consumed(contract)
        beside["consumed"] = pa.array(np.where(part.is_duplicate, 0, consumed))
    if not is_by_source:
        contract = and_group(contract)
        beside[SHARE_GROUP] = group_column(part.groups)
    reasons = part.left_out.reasons.fill_null(tables.NOT_DRAWN).to_numpy(zero_copy_only=False)
    return contract.make(
        doc_id=part.table.column("doc_id"),
        row=part.table.column("row"),
        num_tokens=part.tokens,
        quality=part.table.column("quality"),
        diversity=part.table.column("diversity"),
        weight=part.own_weights,
        expected_copies=expected,
        copies=drawn,
        reason=pa.array(reasons, pa.string(), mask=np.asarray(drawn > 0)),
        **beside,
    )


def _check(report: dict[str, Any], budget: int) -> None:
    """Refuse a draw that breaks its promise.

    Raises:
        CheckFailedError: The budget is exceeded.
    """
    if report["realised_tokens"] > budget:
        raise CheckFailedError(
            f"the mixture drew {report['realised_tokens']:,} tokens of a budget of {budget:,}"
        )
