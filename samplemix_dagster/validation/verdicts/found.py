"""What an evaluation found, as one JSON value: the contract of ``samplemix evaluate --json``."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.junk.table import CLEAN
from samplemix_dagster.validation.choosing.arms import PROPORTIONAL, Arm
from samplemix_dagster.validation.choosing.draws import Drawn, control_name, names_with_controls
from samplemix_dagster.validation.known.labelled import truth_of_version
from samplemix_dagster.validation.tasks.figures import accuracies, counts_of_tasks
from samplemix_dagster.validation.verdicts.break_even import pays_from, scoring_flops
from samplemix_dagster.validation.verdicts.judgement import (
    ALL,
    JsonObject,
    Judged,
    against_controls,
    disagreements,
    domains,
    judgement,
    ranking,
    recovered,
    strength,
)

if TYPE_CHECKING:
    from samplemix_dagster.validation.evaluate import Prepared
    from samplemix_dagster.validation.judges import Judge

Floats = npt.NDArray[np.float64]
SCHEMA = 2


def found_of(prepared: "Prepared") -> JsonObject:
    """Return what all trainings of an evaluation, which are there, tell."""
    first, *others = prepared.judges
    judged = laid_out(prepared, first)
    names = names_with_controls(prepared.arms, prepared.corpus)
    own = [arm.name for arm in prepared.arms]
    arms = judgement(judged, names, PROPORTIONAL)
    for name in names:
        has_ceiling = CLEAN in own
        arms[name]["recovered"] = (
            recovered(judged, name, PROPORTIONAL, CLEAN) if has_ceiling else None
        )
    for arm in prepared.arms:
        arms[arm.name] |= _of_arm(prepared, judged, arm)
    sweep = first.sweep
    for name, decay in (sweep.chosen() if sweep else {}).items():
        arms[name]["weight_decay"] = decay
    if prepared.tasks:
        for name, by_task in accuracies(prepared, first, names, PROPORTIONAL).items():
            arms[name]["tasks"] = by_task
    design = prepared.design
    second = [laid_out(prepared, other) for other in others]
    return {
        "schema": SCHEMA,
        "evaluation": prepared.address,
        "learner": first.learner.name,
        "learner_settings": dict(first.learner.recipe),
        "seeds": len(design.seeds),
        "strength": strength(len(design.seeds)),
        "budget_tokens": design.budget,
        "pool": design.pool,
        "ladder": list(design.ladder),
        "baseline": PROPORTIONAL,
        "texts": _texts(prepared),
        **({"tasks": counts_of_tasks(prepared)} if prepared.tasks else {}),
        "overlaps": prepared.judged.overlaps,
        "kinds": _kinds_of_corpus(prepared),
        "sets": {name: list(groups) for name, groups in prepared.settings.every_set.items()},
        "arms": arms,
        "scoring_flops": scoring_flops(prepared.recipes, prepared.corpus),
        "ranking": ranking(judged, own),
        "second_judges": [
            {"learner_settings": dict(other.learner.recipe), "ranking": ranking(laid, own)}
            for other, laid in zip(others, second, strict=True)
        ],
        "undecided": [pair for laid in second for pair in disagreements(judged, laid, own)],
        "trainings": list(_trainings(prepared)),
        **({"weight_decays": sweep.told()} if sweep else {}),
    }


def _trainings(prepared: "Prepared") -> Iterator[JsonObject]:
    """Yield where the losses of each training stand, and what was trained; judges from 0."""
    for number, judge in enumerate(prepared.judges):
        for one in judge.wanted:
            yield {
                "judge": number,
                "arm": one.drawn.arm,
                "seed": one.drawn.seed,
                "rung": one.drawn.rung,
                "tokens": one.drawn.num_tokens,
                "address": one.address,
            }


def _of_arm(prepared: "Prepared", judged: Judged, arm: Arm) -> JsonObject:
    mine = [one for one in prepared.draws if one.arm == arm.name and one.rung == 1.0]
    controls = [control_name(arm.name, name) for name in prepared.corpus.controls]
    is_baseline = arm.name == PROPORTIONAL
    return {
        "what": dict(arm.what),
        "max_copies": arm.max_copies,
        "missing_documents": arm.missing,
        "draws": {
            "tokens": round(float(np.mean([one.num_tokens for one in mine]))),
            "documents": round(float(np.mean([one.rows.size for one in mine]))),
        },
        "against_controls": {} if is_baseline else against_controls(judged, arm.name, controls),
        "domains": domains(judged, arm.name, PROPORTIONAL),
        "pays_from_parameters": pays_from(
            scoring_flops(prepared.recipes, prepared.corpus),
            judged.needs(arm.name, PROPORTIONAL, judged.members[ALL]),
            arm.real_budget,
        ),
        "kinds": _kinds(prepared, mine),
        "truth": _truth(prepared, arm),
    }


def _kinds(prepared: "Prepared", draws: Sequence[Drawn]) -> JsonObject:
    """Return the share of the drawn tokens that each known kind has, over all seeds."""
    tokens = np.zeros(prepared.corpus.pool.tokens.size)
    for one in draws:
        tokens[one.rows] += one.copies * prepared.corpus.pool.tokens[one.rows]
    return _shares(prepared, tokens)


def _kinds_of_corpus(prepared: "Prepared") -> JsonObject:
    """Return the share of the corpus's tokens that each known kind has; empty without labels."""
    return _shares(prepared, prepared.corpus.pool.tokens.astype(np.float64))


