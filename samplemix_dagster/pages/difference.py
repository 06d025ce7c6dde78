"""The page of a difference: the words, a bar of causes for each group, then every number."""

from collections.abc import Mapping, Sequence
from typing import Any

from samplemix_dagster.pages.look import (
    bullets,
    escape,
    folded,
    legend,
    page,
    section,
    shortened,
    table,
    wide,
)

_COLOURS = ("#3b6ea5", "#d97b29", "#3f8f6b", "#a0528f", "#b8a02b", "#5f7f8f", "#c0504d", "#6f6fc0")
_WIDTH, _LABEL, _ROW = 1130, 250, 26
_GROUPS_DRAWN = 12


def difference_page(found: Mapping[str, Any], names: Sequence[str]) -> str:
    """Return the page of a difference.

    Args:
        found: What ``engine.difference`` gives.
        names: How each of its causes is called, in its order.
    """
    a, b = found["a"], found["b"]
    colours = [_COLOURS[index % len(_COLOURS)] for index in range(len(names))]
    body = [bullets(found["words"])]
    if found["causes"]:
        note = "<p class='quiet'>In the bars below, the thick mark is the whole change.</p>"
        body.append(
            section(
                "What each cause moves",
                note,
                legend(list(zip(names, colours, strict=True))),
                _causes(found, names),
            )
        )
    for kind, rows in found["groups"].items():
        moved = [row for row in rows if row["tokens_change"] or row["draws_change"]]
        variation = found["total_variation"][kind]
        line = f"<p class='quiet'>Total variation between the token shares: {variation:.2%}.</p>"
        parts = [line]
        if moved:
            parts.append(_bars(moved[:_GROUPS_DRAWN], colours, kind))
        parts.append(folded(f"all {len(rows)} of them", _group_table(rows, names)))
        body.append(section(f"Tokens by {kind}", *parts))
    title = f"What differs: {a['name']} {a['version'][:12]} and {b['name']} {b['version'][:12]}"
    lead = f"A was made {a['made_at']}, B {b['made_at']}. Contributions add up to the difference."
    return page(title, lead, body)


def _causes(found: Mapping[str, Any], names: Sequence[str]) -> str:
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
    return table(head, rows)


def _group_table(rows: Sequence[Mapping[str, Any]], names: Sequence[str]) -> str:
    columns = ("name", "tokens A", "tokens B", "share A", "share B", "change", *names)
    return table(
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


def _bars(rows: Sequence[Mapping[str, Any]], colours: Sequence[str], kind: str) -> str:
    """Draw each group's contributions: losses to the left of zero, gains to the right."""
    low = min(0, *(sum(min(0, p["tokens"]) for p in row["by_cause"]) for row in rows))
    high = max(0, *(sum(max(0, p["tokens"]) for p in row["by_cause"]) for row in rows))
    scale = (_WIDTH - _LABEL - 155) / max(1, high - low)
    zero = _LABEL + 65 - low * scale
    height = _ROW * len(rows) + 8
    parts = [
        f'<line x1="{zero:.1f}" x2="{zero:.1f}" y1="0" y2="{height}" stroke="var(--quiet)" '
        'stroke-width="1"/>'
    ]
    for index, row in enumerate(rows):
        parts.append(_bar(row, colours, zero, scale, index * _ROW + 4))
    label = f"Change of tokens by {kind}, split by cause"
    return wide(
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
    )


def _bar(
    row: Mapping[str, Any], colours: Sequence[str], zero: float, scale: float, top: float
) -> str:
    parts = [
        f'<text x="0" y="{top + 14:.0f}" font-size="12.5">'
        f"<title>{escape(row['name'])}</title>{escape(shortened(row['name'], 38))}</text>"
    ]
    left = right = zero
    for part, colour in zip(row["by_cause"], colours, strict=True):
        width = abs(part["tokens"]) * scale
        if part["tokens"] < 0:
            left -= width
        x = left if part["tokens"] < 0 else right
        if part["tokens"] > 0:
            right += width
        if width:
            parts.append(
                f'<rect x="{x:.1f}" y="{top:.0f}" width="{width:.1f}" height="{_ROW - 8}" '
                f'fill="{colour}"><title>{part["tokens"]:+,} tokens</title></rect>'
            )
    net = zero + row["tokens_change"] * scale
    parts.append(
        f'<path d="M{net:.1f} {top - 3:.0f}V{top + _ROW - 5:.0f}" stroke="var(--ink)" '
        'stroke-width="2.5"/>'
    )
    parts.append(
        f'<text class="quiet" x="{right + 8:.1f}" y="{top + 14:.0f}" font-size="12">'
        f"{row['tokens_change']:+,}</text>"
    )
    return "".join(parts)
