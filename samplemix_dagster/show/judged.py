"""What an evaluation found, for the terminal."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from samplemix_dagster.show.printed_table import print_table
from samplemix_dagster.show.terminal import print_lines

_ALL = "all"


def cost_line(cost: Mapping[str, int]) -> str:
    """Return what an evaluation costs, in a sentence."""
    if not cost["trainings"]:
        return f"All {cost['of']:,} trainings stand in the lake; nothing is trained."
    return (
        f"{cost['trainings']:,} of {cost['of']:,} trainings are to be made, "
        f"{cost['tokens']:,} tokens together."
    )


def print_judged(found: Mapping[str, Any]) -> None:
    """Print what was found: differences from the baseline, then from the controls."""
    arms = found["arms"]
    print_lines(_head(found))
    for group in found["sets"]:
        _print_set(found, group)
    _print_own_gain(arms)
    print_lines(_domains(arms, found["baseline"]))
    if found["strength"] == "look":
        print_lines([f"{found['seeds']} pairs are a look; a claim needs 8 (--seeds 8)."])
    print_lines(
        f"undecided: the judges do not agree on {one} and {other}."
        for one, other in found["undecided"]
    )


def _print_set(found: Mapping[str, Any], group: str) -> None:
    title = "all groups" if group == _ALL else group
    has_ceiling = any(entry["recovered"] is not None for entry in found["arms"].values())
    columns = ["arm", "bits/byte", "difference", "95 % interval", "verdict", "needs"]
    rows = [
        _row(name, entry, entry["groups"][group], has_ceiling=has_ceiling)
        for name, entry in found["arms"].items()
        if group in entry["groups"]
    ]
    print_table(
        [*columns, "recovered"] if has_ceiling else columns,
        rows,
        title=f"{title}: bits per byte, beside {found['baseline']}",
    )
    print_lines([""])


def _head(found: Mapping[str, Any]) -> Iterator[str]:
    texts = sum(entry["texts"] for entry in found["texts"].values())
    refused = sum(entry["refused"] for entry in found["texts"].values())
    yield (
        f"{found['learner']} learner, {found['seeds']} pairs of draws of "
        f"{found['budget_tokens']:,} tokens from {found['pool']:.0%} of the corpus, judged on "
        f"{texts:,} held-out texts in {len(found['texts'])} groups."
    )
    if refused:
        yield f"{refused:,} texts stand in the corpus and were refused."
    yield ""


def _row(
    name: str, entry: Mapping[str, Any], group: Mapping[str, Any], *, has_ceiling: bool
) -> Sequence[str]:
    row = (
        name,
        _number(group["bits_per_byte"], 4),
        _number(group["difference"], 4, signed=True),
        _interval(group),
        group["verdict"] if group["difference"] else "",
        _number(group["needs"], 2),
    )
    return (*row, _number(entry["recovered"], 2)) if has_ceiling else row


def _print_own_gain(arms: Mapping[str, Any]) -> None:
    rows = [
        (
            name,
            control,
            _number(by_set[_ALL]["difference"], 4, signed=True),
            _interval(by_set[_ALL]),
            by_set[_ALL]["verdict"],
        )
        for name, entry in arms.items()
        for control, by_set in entry.get("against_controls", {}).items()
    ]
    if rows:
        print_table(
            ["arm", "held", "difference", "95 % interval", "verdict"],
            rows,
            title="the scores' own part: beside the same shares, drawn uniformly inside",
        )
        print_lines([""])


def _domains(arms: Mapping[str, Any], baseline: str) -> Iterator[str]:
    for name, entry in arms.items():
        if "domains" in entry and name != baseline:
            better, worse = entry["domains"]["better"], entry["domains"]["worse"]
            yield (
                f"{name}: {_list('better', better)}; {_list('worse', worse)}; "
                f"{len(entry['domains']['undecided'])} undecided."
            )


def _list(word: str, groups: Sequence[str]) -> str:
    return f"{word} in {len(groups)}" + (f" ({', '.join(groups)})" if groups else "")


def _interval(group: Mapping[str, Any]) -> str:
    if group["low"] is None:
        return ""
    return f"[{group['low']:+.4f}, {group['high']:+.4f}]"


def _number(value: float | None, digits: int, *, signed: bool = False) -> str:
    if value is None:
        return ""
    return f"{value:+.{digits}f}" if signed else f"{value:.{digits}f}"