def _shares(prepared: "Prepared", tokens: Floats) -> JsonObject:
    """Return the share of each kind among the tokens of documents whose kind is known: (N,)."""
    if prepared.labels is None:
        return {}
    kinds = prepared.labels.kinds
    names = [CLEAN, *prepared.labels.junk]
    sums = {kind: float(tokens[kinds == kind].sum()) for kind in names}
    total = sum(sums.values())
    return {kind: round(found / total, 5) for kind, found in sums.items()} if total else {}


def _truth(prepared: "Prepared", arm: Arm) -> JsonObject | None:
    """Return how far a version's scores tell clean documents from junk, where labels say it."""
    if prepared.labels is None or "version" not in arm.what:
        return None
    project = prepared.recipes.project
    place = (arm.what["mixture"], arm.what["version"])
    return _rounded(truth_of_version(project, *place, prepared.labels.by_place).to_json())


def _rounded(value: Mapping[str, object]) -> JsonObject:
    def shorter(found: object) -> object:
        if isinstance(found, Mapping):
            return _rounded(found)
        return round(found, 5) if isinstance(found, float) else found

    return {str(key): shorter(found) for key, found in value.items()}


def _texts(prepared: "Prepared") -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for text in prepared.judged.texts:
        if text.task is not None:
            continue
        entry = found.setdefault(text.group, {"texts": 0, "bytes": 0, "refused": 0})
        entry["texts"] += 1
        entry["bytes"] += text.num_bytes
    for group, entry in found.items():
        entry["refused"] = prepared.judged.refused.get(group, 0)
        entry["rejected"] = prepared.rejected.get(group, 0)
    return found


def laid_out(prepared: "Prepared", judge: "Judge") -> Judged:
    """Return a judge's losses by arm and rung, seeds in one order."""
    nats: dict[tuple[str, float], list[Floats]] = {}
    tokens: dict[tuple[str, float], list[int]] = {}
    known: dict[str, Floats] = {}
    for one in judge.wanted:
        if one.address not in known:
            known[one.address] = judge.trainings.losses(one)
        mark = (one.drawn.arm, one.drawn.rung)
        nats.setdefault(mark, []).append(known[one.address])
        tokens.setdefault(mark, []).append(one.drawn.num_tokens)
    seeds = len(prepared.design.seeds)
    texts = prepared.judged.texts
    answers = np.flatnonzero([text.is_answer for text in texts])
    return Judged(
        groups=np.array([text.group for text in texts])[answers],
        num_bytes=np.array([text.num_bytes for text in texts])[answers],
        # A rung that some seed could not reach says nothing.
        nats={
            mark: np.stack(rows)[:, answers] for mark, rows in nats.items() if len(rows) == seeds
        },
        tokens={mark: float(np.mean(counts)) for mark, counts in tokens.items()},
        sets=prepared.settings.every_set,
    )
