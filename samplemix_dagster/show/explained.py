"""One document or row in words: where it stands, its scores, what mixtures do with it, and why."""

import json
from collections.abc import Mapping
from typing import Any

_TEXT_CHARACTERS = 2000


def explanation_lines(found: Mapping[str, Any]) -> list[str]:
    """Return an explanation in words."""
    if "rejected" in found:
        row = found["rejected"]
        return [
            f"row {row['row']} of {row['shard']} ({row['source']}) is no document",
            f"  {row['reason']}: {row['meaning']}",
            "  it has no id and no score, and no mixture can draw it",
            *(["", "excerpt", f"  {row['excerpt']}"] if row["excerpt"] else []),
        ]
    lines = [f"document {found['doc_id']}"]
    for place in found["occurrences"]:
        given = f", id {place['id']}" if place["id"] else ""
        given += _licence(place["metadata"])
        lines.append(f"  stands in {place['source']}: {place['shard']} row {place['row']}{given}")
    first = found["occurrences"][0]
    if first["num_bytes"] is not None:
        lines.append(f"  language {first['language']}, {first['num_bytes']:,} bytes")
    lines += _score_lines(found["scores"])
    for row in found["mixtures"]:
        state = f"drawn {row['copies']} times" if row["copies"] else f"not drawn ({row['reason']})"
        if row["copies"] == 1:
            state = "drawn once"
        lines += ["", f"mixture {row['mixture']} {row['version'][:12]}: {state}"]
        lines.append(f"  {row['because']}")
    text = found["text"]
    if text is None:
        return [*lines, "", "text", "  no longer there: its shard was removed or rewritten"]
    cut = "" if len(text) <= _TEXT_CHARACTERS else f"\n  ... {len(text):,} characters in all"
    return [*lines, "", "text", *("  " + p for p in text[:_TEXT_CHARACTERS].splitlines()), cut]


def _licence(metadata: str | None) -> str:
    """Return what the fields kept beside a document say of its licence; empty where nothing."""
    fields = json.loads(metadata or "{}")
    found = next((fields[name] for name in ("license", "licence") if fields.get(name)), None)
    return "" if found is None else f", licence {found}"


def _score_lines(scores: Mapping[str, Any] | None) -> list[str]:
    if not scores:
        return []
    skipped = {"doc_id", "source", "shard", "row", "id", "num_bytes", "language"}
    return [
        "",
        "scores",
        *(f"  {name:<22} {value}" for name, value in scores.items() if name not in skipped),
    ]
