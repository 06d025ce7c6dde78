"""Asset checks: what must hold (blocking), and what a data engineer would want to be told.

Each check looks at what stands in the lake, not at what the asset says it did. They run with the
asset, so a blocking one holds back everything downstream of that partition alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import dagster as dg
import numpy as np

from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.outcome import Outcome
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.shards.shard_rows import row_counts
from samplemix_dagster.errors import LakeError, UnreachableLakeError
from samplemix_dagster.stages.mixture.publishing import Verdict, budget_verdict, ledger_verdict
from samplemix_dagster.stages.quality.student import LEAST_SPEARMAN
from samplemix_dagster.stages.scores import SCORES
from samplemix_dagster.stages.steps import Step
from samplemix_dagster.storage.lake import keys

REJECTED_CHECK = "few_rows_are_rejected"
IS_CURRENT_CHECK = "is_current"
WITH_ITS_ASSET = (
    "It looks at what has just been written, so it runs with its asset and not alone: materialize "
    "the asset, which computes nothing that is current."
)
"""Why a check's own button is grey, and what to press instead."""
MAX_NOISE_SHARE = 0.35
MAX_CLUSTER_SHARE = 0.4
MAX_PROMISE_GAP = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check: its name, what it says, whether it blocks."""

    name: str
    description: str
    is_blocking: bool
    look: Callable[[Project, Outcome], Verdict]


def checks_of(step: Step) -> list[Check]:
    """Return the checks of a step's asset."""
    if step.asset == "raw_shards":
        return [_ROWS, _REJECTED]
    if step.asset == "document_scores":
        return [_one_row(step), _INSIDE]
    if step.is_partitioned:
        return [_one_row(step)]
    if step.is_published:
        return [_LEDGER, _BUDGET, _PROMISE, _IS_CURRENT]
    named = {
        "student": [_AGREES],
        "clusters": [_NOISE, _GIANT],
        "beta_parameters": [_LAW],
    }
    if step.group == "reference":
        return [_GAP]
    if step.group == "export":
        return [_EXPORT]
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


def _rows(project: Project, outcome: Outcome) -> Verdict:
    """Every row of every shard is a document or a rejection, exactly once."""
    recipes = Recipes(project)
    documents = rejected = 0
    broken = []
    for shard in project.shards(str(outcome.partition)):
        found = project.lake.read_table(recipes.feature_key(DOCUMENTS, shard), ["row"])
        others = project.lake.read_table(recipes.rejections_key(shard))
        counts = row_counts(others)
        documents += found.num_rows
        rejected += sum(counts)
        rows = np.concatenate([found.column("row").to_numpy(), others.column("row").to_numpy()])
        if not _add_up(rows, found.num_rows + sum(counts)):
            broken.append(shard.shard.path)
    facts: dict[str, int | list[str]] = {
        "rows": documents + rejected,
        "documents": documents,
        "rejected": rejected,
    }
    if broken:
        facts["shards_that_do_not_add_up"] = broken[:20]
    return Verdict(passed=not broken, facts=facts)


def _add_up(rows: Any, total: int) -> bool:
    """Whether rows are so many, each once: all of them, or some of which one stands for many."""
    distinct = np.unique(rows)
    is_inside = not len(rows) or bool(distinct[0] >= 0 and distinct[-1] < total)
    return len(distinct) == len(rows) <= total and is_inside


def _rejected(project: Project, outcome: Outcome) -> Verdict:
    bound = project.config.corpus.warn_rejected
    rejected = sum(shard.num_rejected for shard in outcome.shards)
    total = rejected + outcome.num_documents
    share = rejected / total if total else 0.0
    return Verdict(
        passed=share <= bound,
        sentence="" if share <= bound else f"{rejected:,} of {total:,} rows are rejected",
        facts={"rejected": rejected, "share": share, "bound": bound},
    )


def _one_row(step: Step) -> Check:
    def look(project: Project, outcome: Outcome) -> Verdict:
        recipes = Recipes(project)
        facts = {"documents": 0, "rows": 0, "shards": 0}
        is_same = True
        for shard in project.shards(str(outcome.partition)):
            documents, rows = (
                project.lake.read_table(recipes.feature_key(stage, shard), ["doc_id"])
                for stage in (DOCUMENTS, step.stages[0])
            )
            facts["documents"] += documents.num_rows
            facts["rows"] += rows.num_rows
            facts["shards"] += 1
            is_same &= documents.column("doc_id").equals(rows.column("doc_id"))
        return Verdict(passed=is_same, facts=dict(facts))

    return Check(
        name="one_row_per_document",
        description="Each shard's table has the documents of that shard, in their order.",
        is_blocking=True,
        look=look,
    )


def _inside(project: Project, outcome: Outcome) -> Verdict:
    recipes = Recipes(project)
    outside = 0
    for shard in project.shards(str(outcome.partition)):
        table = project.lake.read_table(
            recipes.feature_key(SCORES, shard), ["quality", "diversity"]
        )
        for column in table.columns:
            values = column.to_numpy()
            outside += int((~((values > 0) & (values < 1))).sum())
    return Verdict(passed=outside == 0, facts={"scores_outside_0_1": outside})


