"""The page of a version's lineage: a picture from left to right, then every digest in tables."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from samplemix_dagster.pages.frame import Table, render

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
    """Return the page of a lineage, as ``trace/lineage.py`` gives it.

    Args:
        found: The lineage.
        links: Words and address of other pages, where it is served beside some.
    """
    by_kind: dict[str, list[Mapping[str, Any]]] = {}
    for node in found["nodes"]:
        by_kind.setdefault(node["kind"], []).append(node)
    fits, features, models = by_kind["fit"], by_kind["feature"], by_kind["model"]
    return render(
        "lineage.html",
        title=f"Lineage of mixture {found['name']}",
        lead=f"Everything that version {found['version']} was made from, as its manifest names it.",
        name=found["name"],
        links=links,
        picture=_picture(found["nodes"]),
        made=Table(("what", "value"), _made(found)),
        fits=Table(
            ("fit", "version", "asset", "in the lake"),
            [(n["name"], n["version"], n["asset"], _there(n)) for n in fits],
        ),
        features=Table(
            ("stage", "sources", "recipe", "tables", "folder"),
            [
                (n["name"], ", ".join(n["sources"]), n["version"], n["note"], n["place"])
                for n in features
            ],
        ),
        models=Table(
            ("model", "digest", "found at", "today"),
            [(n["name"], n["version"], n["place"], n["note"]) for n in models],
        ),
        files_of_models=[
            (n["name"], Table(("file",), [(file,) for file in n["files"]]))
            for n in models
            if n["files"]
        ],
        shards_of_sources=[_shards(source, found["nodes"]) for source in by_kind["source"]],
        packages=Table(("package", "version"), sorted(found["packages"].items())),
    )


def _made(found: Mapping[str, Any]) -> list[tuple[str, str]]:
    git = found["git"]
    return [
        ("version", found["version"]),
        ("made", found["made_at"]),
        ("by", found["made_by"] or "unknown"),
        ("Dagster run", found["run_id"] or "none"),
        ("samplemix", found["samplemix_version"]),
        ("commit", "no git repository" if git is None else git["commit"]),
        *([] if git is None else [("tree was dirty", str(git["is_dirty"]))]),
        ("manifest", found["manifest"]),
    ]


def _there(node: Mapping[str, Any]) -> str:
    return "yes" if node["is_there"] else "gone"


def _shards(source: Mapping[str, Any], nodes: Sequence[Mapping[str, Any]]) -> tuple[str, Table]:
    wanted = set(source["inputs"])
    rows = [(n["name"], n["note"], n["version"]) for n in nodes if n["id"] in wanted]
    return f"{source['name']}: {source['note']}", Table(("path", "content", "digest"), rows)


# -- the picture ----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Box:
    """A node of the picture, or several in one."""

    id: str
    kind: str
    name: str
    note: str
    column: int
    inputs: list[str]
    is_there: bool

    @property
    def colour(self) -> str:
        return _COLOURS[self.kind]

    @property
    def gone(self) -> str:
        return "" if self.is_there else " (gone)"


@dataclass(frozen=True, slots=True)
class _Picture:
    """What is drawn, and where: boxes by their upper left corner."""

    heads: list[tuple[int, str]]
    boxes: list[tuple[_Box, int, int]]
    edges: list[str]
    height: int
    width: int = field(default=_WIDTH)
    box_width: int = field(default=_BOX_WIDTH)
    box_height: int = field(default=_BOX_HEIGHT)


def _picture(nodes: Sequence[Mapping[str, Any]]) -> _Picture:
    boxes = _boxes(nodes)
    columns = [[box for box in boxes if box.column == at] for at in range(len(_HEADS))]
    step = (_WIDTH - _BOX_WIDTH) / (len(_HEADS) - 1)
    height = 40 + max(map(len, columns)) * (_BOX_HEIGHT + _GAP)
    places: dict[str, tuple[int, int]] = {}
    for number, column in enumerate(columns):
        room = len(column) * (_BOX_HEIGHT + _GAP) - _GAP
        top = 34 + (height - 34 - room) / 2
        for index, box in enumerate(column):
            places[box.id] = (round(number * step), round(top + index * (_BOX_HEIGHT + _GAP)))
    return _Picture(
        heads=[(round(number * step), head) for number, head in enumerate(_HEADS)],
        boxes=[(box, *places[box.id]) for box in boxes],
        edges=[_edge(places[inner], places[box.id]) for box in boxes for inner in box.inputs],
        height=height,
    )


def _boxes(nodes: Sequence[Mapping[str, Any]]) -> list[_Box]:
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
        box.inputs = [inner for node in own for inner in node["inputs"]]
        box.is_there = all(node["is_there"] for node in own)
        boxes.append(box)
        where |= {node["id"]: box.id for node in own}
    for box in boxes:
        inputs = (where[inner] for inner in box.inputs if inner in where)
        box.inputs = list(dict.fromkeys(inputs))
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


def _kept_short(boxes: list[_Box]) -> list[_Box]:
    """Leave out edges that only say again what a path says already."""
    inputs = {box.id: box.inputs for box in boxes}

    def reaches(start: str, goal: str) -> bool:
        return any(inner == goal or reaches(inner, goal) for inner in inputs[start])

    for box in boxes:
        box.inputs = [
            inner
            for inner in box.inputs
            if not any(other != inner and reaches(other, inner) for other in inputs[box.id])
        ]
    return boxes


def _as_box(node: Mapping[str, Any], identity: str, name: str, note: str, column: int) -> _Box:
    return _Box(
        identity, node["kind"], name, note, column, list(node["inputs"]), bool(node["is_there"])
    )


def _edge(of: tuple[int, int], to: tuple[int, int]) -> str:
    """Return the path of a line from one box to another, each by its corner."""
    start, x = of[0] + _BOX_WIDTH, to[0]
    from_y, y = of[1] + _BOX_HEIGHT // 2, to[1] + _BOX_HEIGHT // 2
    if of[0] == x:  # within a column: around its right side
        return f"M{start} {from_y}C{start + 24} {from_y} {start + 24} {y} {start} {y}"
    middle = round((start + x) / 2)
    return f"M{start} {from_y}C{middle} {from_y} {middle} {y} {x} {y}"
