"""A difference in sentences, the biggest movements first."""

from collections.abc import Mapping
from typing import Any

from samplemix_dagster.stages.mixture.drawing.axes import SHARE_GROUP
from samplemix_dagster.trace.difference.causes import MEANING, cause_name

_MOVERS = 5


def headline(found: Mapping[str, Any]) -> list[str]:
    """Return a difference in sentences, the biggest movements first."""
    a, b, change = found["a_totals"], found["b_totals"], found["change"]
    if not found["causes"]:
        return ["Nothing differs: the two versions have the same draws, for the same reasons."]
    shared = found["documents"]
    lines = [
        f"B draws {b['tokens']:,} tokens in {b['draws']:,} draws of {b['documents_drawn']:,} "
        f"documents; A draws {a['tokens']:,} in {a['draws']:,} of {a['documents_drawn']:,}.",
        f"{shared['in_both']:,} documents are drawn by both, {shared['only_a']:,} by A alone, "
        f"{shared['only_b']:,} by B alone; {shared['shared_tokens']:,} tokens are drawn by both.",
        f"Mean quality {a['mean_quality']:.4f} -> {b['mean_quality']:.4f}, mean diversity "
        f"{a['mean_diversity']:.4f} -> {b['mean_diversity']:.4f}.",
    ]
    if not any(change.values()):
        lines.append("The totals are the same; what was drawn is in the parts below.")
    for kind in (SHARE_GROUP, "source", "cluster"):
        rows = found["groups"].get(kind, [])[:_MOVERS]
        lines += [_mover(kind, row) for row in rows if row["tokens_change"] or row["draws_change"]]
    lines += [_because(cause) for cause in found["causes"]]
    if found["unchanged"]:
        lines.append(
            "Without effect: " + ", ".join(MEANING[cause] for cause in found["unchanged"]) + "."
        )
    if found["not_measured"]:
        kinds = ", ".join(found["not_measured"])
        lines.append(f"Not measured, since scores are gone from the lake: {kinds}.")
    return lines


def _mover(kind: str, row: Mapping[str, Any]) -> str:
    change, place = row["draws_change"], f"{kind.replace('_', ' ')} {row['name']}"
    plural = "" if abs(change) == 1 else "s"
    moved = f"{abs(change):,} {'more' if change > 0 else 'fewer'} draw{plural}"
    if change == 0:
        moved = "as many draws, but others,"
    parts = [
        f"{part['tokens']:+,} by {cause_name(part['causes'])}"
        for part in row["by_cause"]
        if part["draws"] or part["tokens"]
    ]
    return (
        f"B takes {moved} from {place} (share {row['share_a']:.1%} -> {row['share_b']:.1%}), "
        f"{row['tokens_change']:+,} tokens: {', '.join(parts)}."
    )


def _because(cause: Mapping[str, Any]) -> str:
    change = cause["change"]
    name = cause_name(cause["causes"])
    line = (
        f"{name[0].upper()}{name[1:]}: {change['tokens']:+,} tokens, {change['draws']:+,} draws, "
        f"quality {change['mean_quality']:+z.4f}, diversity {change['mean_diversity']:+z.4f}"
    )
    if cause["what"]:
        line += f". {'; '.join(cause['what'])}"
    if cause["joined_because"]:
        line += f". They cannot be told apart: {cause['joined_because']}"
    return f"{line}."