def _gap(project: Project, outcome: Outcome) -> Verdict:
    name = outcome.asset.partition("/")[2]
    bootstrap = project.config.references[name].bootstrap
    gap = outcome.facts.get("memorisation_gap_bits_per_byte")
    if bootstrap is None or gap is None:
        return Verdict(passed=True, facts={"measured": False})
    return Verdict(
        passed=gap <= bootstrap.max_gap or bool(outcome.facts["cross_fit"]),
        facts={"gap_bits_per_byte": gap, "bound": bootstrap.max_gap},
        sentence=(
            f"it scores its own training texts {gap:.3f} bits per byte better than others, and "
            f"max_gap is {bootstrap.max_gap:g}"
        ),
    )


def _agrees(project: Project, outcome: Outcome) -> Verdict:
    del project
    found = outcome.facts["spearman"]
    passed = found is not None and found >= LEAST_SPEARMAN
    words = (
        f"on documents that it had not seen its ranks agree with the reference's to {found}, and "
        f"{LEAST_SPEARMAN} is the least; a larger quality.student.sample may cure that"
    )
    facts = {"spearman": found, "bound": LEAST_SPEARMAN}
    return Verdict(passed=passed, facts=facts, sentence="" if passed else words)


def _below(name: str, bound: float) -> Callable[[Project, Outcome], Verdict]:
    def look(project: Project, outcome: Outcome) -> Verdict:
        del project
        value = float(outcome.facts[name])
        words = f"{name.replace('_', ' ')} is {value:.0%}, above {bound:.0%}"
        return Verdict(
            passed=value <= bound,
            facts={name: value, "bound": bound},
            sentence="" if value <= bound else words,
        )

    return look


def _law(project: Project, outcome: Outcome) -> Verdict:
    del project
    warnings = list(outcome.facts["warnings"])
    return Verdict(passed=not warnings, facts={"warnings": warnings}, sentence=" ".join(warnings))


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


_ROWS = Check(
    name="every_row_is_accounted_for",
    description="Every row of the files is a document or a rejected row, and stands there once.",
    is_blocking=True,
    look=_rows,
)
_REJECTED = Check(
    name=REJECTED_CHECK,
    description="Few rows are rejected: at most the share `corpus.warn_rejected`.",
    is_blocking=False,
    look=_rejected,
)
_INSIDE = Check(
    name="scores_lie_inside_0_1",
    description="Quality and diversity lie strictly inside (0, 1).",
    is_blocking=True,
    look=_inside,
)
_GAP = Check(
    name="remembers_little",
    description="It knows its own training documents hardly better than others.",
    is_blocking=False,
    look=_gap,
)
_AGREES = Check(
    name="agrees_with_the_reference",
    description=f"Held-out ranks agree with the reference's to {LEAST_SPEARMAN} at least.",
    is_blocking=False,
    look=_agrees,
)
_NOISE = Check(
    name="little_noise",
    description=f"At most {MAX_NOISE_SHARE:.0%} of the sample is noise.",
    is_blocking=False,
    look=_below("noise_share", MAX_NOISE_SHARE),
)
_GIANT = Check(
    name="no_giant_cluster",
    description=f"The largest cluster holds at most {MAX_CLUSTER_SHARE:.0%} of the sample.",
    is_blocking=False,
    look=_below("largest_share", MAX_CLUSTER_SHARE),
)
_LAW = Check(
    name="law_describes_corpus",
    description="The fitted law is close to the corpus. Weights of documents do not depend on it.",
    is_blocking=False,
    look=_law,
)
_LEDGER = Check(
    name="ledger_adds_up",
    description=(
        "Each document of the corpus is drawn, not drawn or excluded, and the tokens of the draws "
        "are the tokens that are reported. The ledger is read again for it."
    ),
    is_blocking=True,
    look=_published(ledger_verdict),
)
_BUDGET = Check(
    name="budget_is_met",
    description="The drawn tokens fill the budget to within one document, and never exceed it.",
    is_blocking=True,
    look=_published(budget_verdict),
)
_PROMISE = Check(
    name="means_are_as_promised",
    description=(
        f"Mean quality and diversity of the draws lie within {MAX_PROMISE_GAP:g} of what was "
        "promised before the draw."
    ),
    is_blocking=False,
    look=_promise,
)
_IS_CURRENT = Check(
    name=IS_CURRENT_CHECK,
    description=(
        "What it was made from is as it was: settings, shards, models. Looked at whenever inputs "
        "are observed."
    ),
    is_blocking=False,
    look=_just_made,
)
_EXPORT = Check(
    name="export_matches_ledger",
    description="The files, read back, hold as many draws and tokens as the ledger.",
    is_blocking=True,
    look=_export,
)
