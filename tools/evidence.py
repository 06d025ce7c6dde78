"""Turn what ``samplemix evaluate --json`` said into the tables of ``docs/evidence``.

    samplemix evaluate default --json > found.json && python tools/evidence.py found.json

Prints Markdown: arms beside the baseline by set of texts, what is the scores' own, and where labels
are known the share of each kind of junk and how far each score sees it.
"""

import json
import sys
from pathlib import Path
from typing import Any

Found = dict[str, Any]


def table(head: list[str], rows: list[list[str]]) -> str:
    """Return a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def interval(entry: Found) -> str:
    """Return a difference with its interval, in bold where it is beyond doubt."""
    if entry["low"] is None:
        return f"{entry['difference']:+.3f}"
    words = f"{entry['difference']:+.3f} [{entry['low']:+.3f}, {entry['high']:+.3f}]"
    return words if entry["verdict"] == "undecided" else f"**{words}**"


def number(value: float | None, digits: int = 2) -> str:
    """Return a number, or a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


def differences(found: Found) -> str:
    """Return arms and controls by set, with tokens to match over all and what is recovered."""
    sets = list(found["sets"])
    rows = []
    for name, arm in found["arms"].items():
        groups = arm["groups"]
        cells = [interval(groups[one]) if name != found["baseline"] else "0" for one in sets]
        rows.append([name, *cells, number(groups["all"]["needs"]), number(arm["recovered"])])
    return table(["arm", *sets, "needs", "recovered"], rows)


def own_part(found: Found) -> str:
    """Return what of each arm is not what its controls gain."""
    sets = list(found["sets"])
    rows = [
        [name, held, *(interval(by_set[one]) for one in sets)]
        for name, arm in found["arms"].items()
        for held, by_set in arm.get("against_controls", {}).items()
    ]
    return table(["arm", "held", *sets], rows)


def domains(found: Found) -> str:
    """Return which groups each arm made better and worse."""
    rows = [
        [
            name,
            ", ".join(arm["domains"]["better"]) or "none",
            ", ".join(arm["domains"]["worse"]) or "none",
            str(len(arm["domains"]["undecided"])),
        ]
        for name, arm in found["arms"].items()
        if "domains" in arm and name != found["baseline"]
    ]
    return table(["arm", "better", "worse", "undecided"], rows)


def kinds(found: Found) -> str:
    """Return the share of each kind in each arm's draws; empty without labels."""
    arms = {name: arm["kinds"] for name, arm in found["arms"].items() if arm.get("kinds")}
    if not arms:
        return ""
    names = list(next(iter(arms.values())))
    rows = [[name, *(f"{shares[kind]:.2f}" for kind in names)] for name, shares in arms.items()]
    return table(["share of tokens", *names], rows)


def areas(found: Found) -> str:
    """Return how far each score of each version tells clean from junk; empty without labels."""
    rows, kinds_of = [], []
    for name, arm in found["arms"].items():
        for score, by_kind in ((arm.get("truth") or {}).get("auc") or {}).items():
            kinds_of = list(by_kind)
            rows.append([name, score, *(number(value) for value in by_kind.values())])
    return table(["arm", "AUC of", *kinds_of], rows) if rows else ""


def words(found: Found) -> str:
    """Return how it was judged."""
    texts = sum(entry["texts"] for entry in found["texts"].values())
    refused = sum(entry["refused"] for entry in found["texts"].values())
    return (
        f"{found['learner']} learner, {found['seeds']} pairs, {found['budget_tokens']:,} tokens a "
        f"draw, {found['pool']:.0%} of the corpus to draw from, {texts} texts in "
        f"{len(found['texts'])} groups ({refused} refused), "
        f"{found['cost']['trainings']} trainings in {found['cost']['seconds']:.0f} s."
    )


def main() -> None:
    """Print the tables of each file."""
    for name in sys.argv[1:]:
        found = json.loads(Path(name).read_text(encoding="utf-8"))
        parts = [words(found), differences(found), own_part(found), domains(found)]
        parts += [kinds(found), areas(found)]
        print("\n\n".join(part for part in parts if part), end="\n\n")  # noqa: T201


if __name__ == "__main__":
    main()
