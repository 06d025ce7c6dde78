"""Small pictures that the UI shows in place: SVG in markdown, under the UI's limit of length.

The UI shows markdown in its table when it is under 1,000 characters, and hides a longer one behind
"Show Markdown". So every picture here is tried with less detail until it fits. Colours are the
same everywhere: corpus blue, target grey, mixture orange.
"""

import base64
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple
from urllib.parse import quote

import dagster as dg
import numpy as np
import numpy.typing as npt

CORPUS, MIXTURE, TARGET = "#3b6ea5", "#d97b29", "#777"
SHOWN_IN_PLACE = 999
"""Most characters of markdown that the UI shows without a click."""
_WIDTH, _HEIGHT, _MARGIN = 240, 80, 14
_ROWS_IN_PLACE = 6
_PANEL = 150
_WRITING = f"font-size='10' font-family='Arial' fill='{TARGET}'"
_LEVELS = {3: (0.95, 0.8, 0.5), 2: (0.9, 0.5)}
"""By the number of shades: a cell is as dark as the fewest cells with such a share of the tokens
that it belongs to."""
_DETAILS = (
    (12, 3, True),
    (12, 2, True),
    (10, 2, True),
    (8, 3, True),
    (12, 2, False),
    (8, 2, True),
    (8, 2, False),
    (6, 2, False),
)
"""Cells a side of the plane, shades, and whether the law's outline is drawn: the first that fits
is taken."""
_UNESCAPED = "/:=',;.-!*$+~@"

Floats = npt.NDArray[np.float64]


def histogram_svg(
    counts: npt.NDArray[Any], lower: float, upper: float, colour: str = CORPUS
) -> dg.MarkdownMetadataValue:
    """Return a stepped outline over [lower, upper], with both ends written below."""
    peak = max(1.0, float(np.max(counts, initial=0)))
    room = _HEIGHT - _MARGIN
    step = _WIDTH // max(1, len(counts))
    outline = "".join(f"V{room - round(room * count / peak)}h{step}" for count in counts)
    end = step * len(counts)
    body = (
        f"<path fill='{colour}' d='M0,{room}{outline}V{room}z'/>"
        f"<text y='{_HEIGHT - 2}'>{lower:g}</text>"
        f"<text x='{end - 6}' y='{_HEIGHT - 2}'>{upper:g}</text>"
    )
    return _first_that_fits([partial(_picture, body, _WIDTH, _HEIGHT, "histogram")])


def bars_svg(rows: Sequence[tuple[str, float, float]], label: str) -> dg.MarkdownMetadataValue:
    """Return two bars a row, before (blue) and after (orange), for the largest shares that fit."""
    shown = list(rows[:_ROWS_IN_PLACE])
    sizes = range(len(shown), 0, -1) if shown else [0]
    return _first_that_fits(
        [partial(_picture, _bars(shown[:n]), _WIDTH, 20 * n, label) for n in sizes]
    )


def _bars(shown: Sequence[tuple[str, float, float]]) -> str:
    peak = max([1e-9, *(max(before, after) for _, before, after in shown)])
    texts, before_path, after_path = "", "", ""
    for index, (name, before, after) in enumerate(shown):
        top = 20 * index
        word = _escape(name if len(name) <= 14 else name[:13] + "…")
        texts += f"<text y='{top + 12}'>{word} {100 * before:.0f}→{100 * after:.0f}%</text>"
        before_path += f"M130,{top + 2}h{round(100 * before / peak)}v7H130z"
        after_path += f"M130,{top + 10}h{round(100 * after / peak)}v7H130z"
    return (
        f"{texts}<path fill='{CORPUS}' d='{before_path}'/><path fill='{MIXTURE}' d='{after_path}'/>"
    )


def plane_svg(
    corpus_BB: npt.NDArray[Any],
    mixture_BB: npt.NDArray[Any] | None,
    law_BB: Floats | None,
) -> dg.MarkdownMetadataValue:
    """Return the (quality, diversity) plane in few cells: the corpus, and the mixture beside it.

    The darkest cells hold half of the tokens, all shades together at least nine tenths.

    Args:
        corpus_BB: Tokens of the corpus, quality first.
        mixture_BB: Tokens drawn, or None for the corpus alone.
        law_BB: Cell probabilities of a law; half of its mass lies inside the grey outline in the
            last panel, where there is room for it.
    """
    panels = [(CORPUS, np.asarray(corpus_BB, dtype=np.float64))]
    words = "blue: tokens"
    if mixture_BB is not None:
        panels.append((MIXTURE, np.asarray(mixture_BB, dtype=np.float64)))
        words = "blue: corpus; orange: mixture"
    return _first_that_fits(
        [
            partial(_plane, panels, law_BB if outlined else None, cells, shades, words)
            for cells, shades, outlined in _DETAILS
        ]
    )


def _plane(
    panels: Sequence[tuple[str, Floats]], law_BB: Floats | None, cells: int, shades: int, words: str
) -> str:
    """Draw panels of ``cells`` units a side, two units apart.

    The middle of the top row is at height 0, so that a stroke along a row has whole numbers.
    """
    body = ""
    for number, (colour, tokens_BB) in enumerate(panels):
        is_last = number == len(panels) - 1
        law_CC = coarse(law_BB, cells) if law_BB is not None and is_last else None
        panel = _panel(colour, coarse(tokens_BB, cells), law_CC, _LEVELS[shades])
        left = number * (cells + 2)
        body += f"<g transform='translate({left})'>{panel}</g>" if left else panel
    width = len(panels) * (cells + 2) - 2
    box = f"viewBox='0,-.5,{width},{cells}'"
    unit = _PANEL / cells
    return f"{words}\n\n{_picture(body, unit * width, _PANEL, 'plane', box)}"


