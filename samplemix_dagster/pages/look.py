"""What every page has in common: its frame, its colours, its tables.

Light or dark follows the reader's system. Text from a corpus goes through :func:`escape`.
"""

from collections.abc import Iterable, Sequence
from html import escape as _escape
from typing import Any

_STYLE = """
:root { color-scheme: light dark; --ink: #1c2733; --paper: #ffffff; --soft: #f2f5f8;
  --line: #cfd8e0; --quiet: #5b6b7a; --accent: #2f6aa8; --warn: #b03a2e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e9ee; --paper: #14191f; --soft: #1e262f;
  --line: #3a4754; --quiet: #9fb0bf; --accent: #7fb2e5; --warn: #f08a7d; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 28px 24px 60px; max-width: 1180px; color: var(--ink);
  background: var(--paper); font: 15px/1.5 system-ui, "Segoe UI", Roboto, Arial, sans-serif; }
h1 { font-size: 24px; margin: 0 0 4px; } h2 { font-size: 18px; margin: 34px 0 8px; }
p, ul { margin: 6px 0; } .quiet { color: var(--quiet); } .warn { color: var(--warn); }
code, .digest { font-family: ui-monospace, Consolas, monospace; font-size: 12.5px;
  overflow-wrap: anywhere; }
.scroll { overflow-x: auto; max-height: 460px; overflow-y: auto; border: 1px solid var(--line);
  border-radius: 6px; }
table { border-collapse: collapse; width: 100%; font-size: 13.5px; }
th, td { text-align: left; padding: 5px 10px; border-bottom: 1px solid var(--line);
  vertical-align: top; }
th { background: var(--soft); position: sticky; top: 0; white-space: nowrap; }
tr:last-child td { border-bottom: 0; }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums;
  white-space: nowrap; }
@media (max-width: 640px) { body { padding: 16px 12px 40px; } h1 { font-size: 20px; }
  h1, summary { overflow-wrap: anywhere; } th, td { padding: 5px 6px; }
  td.digest { min-width: 130px; } .wide::before { content: "The picture goes on to the right.";
  color: var(--quiet); font-size: 13px; position: sticky; left: 0; }
  .stacked thead { display: none; } .stacked td { display: block; border: 0; text-align: left;
  padding: 1px 8px; overflow-wrap: anywhere; } .stacked tr { display: block; padding: 6px 0;
  border-bottom: 1px solid var(--line); } .stacked td::before { content: attr(data-of) ": ";
  color: var(--quiet); font: 13px system-ui, "Segoe UI", Roboto, Arial, sans-serif; } }
a { color: var(--accent); } .links { display: flex; flex-wrap: wrap; gap: 4px 16px; }
details { margin: 10px 0; } summary { cursor: pointer; font-weight: 600; padding: 4px 0; }
svg { max-width: 100%; height: auto; display: block; }
.wide { margin: 18px 0; overflow-x: auto; } .wide svg { min-width: 1000px; }
svg text { fill: var(--ink); font-family: system-ui, Arial, sans-serif; }
svg .quiet { fill: var(--quiet); }
.key { display: flex; flex-wrap: wrap; gap: 6px 18px; margin: 8px 0; font-size: 13.5px; }
.key i { display: inline-block; width: 12px; height: 12px; border-radius: 3px; margin-right: 6px;
  vertical-align: -1px; }
"""
_SIDE_BY_SIDE = 3
"""Columns that fit beside each other on a narrow screen."""


def escape(value: Any) -> str:
    """Return text that HTML shows as it is."""
    return _escape(str(value), quote=True)


def page(title: str, lead: str, body: Iterable[str]) -> str:
    """Return a whole page.

    Args:
        title: Its heading, as plain text.
        lead: A line under the heading, as plain text.
        body: Pieces of HTML.
    """
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        f'<h1>{escape(title)}</h1><p class="quiet">{escape(lead)}</p>'
        + "\n".join(body)
        + "</body></html>\n"
    )


def section(title: str, *parts: str) -> str:
    """Return a part of a page under a heading."""
    return f"<h2>{escape(title)}</h2>" + "".join(parts)


def folded(title: str, *parts: str, is_open: bool = False) -> str:
    """Return a part that opens on a click."""
    state = " open" if is_open else ""
    return f"<details{state}><summary>{escape(title)}</summary>{''.join(parts)}</details>"


def bullets(sentences: Iterable[str]) -> str:
    """Return sentences as a list."""
    return "<ul>" + "".join(f"<li>{escape(sentence)}</li>" for sentence in sentences) + "</ul>"


def link_line(links: Iterable[tuple[str, str]]) -> str:
    """Return links in a row: words, and where they lead."""
    found = [f'<a href="{escape(to)}">{escape(words)}</a>' for words, to in links]
    return f'<p class="links">{" ".join(found)}</p>' if found else ""


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return a table that scrolls; numbers to the right, digests in a fixed width.

    On a narrow screen the cells of a wide one stand below each other, each with its column's name.
    """
    listed = [list(row) for row in rows]
    numeric = [
        bool(listed) and all(isinstance(row[index], int | float) for row in listed)
        for index in range(len(columns))
    ]
    head = "".join(
        f'<th class="number">{escape(name)}</th>' if right else f"<th>{escape(name)}</th>"
        for name, right in zip(columns, numeric, strict=True)
    )
    body = "".join(
        "<tr>" + "".join(_cell(*each) for each in zip(row, numeric, columns, strict=True)) + "</tr>"
        for row in listed
    )
    kind = ' class="stacked"' if len(columns) > _SIDE_BY_SIDE else ""
    return (
        f'<div class="scroll"><table{kind}><thead><tr>{head}</tr></thead><tbody>{body}</tbody>'
        "</table></div>"
    )


def _cell(value: Any, right: bool, column: str) -> str:
    of = f' data-of="{escape(column)}"'
    if right:
        shown = f"{value:,}" if isinstance(value, int) else f"{value:z,.4f}"
        return f'<td class="number"{of}>{shown}</td>'
    text = str(value)
    is_digest = len(text) >= 24 and " " not in text
    kind = ' class="digest"' if is_digest else ""
    return f"<td{kind}{of}>{escape(text)}</td>"


def wide(drawing: str) -> str:
    """Return an SVG that keeps its size on a narrow screen, where it scrolls."""
    return f'<div class="wide">{drawing}</div>'


def legend(colours: Iterable[tuple[str, str]]) -> str:
    """Return names with their colours."""
    parts = "".join(
        f'<span><i style="background:{colour}"></i>{escape(name)}</span>'
        for name, colour in colours
    )
    return f'<div class="key">{parts}</div>'


def shortened(text: str, length: int) -> str:
    """Return text of at most so many characters."""
    return text if len(text) <= length else text[: length - 1] + "…"
