"""What an evaluation found, made up: of the form that ``samplemix evaluate --json`` has."""

from collections.abc import Mapping
from typing import Any

Ends = tuple[float, float, float]
"""A difference and the ends of its interval."""


def found_of(
    arms: Mapping[str, Ends],
    *,
    group: str = "prose",
    kind: str = "salad",
    seeds: int = 8,
    undecided: list[list[str]] | None = None,
) -> dict[str, Any]:
    """Return a result in which each mixture has one difference everywhere, and one control."""
    every = {"proportional": (0.0, 0.0, 0.0), "clean": (-0.1, -0.11, -0.09), **arms}
    names = [*every, *(f"{name}~shares" for name in every if name != "proportional")]
    return {
        "schema": 2,
        "evaluation": "0" * 24,
        "learner": "ngram",
        "learner_settings": {"learner": "ngram", "version": 1, "order": 3, "vocabulary": 100},
        "seeds": seeds,
        "strength": "claim" if seeds >= 8 else "look",
        "budget_tokens": 1_000,
        "pool": 0.5,
        "ladder": [0.5],
        "baseline": "proportional",
        "texts": {group: {"texts": 10, "bytes": 5_000, "refused": 1}},
        "overlaps": "1" * 24,
        "kinds": {"clean": 0.6, kind: 0.4},
        "sets": {"all": [group]},
        "arms": {name: _arm(name, every[name.partition("~")[0]], group, kind) for name in names},
        "ranking": [
            {"arm": name, "bits_per_byte": 2.0 + every[name][0], "beats": []}
            for name in sorted(every, key=lambda name: every[name][0])
        ],
        "second_judges": [],
        "undecided": undecided or [],
        "trainings": [
            {
                "judge": 0,
                "arm": name,
                "seed": seed,
                "rung": 1.0,
                "tokens": 990,
                "address": f"{number:012x}{seed:012x}",
            }
            for number, name in enumerate(names)
            for seed in range(seeds)
        ],
        "cost": {"trainings": 3, "of": 3, "tokens": 2_970, "seconds": 1.5},
    }


def _arm(name: str, ends: Ends, group: str, kind: str) -> dict[str, Any]:
    figures = {"bits_per_byte": 2.0 + ends[0], **_compared(ends)}
    figures |= {"needs": 0.9, "baseline_needs": 0.8}
    groups = dict.fromkeys(("all", group), figures)
    if "~" in name:
        return {"groups": groups, "recovered": 0.1}
    is_version = name not in {"proportional", "clean"}
    areas = {"auc": {"quality": {kind: 0.4}, "diversity": {kind: 0.8}}}
    held = {} if name == "proportional" else {"shares": {w: _compared(ends) for w in groups}}
    return {
        "groups": groups,
        "recovered": round(ends[0] / -0.1, 3),
        "what": {"mixture": name, "version": "2" * 24} if is_version else {"built_in": name},
        "max_copies": 4,
        "missing_documents": 0,
        "draws": {"tokens": 990, "documents": 12},
        "against_controls": held,
        "domains": {"better": [group], "worse": [], "undecided": []},
        "kinds": {"clean": 0.7, kind: 0.3},
        "truth": areas if is_version else None,
    }


def _compared(ends: Ends) -> dict[str, Any]:
    value, low, high = ends
    verdict = "better" if high < 0 else "worse" if low > 0 else "undecided"
    return {"difference": value, "low": low, "high": high, "p_value": 0.01, "verdict": verdict}
