"""How long an evaluation will take: from one that was measured, else from a short trial.

Both are of the learner itself, and neither knows what else the machine has to do.
"""

import time
from collections.abc import Mapping
from typing import Any

import numpy as np

from samplemix_dagster.core.learners.learner import NO_STEPS
from samplemix_dagster.core.learners.ragged import TokenTexts
from samplemix_dagster.engine.outcome import no_progress
from samplemix_dagster.storage.ask.relations.judged_views import results
from samplemix_dagster.storage.lake.lake import Lake
from samplemix_dagster.validation.evaluate import Prepared
from samplemix_dagster.validation.judges import Judge
from samplemix_dagster.validation.verdicts.judgement import JsonObject

_TRIAL_TOKENS = 32_000
_SMALLER = 4
"""The trial's first training reads a quarter of what its second does."""


def cost_foreseen(prepared: Prepared) -> JsonObject:
    """Return what an evaluation costs, with ``estimated_seconds`` and ``estimated_from``.

    Where nothing is to be trained, neither is there.
    """
    cost: JsonObject = dict(prepared.cost)
    judge = next((one for one in prepared.judges if one.missing), None)
    if judge is None:
        return cost
    known = _measured(prepared.recipes.lake, judge)
    seconds, words = _from_trial(prepared, judge) if known is None else _alike(prepared, known)
    return {**cost, "estimated_seconds": round(seconds, 4), "estimated_from": words}


def _measured(lake: Lake, judge: Judge) -> Mapping[str, Any] | None:
    """Return the evaluation by the same learner that trained on most tokens, if there is one."""
    recipe = dict(judge.learner.recipe)
    alike = [
        found
        for found in results(lake)
        if found["learner_settings"] == recipe and found["cost"]["tokens"]
    ]
    return max(alike, key=lambda found: int(found["cost"]["tokens"]), default=None)


def _alike(prepared: Prepared, known: Mapping[str, Any]) -> tuple[float, str]:
    tokens, seconds = known["cost"]["tokens"], known["cost"]["seconds"]
    return (
        seconds / tokens * prepared.cost["tokens"],
        f"as fast as evaluation {known['evaluation'][:12]}, {tokens:,} tokens in {seconds:,.1f} s",
    )


def _from_trial(prepared: Prepared, judge: Judge) -> tuple[float, str]:
    """Return the time of all trainings, taken as a part for each and a part for each token."""
    sizes, seconds = [], []
    whole = _some_tokens(prepared, judge)
    for part in (len(whole) // _SMALLER, len(whole)):
        texts = whole.take(np.arange(max(part, 1)))
        began = time.perf_counter()
        judge.learner.nats(texts, 0, NO_STEPS)
        seconds.append(time.perf_counter() - began)
        sizes.append(int(texts.tokens.size))
    per_token = max(seconds[1] - seconds[0], 0.0) / max(sizes[1] - sizes[0], 1)
    per_training = max(seconds[1] - per_token * sizes[1], 0.0)
    cost = prepared.cost
    workers = prepared.recipes.project.num_workers if judge.learner.side_by_side else 1
    total = (per_training * cost["trainings"] + per_token * cost["tokens"]) / workers
    return total, f"from a trial of {sum(sizes):,} tokens here"


def _some_tokens(prepared: Prepared, judge: Judge) -> TokenTexts:
    """Return documents of one shard of a draw, enough for a trial."""
    corpus, rows = prepared.corpus, judge.missing[0].drawn.rows
    rows = rows[corpus.shard_of[rows] == corpus.shard_of[rows[0]]]
    enough = int(np.searchsorted(np.cumsum(corpus.pool.tokens[rows]), _TRIAL_TOKENS)) + 1
    return prepared.tokens.documents(corpus, rows[:enough], no_progress)
