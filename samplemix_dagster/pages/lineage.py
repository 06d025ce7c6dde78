"""The page of a version's lineage: a picture from left to right, then every digest in tables."""

from collections.abc import Mapping, Sequence
from typing import Any

from samplemix_dagster.pages.look import (
    escape,
    folded,
    link_line,
    page,
    section,
    shortened,
    table,
    wide,
)

_WIDTH, _BOX_WIDTH, _BOX_HEIGHT, _GAP = 1130, 142, 44, 12
_SOURCES_SHOWN = 12
_COLOURS = {
    "source": "#3b6ea5",
    "model": "#7a5aa6",
    "feature": "#3f8f6b",
    "fit": "#b8862b",
    "mixture": "#d0602b",
}
_HEADS = ("shards and models", "read once", "fits", "scores", "combination", "law", "mixture")
_COLUMNS = {
    "documents": 1,
    "grams": 1,
    "words": 1,
    "perplexity": 1,
    "tokens": 1,
    "embeddings": 1,
    "corpus": 2,
    "calibration": 2,
    "cluster_fit": 2,
    "ngram_index": 2,
    "topic_fit": 2,
    "diversity_calibration": 4,
    "diversity": 4,
    "scores": 4,
    "beta": 5,
}
"""Where each node stands; a column only has edges from those to its left, or within it."""


def lineage_page(found: Mapping[str, Any], links: Sequence[tuple[str, str]] = ()) -> str:
    """Return the page of a lineage, as ``engine.lineage`` gives it.

    Args:
        found: The lineage.
        links: Words and address of other pages, where it is served beside some.
    """
    by_kind: dict[str, list[Mapping[str, Any]]] = {}
    for node in found["nodes"]:
        by_kind.setdefault(node["kind"], []).append(node)
    body = [
        link_line(links),
        _picture(found),
        section("Who, when, with which code", table(("what", "value"), _made(found))),
        section(
            "Fits",
            table(
                ("fit", "version", "asset", "in the lake"),
                [(n["name"], n["version"], n["asset"], _there(n)) for n in by_kind["fit"]],
            ),
        ),
        section(
            "Features",
            table(
                ("stage", "sources", "recipe", "tables", "folder"),
                [
                    (n["name"], ", ".join(n["sources"]), n["version"], n["note"], n["place"])
                    for n in by_kind["feature"]
                ],
            ),
        ),
        section(
            "Models",
            table(
                ("model", "digest", "found at", "today"),
                [(n["name"], n["version"], n["place"], n["note"]) for n in by_kind["model"]],
            ),
            *[
                folded(
                    f"files of the {n['name']}",
                    table(("file",), [(file,) for file in n["files"]]),
                )
                for n in by_kind["model"]
                if n["files"]
            ],
        ),
        section(
            "Shards",
            *[_shards(source, found["nodes"]) for source in by_kind["source"]],
        ),
        section("Packages", table(("package", "version"), sorted(found["packages"].items()))),
    ]
    lead = f"Everything that version {found['version']} was made from, as its manifest names it."
    return page(f"Lineage of mixture {found['name']}", lead, body)


