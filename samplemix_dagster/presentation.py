"""What the command line shows: tables, progress bars, sizes. All but data goes to stderr.

With ``--json`` stdout holds one JSON value and nothing else; people's words go to stderr.
"""

import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Self


def print_json(value: Any) -> None:
    """Print one JSON value on stdout."""
    sys.stdout.write(json.dumps(value, indent=1, ensure_ascii=False, default=_plain) + "\n")


def _plain(value: Any) -> Any:
    """Return what JSON lacks a kind for: whole decimals (DuckDB's wide sums) stay numbers."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return str(value)


def print_lines(lines: Iterable[str]) -> None:
    """Print lines on stdout."""
    for line in lines:
        sys.stdout.write(line + "\n")


def say(sentence: str) -> None:
    """Tell a person something, on stderr."""
    sys.stderr.write(sentence + "\n")
    sys.stderr.flush()


def number(value: float | None) -> str:
    """Return a count with separators, or a dash."""
    return "-" if value is None else f"{value:,.0f}"


def duration(seconds: float | None) -> str:
    """Return seconds as a person says them, or a dash."""
    if seconds is None:
        return "-"
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def share(value: float) -> str:
    """Return a share as a percentage."""
    return f"{value:.1%}"


def size(num_bytes: float) -> str:
    """Return a number of bytes as people write it, in powers of ten."""
    for unit in ("B", "kB", "MB", "GB"):
        if num_bytes < 1000:
            return f"{num_bytes:.0f} {unit}" if unit == "B" else f"{num_bytes:.1f} {unit}"
        num_bytes /= 1000
    return f"{num_bytes:.1f} TB"


def print_table(
    columns: Sequence[str], rows: Sequence[Sequence[Any]], *, title: str | None = None
) -> None:
    """Print a table on stdout; numbers to the right."""
    if not rows:
        print_lines([title] if title else [])
        return
    cells = [[_cell(value) for value in row] for row in rows]
    is_number = [
        all(isinstance(row[index], int | float) or row[index] is None for row in rows)
        or all(cell[:1] in "-0123456789" for cell in (line[index] for line in cells) if cell)
        for index in range(len(columns))
    ]
    widths = [
        max(len(name), *(len(line[index]) for line in cells)) for index, name in enumerate(columns)
    ]

    def line_of(values: Sequence[str]) -> str:
        parts = [
            value.rjust(width) if right else value.ljust(width)
            for value, width, right in zip(values, widths, is_number, strict=True)
        ]
        return "  ".join(parts).rstrip()

    head = [title, ""] if title else []
    print_lines([*head, line_of(columns), line_of(["-" * width for width in widths])])
    print_lines(line_of(cell) for cell in cells)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:z,.4f}".rstrip("0").rstrip(".") if abs(value) < 1e6 else f"{value:,.0f}"
    if isinstance(value, int):
        return f"{value:,}"
    text = str(value).replace("\n", " ")
    return text if len(text) <= 60 else text[:59] + "…"


class Bars:
    """Progress bars on stderr, one a step; plain lines where stderr is no terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        self._console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._tasks: dict[str, Any] = {}
        self._is_live = self._console.is_terminal

    def __enter__(self) -> Self:
        """Start drawing."""
        if self._is_live:
            self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop drawing."""
        if self._is_live:
            self._progress.stop()

    def update(self, asset: str, partition: str, done: int, total: int) -> None:
        """Move a step's bar."""
        if not self._is_live:
            return
        label = f"{asset} [{partition}]" if partition else asset
        if label not in self._tasks:
            for task in self._tasks.values():
                self._progress.update(task, visible=False)
            self._tasks[label] = self._progress.add_task(label, total=total or None)
        self._progress.update(self._tasks[label], completed=done, total=total or None)

    def note(self, sentence: str) -> None:
        """Say what starts."""
        if self._is_live:
            self._progress.console.print(sentence, style="dim", highlight=False)
        else:
            say(sentence)


def mixture_lines(manifest: Mapping[str, Any]) -> list[str]:
    """Return a mixture's report in words and numbers."""
    report = manifest["report"]
    left = report["budget_tokens"] - report["realised_tokens"]
    promised, control, corpus = report["promised"], report["control"], report["corpus"]
    lines = [
        f"mixture {manifest['name']}  version {manifest['version']}",
        f"  made {manifest['made_at']} by {manifest['made_by'] or 'unknown'}",
        f"  tokens       {report['realised_tokens']:,} of {report['budget_tokens']:,} "
        f"({left:,} left: less than the next document)",
        f"  documents    {report['num_documents_drawn']:,} of {report['num_documents']:,} drawn, "
        f"{report['num_draws']:,} draws",
        f"  quality      {report['mean_quality']:.3f}  corpus {corpus['mean_quality']:.3f}, "
        f"promised {promised['mean_quality']:.3f}, control {control['mean_quality']:.3f}",
        f"  diversity    {report['mean_diversity']:.3f}  corpus {corpus['mean_diversity']:.3f}, "
        f"promised {promised['mean_diversity']:.3f}, control {control['mean_diversity']:.3f}",
        f"  near-duplicates  {report['near_duplicate_share_before']:.1%} of the corpus's tokens, "
        f"{report['near_duplicate_share_after']:.1%} of the mixture's",
        f"  effective sample {report['effective_sample_size_tokens']:,} tokens "
        f"({report['effective_sample_share']:.0%} of the corpus), KL {report['kl_nats']:.3f} nats",
    ]
    return lines + [f"  warning: {warning}" for warning in report["warnings"]]
