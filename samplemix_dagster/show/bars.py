"""Progress while a run works: which asset, of which source, how far, how fast, how much longer.

On a terminal one line moves; elsewhere a plain line says every half minute how far a step is. The
terminal is taken hold of at the start, since Dagster turns stderr into a file while a step runs.
"""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any, Self

from samplemix_dagster.show.presentation import duration
from samplemix_dagster.show.terminal import own_console, plain, plain_line

_LINE_SECONDS = 30.0
_NAME_CHARACTERS = 24
_SOURCE_CHARACTERS = 14
_SPEED_SECONDS = 60.0
_COUNTED = {
    "reference_model": "tokens",
    "mixture": "shards",
    "export": "shards",
    "evaluation": "trainings",
}
"""What a step counts, where it is not documents."""
_COUNTED_BEFORE = {("evaluation", "held out?"): "shards", ("evaluation", "tokens"): "documents"}
"""What parts of a step count that count something else."""


class Bars:
    """Progress of steps on stderr: one moving line, or plain lines where there is no terminal."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        from rich.progress import (
            BarColumn,
            Progress,
            SpinnerColumn,
            TextColumn,
            TimeElapsedColumn,
        )

        self._console = own_console()
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            TextColumn("{task.fields[source]}", markup=False, style="cyan"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[count]}", markup=False, justify="right"),
            TextColumn("{task.fields[pace]}", markup=False, justify="right", style="dim"),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            expand=True,
            speed_estimate_period=_SPEED_SECONDS,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._is_live = self._console.is_terminal
        self._clock = clock
        self._task: Any = None
        self._step = ("", "")
        self._began = self._said = 0.0
        self._done = 0

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
        """Say how far a step is; 0 in all is not known. A new step takes the line over."""
        # What counts from the start again (a second model of two) has a pace of its own.
        if (asset, partition) != self._step or done < self._done:
            self._begin(asset, partition)
        self._done = done
        seconds = self._clock() - self._began
        step = asset.partition("/")[0]
        counted = _COUNTED_BEFORE.get((step, partition)) or _COUNTED.get(step, "documents")
        if not self._is_live:
            self._say_now_and_then(asset, partition, progress_words(done, total, seconds, counted))
            return
        self._progress.update(
            self._task,
            completed=min(done, total) if total else done,
            total=total or None,
            count=_count(done, total),
            pace=pace(done, total, seconds),
        )

    def _begin(self, asset: str, partition: str) -> None:
        self._step = (asset, partition)
        self._began = self._said = self._clock()
        if not self._is_live:
            return
        if self._task is not None:
            self._progress.remove_task(self._task)
        self._task = self._progress.add_task(
            _shortened(plain_line(asset), _NAME_CHARACTERS),
            total=None,
            source=_shortened(plain_line(partition), _SOURCE_CHARACTERS),
            count="",
            pace="",
        )

    def _say_now_and_then(self, asset: str, partition: str, words: str) -> None:
        if self._clock() - self._said >= _LINE_SECONDS:
            self._said = self._clock()
            where = f" [{partition}]" if partition else ""
            self._console.print(plain(f"  {asset}{where}: {words}"), soft_wrap=True)

    def note(self, sentence: str) -> None:
        """Say what starts."""
        style = "dim" if self._is_live else None
        self._console.print(plain(sentence), style=style, soft_wrap=not self._is_live)


def _shortened(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _count(done: int, total: int) -> str:
    if not done and not total:
        return ""
    return f"{short(done)}/{short(total)}" if total else short(done)


def short(value: float) -> str:
    """Return a count in at most five characters or so: 999, 12.3k, 4.5M."""
    for unit, size in (("B", 1e9), ("M", 1e6), ("k", 1e4)):
        if value >= size:
            scale = 1e3 if unit == "k" else size
            return f"{value / scale:.1f}{unit}"
    return f"{value:,.0f}"


def pace(done: int, total: int, seconds: float) -> str:
    """Return the rate so far and the time that is left at it; empty while there is none."""
    if done <= 0 or seconds <= 0.5:
        return ""
    rate = done / seconds
    words = f"{short(rate)}/s" if rate >= 1 else f"{short(rate * 60)}/min"
    return f"{words}, {duration((total - done) / rate)} left" if total > done else words


def progress_words(done: int, total: int, seconds: float, counted: str) -> str:
    """Return how far a step is as a person says it."""
    words = f"{done:,} of {total:,} {counted}" if total else f"{done:,} {counted}"
    moving = pace(done, total, seconds)
    return f"{words} ({moving})" if moving else f"{words}, for {duration(seconds)}"


@contextlib.contextmanager
def waiting(sentence: str) -> Iterator[None]:
    """Show on a terminal that something is at work which has no steps; nothing elsewhere."""
    console = own_console()
    if not console.is_terminal:
        yield
        return
    with console.status(plain_line(sentence)):
        yield