def _made(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    git = found["git"]
    return [
        ("version", found["version"]),
        ("made", found["made_at"]),
        ("by", found["made_by"] or "unknown"),
        ("Dagster run", found["run_id"] or "none"),
        ("samplemix", found["samplemix_version"]),
        ("commit", "no git repository" if git is None else git["commit"]),
        ("tree was dirty", "-" if git is None else str(git["is_dirty"])),
        ("manifest", found["manifest"]),
    ]


def _there(node: Mapping[str, Any]) -> str:
    return "yes" if node["is_there"] else "gone"


def _shards(source: Mapping[str, Any], nodes: Sequence[Mapping[str, Any]]) -> str:
    wanted = set(source["inputs"])
    rows = [(n["name"], n["note"], n["version"]) for n in nodes if n["id"] in wanted]
    listed = table(("path", "content", "digest"), rows)
    return folded(f"{source['name']}: {source['note']}", listed, is_open=len(rows) <= 5)


# -- the picture ----------------------------------------------------------------------------------


def _picture(found: Mapping[str, Any]) -> str:
    boxes = _boxes(found["nodes"])
    columns: list[list[dict[str, Any]]] = [[] for _ in _HEADS]
    for box in boxes:
        columns[box["column"]].append(box)
    step = (_WIDTH - _BOX_WIDTH) / (len(_HEADS) - 1)
    tallest = max(len(column) for column in columns)
    height = 40 + tallest * (_BOX_HEIGHT + _GAP)
    places: dict[str, tuple[float, float]] = {}
    for number, column in enumerate(columns):
        room = len(column) * (_BOX_HEIGHT + _GAP) - _GAP
        top = 34 + (height - 34 - room) / 2
        for index, box in enumerate(column):
            places[box["id"]] = (number * step, top + index * (_BOX_HEIGHT + _GAP))
    edges = "".join(_edge(places, box, inner) for box in boxes for inner in box["inputs"])
    heads = "".join(
        f'<text class="quiet" x="{number * step:.0f}" y="16" font-size="12">{escape(head)}</text>'
        for number, head in enumerate(_HEADS)
    )
    drawn = "".join(_box(box, *places[box["id"]]) for box in boxes)
    label = f"Lineage of {found['name']} from shards to mixture"
    return wide(
        f'<svg viewBox="-2 0 {_WIDTH + 4} {height:.0f}" role="img" '
        f'aria-label="{escape(label)}">{heads}{edges}{drawn}</svg>'
    )


def _boxes(nodes: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the boxes: sources that do not fit are one box, as are recipes of one stage."""
    sources = [node for node in nodes if node["kind"] == "source"]
    shown = sources if len(sources) <= _SOURCES_SHOWN else sources[: _SOURCES_SHOWN - 1]
    boxes = [_as_box(node, node["id"], node["name"], _short_note(node), 0) for node in shown]
    rest = sources[len(shown) :]
    where = {node["id"]: node["id"] for node in shown} | {n["id"]: "source/…" for n in rest}
    if rest:
        documents = sum(node["num_documents"] for node in rest)
        note = f"{_compact(documents)} documents"
        boxes.append(_as_box(rest[0], "source/…", f"{len(rest)} more sources", note, 0))
    by_stage: dict[str, list[Mapping[str, Any]]] = {}
    for node in nodes:
        if node["kind"] == "feature":
            by_stage.setdefault(node["name"], []).append(node)
        elif node["kind"] in {"fit", "model", "mixture"} and not node["name"].startswith(
            "reference-"
        ):
            column = {"model": 0, "mixture": 6}.get(node["kind"], _COLUMNS.get(node["name"], 2))
            boxes.append(_as_box(node, node["id"], node["name"], node["version"][:12], column))
            where[node["id"]] = node["id"]
    for stage, own in by_stage.items():
        note = own[0]["version"][:12] if len(own) == 1 else f"{len(own)} recipes"
        box = _as_box(own[0], f"stage/{stage}", stage, note, _COLUMNS.get(stage, 3))
        box["inputs"] = [inner for node in own for inner in node["inputs"]]
        box["is_there"] = all(node["is_there"] for node in own)
        boxes.append(box)
        where |= {node["id"]: box["id"] for node in own}
    for box in boxes:
        inputs = (where[inner] for inner in box["inputs"] if inner in where)
        box["inputs"] = list(dict.fromkeys(inputs))
    return _kept_short(boxes)


def _short_note(source: Mapping[str, Any]) -> str:
    shards = len(source["inputs"])
    plural = "" if shards == 1 else "s"
    return f"{shards:,} shard{plural}, {_compact(source['num_documents'])} docs"


def _compact(number: int) -> str:
    for unit, size in (("G", 10**9), ("M", 10**6), ("k", 10**4)):
        if number >= size:
            return f"{number / (1000 if unit == 'k' else size):.3g}{unit}"
    return f"{number:,}"


def _kept_short(boxes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Leave out edges that only say again what a path says already."""
    inputs = {box["id"]: box["inputs"] for box in boxes}

    def reaches(start: str, goal: str) -> bool:
        return any(inner == goal or reaches(inner, goal) for inner in inputs[start])

    for box in boxes:
        box["inputs"] = [
            inner
            for inner in box["inputs"]
            if not any(other != inner and reaches(other, inner) for other in inputs[box["id"]])
        ]
    return boxes


def _as_box(
    node: Mapping[str, Any], identity: str, name: str, note: str, column: int
) -> dict[str, Any]:
    return {
        "id": identity,
        "kind": node["kind"],
        "name": name,
        "note": note,
        "column": column,
        "inputs": list(node["inputs"]),
        "is_there": node["is_there"],
    }


def _edge(places: Mapping[str, tuple[float, float]], box: Mapping[str, Any], inner: str) -> str:
    x, y = places[box["id"]]
    from_x, from_y = places[inner]
    from_y, y = from_y + _BOX_HEIGHT / 2, y + _BOX_HEIGHT / 2
    start = from_x + _BOX_WIDTH
    if from_x == x:  # within a column: around its right side
        path = f"M{start:.0f} {from_y:.0f}C{start + 24:.0f} {from_y:.0f} {start + 24:.0f} {y:.0f} "
        path += f"{start:.0f} {y:.0f}"
    else:
        middle = (start + x) / 2
        path = f"M{start:.0f} {from_y:.0f}C{middle:.0f} {from_y:.0f} {middle:.0f} {y:.0f} "
        path += f"{x:.0f} {y:.0f}"
    return f'<path d="{path}" fill="none" stroke="var(--line)" stroke-width="1.3"/>'


def _box(box: Mapping[str, Any], x: float, y: float) -> str:
    colour = _COLOURS[box["kind"]]
    dashes = "" if box["is_there"] else ' stroke-dasharray="4 3"'
    gone = "" if box["is_there"] else " (gone)"
    note = shortened(box["note"] + gone, 24)
    return (
        f"<g><title>{escape(box['name'])}: {escape(box['note'])}{gone}</title>"
        f'<rect x="{x:.0f}" y="{y:.0f}" width="{_BOX_WIDTH}" height="{_BOX_HEIGHT}" rx="6" '
        f'fill="var(--soft)" stroke="{colour}" stroke-width="1.5"{dashes}/>'
        f'<text x="{x + 9:.0f}" y="{y + 18:.0f}" font-size="11" font-weight="600">'
        f"{escape(shortened(box['name'], 18))}</text>"
        f'<text class="quiet" x="{x + 9:.0f}" y="{y + 35:.0f}" font-size="10">'
        f"{escape(note)}</text>"
        "</g>"
    )
