"""What is known of an evaluation beside its verdicts: the truth of labels, its cost, its making."""

from collections.abc import Mapping
from typing import Any

from samplemix_dagster.show.evaluated.judgement_words import CEILING, Found, number, own_arms
from samplemix_dagster.show.presentation import flops_in_words, many, share, took

_SCORES = ("quality", "diversity")


def kinds_table(found: Found) -> tuple[list[str], list[tuple[str, ...]]] | None:
    """Return the share of each known kind in the corpus and in each arm; None without labels."""
    if not found["kinds"]:
        return None
    arms = [name for name in own_arms(found) if name != CEILING]
    kinds = sorted(found["kinds"], key=lambda kind: (kind != CEILING, kind))
    rows = [
        (
            kind,
            share(found["kinds"][kind]),
            *(share(found["arms"][name]["kinds"].get(kind, 0.0)) for name in arms),
        )
        for kind in kinds
    ]
    return ["kind", "corpus", *arms], rows


def auc_table(found: Found) -> tuple[list[str], list[tuple[str, ...]]] | None:
    """Return by kind how well quality and diversity tell it from clean; None without labels.

    Mixtures of one project mostly share their scores: arms whose areas are the same share columns.
    """
    of_areas: dict[str, list[str]] = {}
    areas: dict[str, Mapping[str, Any]] = {}
    for name in own_arms(found):
        truth = found["arms"][name]["truth"]
        if truth is not None:
            known = {score: truth["auc"][score] for score in _SCORES if score in truth["auc"]}
            of_areas.setdefault(repr(known), []).append(name)
            areas[repr(known)] = known
    if not areas:
        return None
    columns = [
        (score if len(areas) == 1 else f"{score} of {', '.join(of_areas[mark])}", known[score])
        for mark, known in areas.items()
        for score in known
    ]
    kinds = sorted({kind for _, by_kind in columns for kind in by_kind})
    kinds.sort(key=lambda kind: kind == "junk")
    rows = [(kind, *(number(by_kind.get(kind), 2) for _, by_kind in columns)) for kind in kinds]
    return ["kind", *(name for name, _ in columns)], rows


def judged_how(found: Found) -> list[tuple[str, str]]:
    """Return how it was judged: what, and the value."""
    settings = found["learner_settings"]
    seeds = sorted({one["seed"] for one in found["trainings"]})
    shown = [f"{_plain(key)} {settings[key]}" for key in sorted(settings) if key != "learner"]
    rungs = ", ".join(f"{rung:g}" for rung in sorted({1.0, *found["ladder"]}))
    return [
        ("learner", f"{found['learner']} ({', '.join(shown)})"),
        *(("second judge", _settings(judge)) for judge in found["second_judges"]),
        ("pairs", f"{found['seeds']}, seeds {seeds[0]} to {seeds[-1]}"),
        ("tokens that each learner reads", f"{found['budget_tokens']:,}"),
        ("rungs, as multiples of it", rungs),
        (
            "drawn from",
            f"{found['pool']:.0%} of the corpus, another part for each seed"
            if found["pool"] < 1
            else "the whole corpus",
        ),
        ("evaluation", found["evaluation"]),
    ]


def _settings(judge: Mapping[str, Any]) -> str:
    settings = judge["learner_settings"]
    return ", ".join(f"{_plain(key)} {settings[key]}" for key in sorted(settings))


def arms_rows(found: Found) -> list[tuple[str, str, int, str, int, int]]:
    """Return of each arm: what it is, copies at most, tokens and documents drawn, what is gone."""
    return [
        (
            name,
            ", ".join(f"{_plain(key)} {value}" for key, value in sorted(entry["what"].items())),
            entry["max_copies"],
            many(entry["draws"]["tokens"]),
            entry["draws"]["documents"],
            entry["missing_documents"],
        )
        for name in own_arms(found)
        for entry in [found["arms"][name]]
    ]


def _plain(key: str) -> str:
    return key.replace("_", " ")


def texts_rows(found: Found) -> list[tuple[str, int, int, int]]:
    """Return of each group: texts judged, their bytes, and texts refused: the corpus has them."""
    return [
        (group, entry["texts"], entry["bytes"], entry["refused"])
        for group, entry in found["texts"].items()
    ]


def cost_words(found: Found) -> str:
    """Return in a sentence what the trainings of an evaluation came to."""
    cost = found["cost"]
    tokens = {one["address"]: one["tokens"] for one in found["trainings"]}
    words = f"{len(tokens):,} trainings, which read {many(sum(tokens.values()))} tokens"
    if not cost["trainings"]:
        return f"{words}; all of them stood in the lake already, and nothing was trained."
    flops = f", {flops_in_words(cost['flops'])}" if cost.get("flops") else ""
    return (
        f"{words}; {cost['trainings']:,} of them were made for this evaluation: "
        f"{many(cost['tokens'])} tokens{flops}, {took(cost['seconds'])}."
    )
