"""The page of a difference: the words, a bar of causes for each group, then every number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from samplemix_dagster.pages.frame import Table, render

_COLOURS = ("#3b6ea5", "#d97b29", "#3f8f6b", "#a0528f", "#b8a02b", "#5f7f8f", "#c0504d", "#6f6fc0")
_WIDTH, _LABEL, _ROW = 1130, 250, 26
_GROUPS_DRAWN = 12


def difference_page(found: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return the page of a difference.

    Args:
        found: What ``trace/difference/difference.py`` gives.
        names: How each of its causes is called, in its order.
    """
    a, b = found["a"], found["b"]
    colours = [_COLOURS[index % len(_COLOURS)] for index in range(len(names))]
    lead = f"A was made {a['made_at']}, B {b['made_at']}. Contributions add up to the difference."
    return render(
        "difference.html",
        title=f"What differs: {a['name']} {a['version'][:12]} and {b['name']} {b['version'][:12]}",
        lead=lead,
        words=found["words"],
        key=list(zip(names, colours, strict=True)),
        causes=_causes(found, names) if found["causes"] else None,
        groups=[
            {
                "kind": kind.replace("_", " "),
                "variation": f"{found['total_variation'][kind]:.2%}",
                "bars": _bars(rows, colours),
                "table": _group_table(rows, names),
            }
            for kind, rows in found["groups"].items()
        ],
    )


def _causes(found: Mapping[str, Any], names: Sequence[str]) -> Table:
    rows = []
    for name, cause in zip(names, found["causes"], strict=True):
        change = cause["change"]
        rows.append(
            (
                name,
                change["tokens"],
                change["draws"],
                change["documents_drawn"],
                change["mean_quality"],
                change["mean_diversity"],
                "; ".join([*cause["what"], cause["joined_because"]]).strip("; "),
            )
        )
    total = found["change"]
    rows.append(
        (
            "together",
            total["tokens"],
            total["draws"],
            total["documents_drawn"],
            total["mean_quality"],
            total["mean_diversity"],
            "B less A",
        )
    )
    head = ("cause", "tokens", "draws", "documents drawn", "quality", "diversity", "what changed")
    return Table(head, rows)


def _group_table(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> Table:
    columns = ("name", "tokens A", "tokens B", "share A", "share B", "change", *names)
    return Table(
        columns,
        [
            (
                row["name"],
                row["tokens_a"],
                row["tokens_b"],
                f"{row['share_a']:.1%}",
                f"{row['share_b']:.1%}",
                row["tokens_change"],
                *(part["tokens"] for part in row["by_cause"]),
            )
            for row in rows
        ],
    )


class _Part(NamedTuple):
    """What one cause moves of a group, in the picture's units."""

    x: float
    width: float
    colour: str
    tokens: str


@dataclass(frozen=True, slots=True)
class _Bar:
    """A group's contributions: losses to the left of zero, gains to the right."""

    name: str
    change: str
    top: int
    parts: list[_Part]
    net: float
    right: float
    height: int = _ROW - 8


@dataclass(frozen=True, slots=True)
class _Bars:
    """The bars below each other, and where zero is."""

    bars: list[_Bar]
    zero: float
    height: int
    width: int = _WIDTH


def _bars(rows: Sequence[Mapping[str, Any]], colours: Sequence[str]) -> _Bars | None:
    """Return the bars of the first groups that moved, or None where none did."""
    drawn = [row for row in rows if row["tokens_change"] or row["draws_change"]][:_GROUPS_DRAWN]
    if not drawn:
        return None
    low = min(0, *(sum(min(0, p["tokens"]) for p in row["by_cause"]) for row in drawn))
    high = max(0, *(sum(max(0, p["tokens"]) for p in row["by_cause"]) for row in drawn))
    scale = (_WIDTH - _LABEL - 155) / max(1, high - low)
    zero = _LABEL + 65 - low * scale
    bars = [_bar(row, colours, zero, scale, at * _ROW + 4) for at, row in enumerate(drawn)]
    return _Bars(bars, round(zero, 1), _ROW * len(drawn) + 8)


def _bar(
    row: Mapping[str, Any], colours: Sequence[str], zero: float, scale: float, top: int
) -> _Bar:
    left = right = zero
    parts = []
    for part, colour in zip(row["by_cause"], colours, strict=True):
        tokens = part["tokens"]
        width = abs(tokens) * scale
        left -= width if tokens < 0 else 0
        if width:
            x = left if tokens < 0 else right
            parts.append(_Part(round(x, 1), round(width, 1), colour, f"{tokens:+,}"))
        right += width if tokens > 0 else 0
    net = round(zero + row["tokens_change"] * scale, 1)
    return _Bar(row["name"], f"{row['tokens_change']:+,}", top, parts, net, round(right, 1))
