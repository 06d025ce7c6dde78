"""A lineage as a tree in text: on a terminal long lines are folded inside their branch."""

import io
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from samplemix_dagster.show.terminal import plain_line

_FILES_SHOWN = 20
_UNFOLDED = 1_000_000
"""Columns that no line has."""


class _Narrow(Tree):
    """A tree with guides of three columns, in plain lines."""

    TREE_GUIDES = [("   ", "│  ", "├─ ", "└─ ")] * 3


def lineage_text(found: Mapping[str, Any], width: int | None = None) -> str:
    """Return a lineage as a tree; what stands in it twice is written out once.

    Args:
        found: What ``trace.lineage.lineage`` gives.
        width: Columns of the terminal; None where there is none, and each thing is one line.
    """
    console = Console(
        file=io.StringIO(),
        width=width or _UNFOLDED,
        force_terminal=False,  # else FORCE_COLOR puts styles into a pipe
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    console.print(_tree(found))
    for line in ("", *_made(found)):
        console.print(Text(plain_line(line), overflow="fold"))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    return "".join(line.rstrip() + "\n" for line in text.splitlines())


def _tree(found: Mapping[str, Any]) -> Tree:
    nodes = {node["id"]: node for node in found["nodes"]}
    seen: set[str] = set()

    def grow(branch: Tree, node: Mapping[str, Any]) -> None:
        for inner in map(nodes.__getitem__, node["inputs"]):
            is_again = inner["id"] in seen and bool(inner["inputs"])
            further = branch.add(_label(inner, is_again=is_again))
            if not is_again:
                seen.add(inner["id"])
                grow(further, inner)

    root = nodes[found["root"]]
    tree = _Narrow(_label(root))
    grow(tree, root)
    return tree


def _label(node: Mapping[str, Any], *, is_again: bool = False) -> Text:
    lines = [_line(node) + ("  (above)" if is_again else "")]
    if not is_again:
        lines += [f"   {file}" for file in node.get("files", [])[:_FILES_SHOWN]]
    return Text("\n".join(map(plain_line, lines)), overflow="fold")


def _line(node: Mapping[str, Any]) -> str:
    kind = {"feature": "", "source": "source "}.get(node["kind"], f"{node['kind']} ")
    version = f"  {node['version'][:12]}" if node["version"] else ""
    note = f"  {node['note']}" if node["note"] else ""
    place = f"  {node['place']}" if node["kind"] == "model" else ""
    sources = f" of {', '.join(node['sources'])}" if node.get("sources") else ""
    gone = "" if node["is_there"] or node["kind"] in {"shard", "model"} else "  GONE"
    return f"{kind}{node['name']}{sources}{version}{place}{note}{gone}"


def _made(found: Mapping[str, Any]) -> list[str]:
    git = found["git"]
    code = "no git repository"
    if git is not None:
        code = f"commit {git['commit'][:12]}{' (dirty)' if git['is_dirty'] else ''}"
    run = f"run {found['run_id']}" if found["run_id"] else "without Dagster"
    by = found["made_by"] or "unknown"
    made = f"made {found['made_at']} by {by}, {run}, samplemix {found['samplemix_version']}, {code}"
    return [made, f"manifest {found['manifest']}"]
