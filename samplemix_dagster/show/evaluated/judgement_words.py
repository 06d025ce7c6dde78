"""What an evaluation lets anybody claim, in sentences and rows: losses as plainly as wins.

The same words stand on the terminal, on the page and on the asset.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from samplemix_dagster.show.presentation import Quantity

Found = Mapping[str, Any]
"""What an evaluation found, as ``samplemix evaluate --json`` gives it."""
ALL = "all"
CEILING = "clean"
"""The arm of the documents that labels call clean: it knows the answer, and is no contender."""
NOTHING = Quantity("-")
_VERDICTS = ("better", "worse", "undecided")


def own_arms(found: Found) -> list[str]:
    """Return the arms without their controls, from the best to the worst."""
    return [entry["arm"] for entry in found["ranking"]]


def contenders(found: Found) -> list[str]:
    """Return the arms that something may be claimed of: neither the baseline nor the ceiling."""
    return [name for name in own_arms(found) if name not in {found["baseline"], CEILING}]


def with_controls(found: Found) -> Iterator[tuple[str, bool]]:
    """Yield each arm and then its controls, and whether it is a control."""
    for name in own_arms(found):
        yield name, False
        for other in sorted(found["arms"], reverse=True):
            if other.startswith(f"{name}~"):
                yield other, True


def groups_of(found: Found) -> tuple[list[str], list[str]]:
    """Return the sets, that of all texts first, and the groups."""
    sets = sorted(found["sets"], key=lambda name: (name != ALL, name))
    return sets, list(found["sets"][ALL])


def group_title(group: str) -> str:
    """Return what a set or a group is called."""
    return "all groups" if group == ALL else group


def claims(found: Found) -> list[tuple[str, str]]:
    """Return what may be claimed of each contender, over all groups: a verdict and a sentence."""
    return [_claim(found, name) for name in contenders(found)]


def verdict_of(found: Found, name: str, group: str) -> str:
    """Return ``better``, ``worse`` or ``undecided``; nothing is decided by a look.

    Nor is it over all groups where a second judge says the contrary.
    """
    if found["strength"] == "look" or (group == ALL and _is_contradicted(found, name)):
        return "undecided"
    return str(found["arms"][name]["groups"][group]["verdict"])


def _is_contradicted(found: Found, name: str) -> bool:
    return {name, found["baseline"]} in [set(pair) for pair in found["undecided"]]


def _claim(found: Found, name: str) -> tuple[str, str]:
    base, figures = found["baseline"], found["arms"][name]["groups"][ALL]
    number = f"{signed(figures['difference'])} bits per byte{_within(figures)}"
    if found["strength"] == "look":
        words = (
            f"{name} beside {base}: {number}. That is a look of {found['seeds']} "
            f"pair{'' if found['seeds'] == 1 else 's'}, and claims nothing."
        )
        return "undecided", words
    if _is_contradicted(found, name):
        words = (
            f"{name} is not shown to be better or worse than {base}: a second judge says the "
            f"contrary of {number}."
        )
        return "undecided", words
    verdict = figures["verdict"]
    if verdict == "better":
        return verdict, f"{name} is better than {base}: {number}{_fewer(figures['needs'], base)}."
    if verdict == "worse":
        least = _fewer(figures["baseline_needs"], name, who=base)
        return verdict, f"{name} is worse than {base}: {number}{least}."
    return verdict, f"{name} is not shown to be better than {base}, nor worse: {number}."


def _fewer(needs: float | None, other: str, who: str = "it") -> str:
    return (
        ""
        if needs is None
        else f"; {who} reaches the loss of {other} with {needs:.0%} of the tokens"
    )


def _within(figures: Mapping[str, Any]) -> str:
    shown = interval(figures)
    return f" {shown}" if shown != NOTHING else ""


def own_part(found: Found) -> list[str]:
    """Return in sentences what the scores gain inside the same shares of sources and languages."""
    wanted = contenders(found)
    return [
        f"{name} beside the same shares, drawn uniformly inside: "
        f"{signed(figures['difference'])}{_within(figures)}, {figures['verdict']}."
        for name, control, figures in controls_rows(found)
        if control == "shares" and name in wanted
    ]


def controls_rows(found: Found, group: str = ALL) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    """Yield arm, what its control holds, and how far they differ; a look decides nothing."""
    look = {"verdict": "undecided"} if found["strength"] == "look" else {}
    for name in own_arms(found):
        for control, by_set in sorted(
            found["arms"][name]["against_controls"].items(), reverse=True
        ):
            yield name, control, {**by_set[group], **look}


def domain_rows(found: Found) -> list[tuple[str, ...]]:
    """Return arm, and the groups in which it is better, worse, and neither beyond doubt."""
    _, groups = groups_of(found)
    return [
        (name, *(_named(found, name, verdict, groups) for verdict in _VERDICTS))
        for name in own_arms(found)
        if name != found["baseline"]
    ]


def _named(found: Found, name: str, verdict: str, groups: Sequence[str]) -> str:
    there = found["arms"][name]["groups"]
    named = [one for one in groups if one in there and verdict_of(found, name, one) == verdict]
    return ", ".join(named) or "none"


def cautions(found: Found) -> list[str]:
    """Return in sentences what cannot be told: pairs of which a second judge says the contrary.

    And what is recovered, where the ceiling is not shown to be better than the baseline.
    """
    return [
        *(
            f"undecided: the judges do not agree on {one} and {other}."
            for one, other in found["undecided"]
        ),
        *(
            [
                f"{CEILING} is not shown to be better than {found['baseline']} here, so what an "
                "arm recovers of its gain cannot be told."
            ]
            if CEILING in found["arms"] and not has_ceiling(found)
            else []
        ),
    ]


def interval(figures: Mapping[str, Any]) -> Quantity:
    """Return a 95 % interval; a dash where one pair gives none."""
    if figures["low"] is None:
        return NOTHING
    return Quantity(f"[{signed(figures['low'])}, {signed(figures['high'])}]")


def signed(value: float | None) -> Quantity:
    """Return a difference with its sign; one that is nothing has none."""
    if value is None:
        return NOTHING
    return Quantity("0.0000" if round(value, 4) == 0 else f"{value:+.4f}")


def number(value: float | None, digits: int) -> Quantity:
    """Return a number; a dash where there is none."""
    return NOTHING if value is None else Quantity(f"{value:z.{digits}f}")


def figures_row(found: Found, name: str, group: str) -> Sequence[str]:
    """Return an arm's row of the table of a group; of what stands in :func:`figures_columns`."""
    entry = found["arms"][name]
    figures = entry["groups"][group]
    is_baseline = name == found["baseline"]
    row = (
        name,
        number(figures["bits_per_byte"], 4),
        signed(figures["difference"]),
        NOTHING if is_baseline else interval(figures),
        "the baseline" if is_baseline else verdict_of(found, name, group),
        number(figures["needs"], 2),
    )
    return (*row, number(entry["recovered"], 2)) if has_ceiling(found) else row


def figures_columns(found: Found) -> list[str]:
    """Return the columns of the table of a group; what is recovered is known with labels alone."""
    columns = ["arm", "bits/byte", "difference", "95 % interval", "verdict", "needs"]
    return [*columns, "recovered"] if has_ceiling(found) else columns


def has_ceiling(found: Found) -> bool:
    """Whether it is known what a perfect choice would gain."""
    return any(entry["recovered"] is not None for entry in found["arms"].values())
