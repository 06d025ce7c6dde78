"""What trainings tell: paired differences, tokens to match, a ranking, what is undecided."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.judging.ladder import tokens_to_match
from samplemix_dagster.core.judging.paired import (
    FEWEST_PAIRS,
    Difference,
    GroupLosses,
    paired_difference,
)

Floats = npt.NDArray[np.float64]
ALL = "all"
JsonObject = dict[str, object]
"""A JSON value with keys."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Judged:
    """Losses of every arm and rung, laid out for comparison.

    Attributes:
        groups: The group of each text: (D,).
        num_bytes: Bytes of each text: (D,).
        nats: Losses by arm and rung: (S, D) each, seeds in one order.
        tokens: Mean tokens drawn, by arm and rung.
        sets: Groups by set; ``all`` is the first.
    """

    groups: npt.NDArray[np.str_]
    num_bytes: npt.NDArray[np.int64]
    nats: Mapping[tuple[str, float], Floats]
    tokens: Mapping[tuple[str, float], float]
    sets: Mapping[str, Sequence[str]]

    def losses(self, arm: str, rung: float = 1.0) -> dict[str, GroupLosses]:
        """Return an arm's losses by group."""
        found = self.nats[arm, rung]
        return {
            str(group): GroupLosses(
                nats_SD=found[:, self.groups == group], bytes_D=self.num_bytes[self.groups == group]
            )
            for group in dict.fromkeys(self.groups.tolist())
        }

    @property
    def members(self) -> dict[str, list[str]]:
        """What is reported: each set, then each group by itself."""
        there = dict.fromkeys(self.groups.tolist())
        sets = {name: [g for g in groups if g in there] for name, groups in self.sets.items()}
        return {**{name: found for name, found in sets.items() if found}, **{g: [g] for g in there}}

    def bits_per_byte(self, arm: str, groups: Sequence[str], rung: float = 1.0) -> float:
        """Return the mean over groups of an arm's bits per byte."""
        losses = self.losses(arm, rung)
        return float(np.mean([losses[group].bits_per_byte for group in groups]))

    def difference(self, arm: str, baseline: str, groups: Sequence[str]) -> Difference:
        """Return an arm's difference from another."""
        return paired_difference(self.losses(arm), self.losses(baseline), groups)

    def needs(self, arm: str, other: str, groups: Sequence[str]) -> float | None:
        """Return the share of the other's tokens with which an arm reaches the other's loss."""
        rungs = sorted(rung for name, rung in self.nats if name == arm)
        if len(rungs) < 2 or arm == other:
            return None
        budgets = [round(self.tokens[arm, rung]) for rung in rungs]
        losses = [self.bits_per_byte(arm, groups, rung) for rung in rungs]
        found = tokens_to_match(budgets, losses, self.bits_per_byte(other, groups))
        return None if found is None else found / self.tokens[other, 1.0]


def judgement(judged: Judged, arms: Sequence[str], baseline: str) -> dict[str, JsonObject]:
    """Return the figures of every arm, as a JSON value by arm.

    Args:
        judged: The losses.
        arms: Arms and controls, in their order.
        baseline: What they are compared with.
    """
    return {arm: {"groups": _groups(judged, arm, baseline)} for arm in arms}


def _groups(judged: Judged, arm: str, baseline: str) -> JsonObject:
    return {
        name: {
            "bits_per_byte": _rounded(judged.bits_per_byte(arm, groups)),
            **as_json(judged.difference(arm, baseline, groups)),
            "needs": _rounded(judged.needs(arm, baseline, groups), 3),
            "baseline_needs": _rounded(judged.needs(baseline, arm, groups), 3),
        }
        for name, groups in judged.members.items()
    }


def as_json(found: Difference) -> JsonObject:
    """Return a difference as a JSON value; without an interval its ends are null."""
    return {
        "difference": _rounded(found.value),
        "low": _rounded(found.low),
        "high": _rounded(found.high),
        "p_value": _rounded(found.p_value, 4),
        "verdict": found.verdict,
    }


def _rounded(value: float | None, digits: int = 5) -> float | None:
    return None if value is None or not math.isfinite(value) else round(value, digits)


def against_controls(judged: Judged, arm: str, controls: Sequence[str]) -> dict[str, JsonObject]:
    """Return what of an arm is not what its controls gain already, by control and set."""
    return {
        control.partition("~")[2]: {
            name: as_json(judged.difference(arm, control, groups))
            for name, groups in judged.members.items()
        }
        for control in controls
    }


def domains(judged: Judged, arm: str, baseline: str) -> dict[str, list[str]]:
    """Return which groups got better and worse, beyond doubt; the rest is undecided."""
    found: dict[str, list[str]] = {"better": [], "worse": [], "undecided": []}
    for group in dict.fromkeys(judged.groups.tolist()):
        found[judged.difference(arm, baseline, [group]).verdict].append(group)
    return found


def ranking(judged: Judged, arms: Sequence[str]) -> list[JsonObject]:
    """Return arms from the best to the worst over all texts, each with what is known of its place.

    ``beats`` are the arms that it is better than beyond doubt.
    """
    groups = judged.members[ALL]
    order = sorted(arms, key=lambda arm: (judged.bits_per_byte(arm, groups), arm))
    return [
        {
            "arm": arm,
            "bits_per_byte": _rounded(judged.bits_per_byte(arm, groups)),
            "beats": [
                other
                for other in order
                if other != arm and judged.difference(arm, other, groups).high < 0.0
            ],
        }
        for arm in order
    ]


def disagreements(first: Judged, second: Judged, arms: Sequence[str]) -> list[list[str]]:
    """Return the pairs of arms of which two judges say the contrary, each beyond doubt or not."""
    groups = first.members[ALL]
    return [
        [one, other]
        for number, one in enumerate(arms)
        for other in arms[number + 1 :]
        if first.difference(one, other, groups).value * second.difference(one, other, groups).value
        < 0.0
    ]


def recovered(judged: Judged, arm: str, baseline: str, ceiling: str) -> float | None:
    """Return the share of what a perfect choice would gain that an arm gains, over all texts.

    None where the ceiling is not shown to be better than the baseline: a share of what may be
    nothing would be any number. One pair shows nothing.
    """
    groups = judged.members[ALL]
    whole = judged.difference(ceiling, baseline, groups)
    if whole.high >= 0.0:
        return None
    # 0 rather than -0 of the baseline itself.
    return _rounded(judged.difference(arm, baseline, groups).value / whole.value + 0.0, 3)


def strength(seeds: int) -> str:
    """Return what so many pairs are: a claim or a look."""
    return "claim" if seeds >= FEWEST_PAIRS else "look"
