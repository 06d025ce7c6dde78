"""How long and how many operations a plan will take, from what earlier runs measured.

Each asset keeps its newest measurements (documents, seconds) beside the lake, never in it: no
result depends on them. From these the time of a run is a start-up and a time for each document. An
asset that has never run has no estimate, but a guess where one is asked for (``first_guess.py``).
"""

import contextlib
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, TypeAdapter

from samplemix_dagster.engine.fitting.parameters import reference_parameters
from samplemix_dagster.engine.outcome import Outcome
from samplemix_dagster.engine.project import Project
from samplemix_dagster.runs.plan.cost.first_guess import FirstGuess, scored_tokens
from samplemix_dagster.storage.corpus.home import write_note

if TYPE_CHECKING:
    from samplemix_dagster.runs.plan.planned import Plan, Task


_FILE = "rates.json"
_KEPT = 20

Measured = tuple[float, float]
"""Documents, seconds."""


class _Entry(BaseModel):
    model_config = ConfigDict(allow_inf_nan=False, strict=True)

    runs: list[list[float]]
    tokens_per_document: float = 0.0


_MEASURED = TypeAdapter(dict[str, _Entry])


def note_measurement(project: Project, outcome: Outcome) -> None:
    """Remember how long an asset took for how many documents; only the newest are kept.

    Of two runs that note at one time, one's measurement may be lost; no run fails for want of one.
    """
    noted = _noted(project)
    entry = noted.setdefault(outcome.asset, {"runs": []})
    entry["runs"] = [*entry["runs"], [outcome.num_computed, round(outcome.seconds, 4)]][-_KEPT:]
    tokens = outcome.facts.get("tokens_computed")
    if tokens and outcome.num_computed:
        entry["tokens_per_document"] = round(tokens / outcome.num_computed, 2)
    with contextlib.suppress(OSError):
        write_note(project.home / _FILE, json.dumps(noted, indent=1, sort_keys=True))


def _noted(project: Project) -> dict[str, Any]:
    try:
        value = json.loads((project.home / _FILE).read_text(encoding="utf-8"))
        found = _MEASURED.validate_python(value)
    except (OSError, ValueError, RecursionError):
        return {}  # they are measured again
    is_paired = all(len(run) == 2 for entry in found.values() for run in entry.runs)
    return dict(value) if is_paired else {}


def seconds_for(measured: Sequence[Measured], num_documents: int) -> float | None:
    """Return the seconds that ``start-up + each x documents`` gives; None without a measurement.

    The two numbers, neither below 0, have the least squares of the *relative* errors, so that a
    short run tells of the start-up as much as a long one tells of the rate.
    """
    runs = [(documents, seconds) for documents, seconds in measured if seconds > 0]
    if not runs:
        return None
    from scipy.optimize import nnls

    documents, seconds = np.array(runs, dtype=np.float64).T
    start_up, each = nnls(
        np.stack([1.0 / seconds, documents / seconds], axis=1), np.ones(len(runs))
    )[0]
    return float(start_up + each * num_documents)


def foreseen(project: Project, task: "Task") -> dict[str, float | None]:
    """Return the seconds and FLOPs that a task should take: None where nothing is known."""
    entry = _noted(project).get(task.step.asset, {"runs": []})
    seconds = seconds_for(entry["runs"], task.num_documents)
    flops = None
    if task.step.asset == "perplexity":
        so_far = float(entry.get("tokens_per_document", 0.0))
        each = _of_a_document(project, so_far)
        unread = scored_tokens(project, task, float(task.num_bytes))
        tokens = each * task.num_documents if so_far else unread
        flops = scoring_flops(project, tokens)
        if seconds is not None and each < so_far:
            seconds *= each / so_far
    return {"seconds": None if seconds is None else round(seconds, 2), "flops": flops}


def _of_a_document(project: Project, so_far: float) -> float:
    """Return the tokens of a document that the reference will read, where it read so many so far.

    What was measured on whole documents says less of windows than what these can read at most.
    """
    most = project.config.quality.most_tokens_read
    return so_far if most is None else min(so_far, float(most))


def estimated(project: Project, plan: "Plan", *, guesses: bool = False) -> list[dict[str, Any]]:
    """Return the plan's assets with seconds and FLOPs: None where nothing is known.

    FLOPs of scoring are 2 x parameters x tokens (Kaplan et al. 2001.08361, section 2.1), with the
    tokens a document had so far, and four bytes a token before any were counted.

    Args:
        project: The project.
        plan: What is to run.
        guesses: Try this machine for two seconds and guess the time of what was never measured;
            ``is_guess`` says of which assets.
    """
    found: dict[str, dict[str, list[float | None]]] = {}
    guessed: set[str] = set()
    guess: FirstGuess | None = None
    for task in plan.tasks:
        expected = foreseen(project, task)
        if guesses and expected["seconds"] is None:
            guess = guess or FirstGuess(project)
            expected["seconds"] = guess.seconds(task)
            guessed.add(task.step.asset)
        for kind, value in expected.items():
            found.setdefault(task.step.asset, {}).setdefault(kind, []).append(value)
    return [
        {
            **entry,
            **{kind: _sum(values) for kind, values in found[entry["asset"]].items()},
            "is_guess": entry["asset"] in guessed,
        }
        for entry in plan.by_asset()
    ]


def _sum(values: list[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return round(sum(known), 2) if len(known) == len(values) else None


def scoring_flops(project: Project, num_tokens: float) -> float | None:
    """Return the FLOPs of scoring so many tokens with the current reference; None without one."""
    parameters = reference_parameters(project.lake, project.config.quality.reference)
    return None if parameters is None else 2.0 * parameters * num_tokens
