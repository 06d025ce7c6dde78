"""Checks of the tables of a partition's shards."""

from typing import Any

import numpy as np

from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.outcome import Outcome
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.shards.rejected import row_counts
from samplemix_dagster.stages.mixture.published.publishing import Verdict
from samplemix_dagster.stages.scores import SCORES
from samplemix_dagster.stages.stepping.step import Step
from samplemix_dagster.wiring.checks.check import Check

REJECTED_CHECK = "few_rows_are_rejected"


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


def one_row(step: Step) -> Check:
    """Return the check that each document of a shard has one row in a step's table."""

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


ROWS = Check(
    name="every_row_is_accounted_for",
    description="Every row of the files is a document or a rejected row, and stands there once.",
    is_blocking=True,
    look=_rows,
)
REJECTED = Check(
    name=REJECTED_CHECK,
    description="Few rows are rejected: at most the share `corpus.warn_rejected`.",
    is_blocking=False,
    look=_rejected,
)
INSIDE = Check(
    name="scores_lie_inside_0_1",
    description="Quality and diversity lie strictly inside (0, 1).",
    is_blocking=True,
    look=_inside,
)