def _panel(colour: str, tokens_CC: Floats, law_CC: Floats | None, levels: Sequence[float]) -> str:
    cells = len(tokens_CC)
    shades = "".join(f"<path d='{_runs(tokens_CC, part)}'/>" for part in levels)
    line = "" if law_CC is None else _outline(law_CC, 0.5)
    return (
        f"<g stroke='{colour}' stroke-opacity='.{'5' if len(levels) == 2 else '4'}'>{shades}</g>"
        f"<path fill='none' stroke='{TARGET}' stroke-width='.2' "
        f"d='M0-.5v{cells}h{cells}v-{cells}z{line}'/>"
    )


def coarse(values_BB: npt.NDArray[Any], cells: int) -> Floats:
    """Return sums over ``cells`` x ``cells`` parts of a square, as equal as its bins allow."""
    bins = values_BB.shape[0]
    starts = np.arange(cells) * bins // cells
    rows = np.add.reduceat(np.asarray(values_BB, dtype=np.float64), starts, axis=0)
    return np.asarray(np.add.reduceat(rows, starts, axis=1))


def inside(values_CC: Floats, part: float) -> npt.NDArray[np.bool_]:
    """Return the fewest cells that hold this part of the sum."""
    order = np.argsort(values_CC, axis=None, kind="stable")[::-1]
    held = np.cumsum(values_CC.ravel()[order])
    chosen = np.zeros(values_CC.size, dtype=np.bool_)
    if held[-1] > 0:
        chosen[order[: int(np.searchsorted(held, part * held[-1] * (1 - 1e-12))) + 1]] = True
    return chosen.reshape(values_CC.shape)


def _runs(values_CC: Floats, part: float) -> str:
    """Return a stroke for each run of chosen cells in a row; diversity goes up."""
    return "".join(
        f"M{start},{row}h{length}"
        for row, chosen in enumerate(inside(values_CC, part).T[::-1])
        for start, length in _stretches(chosen)
    )


def _stretches(chosen: npt.NDArray[np.bool_]) -> Iterable[tuple[int, int]]:
    """Yield (start, length) of each run of true values."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], chosen, [False]]).astype(np.int8)))
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        yield int(start), int(end - start)


def _outline(values_CC: Floats, part: float) -> str:
    """Return a line around the rows that hold a part: one span a row, from first to last cell."""
    spans = []
    for row, chosen in enumerate(inside(values_CC, part).T[::-1]):
        where = np.flatnonzero(chosen)
        if len(where):
            spans.append((row, int(where[0]), int(where[-1]) + 1))
    if not spans:
        return ""
    down = "".join(f"H{end}v1" for _, _, end in spans)
    up = "".join(f"H{start}v-1" for _, start, _ in reversed(spans))
    return f"M{spans[0][1]},{spans[0][0] - 0.5:g}{down}{up}"


def _picture(body: str, width: float, height: float, label: str, more: str = _WRITING) -> str:
    """Return markdown of an SVG, in the shorter of two spellings."""
    svg = (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width:.0f}' height='{height:.0f}' {more}>"
        f"{body}</svg>"
    )
    spelled = "," + quote(svg, safe=_UNESCAPED)
    encoded = ";base64," + base64.b64encode(svg.encode()).decode()
    return f"![{label}](data:image/svg+xml{min(spelled, encoded, key=len)})"


class Interval(NamedTuple):
    """A difference, with its interval where there is one."""

    name: str
    value: float
    low: float | None
    high: float | None


def intervals_svg(rows: Sequence[Interval], label: str) -> dg.MarkdownMetadataValue:
    """Return a dot and an interval a row beside the line at nought.

    None is left out: the last may be the losses. So many rows are shown behind a click.
    """
    return dg.MetadataValue.md(_picture(_intervals(rows), _WIDTH + 80, 16 * len(rows), label))


def _intervals(rows: Sequence[Interval]) -> str:
    ends = [
        (row.value, *(row.value if end is None else end for end in (row.low, row.high)))
        for row in rows
    ]
    low = min([0.0, *(min(end) for end in ends)])
    high = max([1e-9, *(max(end) for end in ends)])

    def place(value: float) -> int:
        return 116 + round(200 * (value - low) / (high - low))

    words, lines, dots = "", "", ""
    for index, (row, (value, left, right)) in enumerate(zip(rows, ends, strict=True)):
        middle = 16 * index + 8
        word = _escape(row.name if len(row.name) <= 18 else row.name[:17] + "…")
        words += f"<text y='{middle + 4}'>{word}</text>"
        lines += f"M{place(left)},{middle}H{place(right)}"
        dots += f"M{place(value) - 3},{middle - 3}h6v6h-6z"
    nought = f"<path stroke='{TARGET}' d='M{place(0)},0v{16 * len(rows)}'/>"
    return (
        f"{nought}{words}<path stroke='{MIXTURE}' d='{lines}'/><path fill='{MIXTURE}' d='{dots}'/>"
    )


def _first_that_fits(candidates: Sequence[Callable[[], str]]) -> dg.MarkdownMetadataValue:
    """Return the first picture that the UI shows in place; the last one where none does."""
    made = ""
    for make in candidates:
        made = make()
        if len(made) <= SHOWN_IN_PLACE:
            break
    return dg.MetadataValue.md(made)


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("'", "&#39;")


def share_rows(
    shares: Mapping[str, Mapping[str, Any]], most: int = 12
) -> list[tuple[str, float, float]]:
    """Return (name, before, after) of the largest groups."""
    rows = [
        (str(entry.get("name", name)), float(entry["share_before"]), float(entry["share_after"]))
        for name, entry in shares.items()
    ]
    return sorted(rows, key=lambda row: -max(row[1], row[2]))[:most]
