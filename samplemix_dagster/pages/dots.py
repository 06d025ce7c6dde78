"""Dots with intervals: how far each arm lies from the baseline, which is the line at nought.

Places are in percent of the picture's width, so that it is as wide as what it stands in and its
words keep their size, on a telephone as on a desk.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

ROW = 40
"""Pixels from one arm to the next: its words above, its interval below."""
_FOOT = 44
_MARGIN = 3.0
_MOST_TICKS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What is drawn of an arm: its difference, and the interval where there is one."""

    name: str
    value: float
    low: float | None
    high: float | None
    verdict: str
    is_control: bool = False


@dataclass(frozen=True, slots=True)
class Dot:
    """A figure in the picture's units."""

    figure: Figure
    words: str
    top: int
    x: float
    left: float
    right: float

    @property
    def middle(self) -> int:
        """The height at which the interval lies."""
        return self.top + 27


@dataclass(frozen=True, slots=True)
class Dots:
    """The dots below each other, the ticks of the scale, and where nought is."""

    dots: list[Dot]
    ticks: list[tuple[float, str]]
    zero: float
    label: str

    @property
    def foot(self) -> int:
        """The height at which the scale lies."""
        return ROW * len(self.dots) + 4

    @property
    def height(self) -> int:
        """Pixels of the whole."""
        return self.foot + _FOOT


def dots_of(figures: Sequence[Figure], label: str) -> Dots | None:
    """Return the picture of some figures; None where there is none.

    Args:
        figures: Arms in the order in which they are drawn.
        label: What the picture shows, for those who do not see it.
    """
    if not figures:
        return None
    low = min(0.0, *(_ends(one)[0] for one in figures))
    high = max(0.0, *(_ends(one)[1] for one in figures))
    if high == low:
        low, high = -1e-4, 1e-4

    def place(value: float) -> float:
        return round(_MARGIN + (100 - 2 * _MARGIN) * (value - low) / (high - low), 2)

    return Dots(
        dots=[
            Dot(one, _words(one), ROW * at, place(one.value), *map(place, _ends(one)))
            for at, one in enumerate(figures)
        ],
        ticks=[(place(value), words) for value, words in _ticks(low, high)],
        zero=place(0.0),
        label=label,
    )


def _ends(figure: Figure) -> tuple[float, float]:
    low = figure.value if figure.low is None else figure.low
    return low, figure.value if figure.high is None else figure.high


def _words(figure: Figure) -> str:
    if figure.low is None or figure.high is None:
        return f"{figure.value:+.4f}"
    return f"{figure.value:+.4f} [{figure.low:+.4f}, {figure.high:+.4f}]"


def _ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Return round numbers between two ends, nought among them, with how they are written."""
    rough = (high - low) / _MOST_TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    numbers = range(math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9) + 1)
    return [(at * step, f"{at * step:+.{digits}f}" if at else "0") for at in numbers]
