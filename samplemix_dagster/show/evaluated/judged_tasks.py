"""How often each arm's learners answer right, for the terminal."""

from collections.abc import Iterator, Mapping
from typing import Any

from samplemix_dagster.show.printed_table import print_table
from samplemix_dagster.show.terminal import print_lines


def print_tasks(found: Mapping[str, Any]) -> None:
    """Print the accuracy of each arm by task, and what became of the tasks' rows."""
    tasks: Mapping[str, Any] = found.get("tasks", {})
    rows = [row for task in tasks for row in _rows(found["arms"], task)]
    if rows:
        print_table(
            ["task", "arm", "accuracy", "difference", "95 % interval", "chance"],
            rows,
            title=f"tasks: answers that are right, beside {found['baseline']}",
        )
    print_lines(_fate(task, counts) for task, counts in tasks.items())
    if tasks:
        print_lines([""])


def _rows(arms: Mapping[str, Any], task: str) -> Iterator[tuple[str, ...]]:
    for name, entry in arms.items():
        figures = entry["tasks"][task]
        if figures["accuracy"] is None:
            continue
        interval = (
            "" if figures["low"] is None else f"[{figures['low']:+.3f}, {figures['high']:+.3f}]"
        )
        yield (
            task,
            name,
            f"{figures['accuracy']:.3f}",
            f"{figures['difference']:+.3f}",
            interval,
            f"{figures['chance']:.3f}",
        )


def _fate(task: str, counts: Mapping[str, Any]) -> str:
    """Return what became of a task's rows, in a sentence."""
    parts = [f"{counts['judged']:,} of {counts['rows']:,} rows judged"]
    if counts["left_out"]:
        parts.append(f"{counts['left_out']:,} left out by hash")
    if counts["refused"]:
        parts.append(f"{counts['refused']:,} refused, which stand in the corpus")
    parts += [f"{count:,} rejected: {reason}" for reason, count in counts["rejected"].items()]
    return f"{task} ({counts['form']}): {'; '.join(parts)}."
