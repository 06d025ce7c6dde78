"""Why something is stale, in words: what differs between two recipes."""

from typing import TYPE_CHECKING, Any

from samplemix_dagster.engine.stages import Stage
from samplemix_dagster.storage.lake import keys

if TYPE_CHECKING:
    from samplemix_dagster.engine.project import Project

_IN_WORDS = {"excluded": "what no version may draw"}
"""Parts of recipes whose name and digest say nothing to a person."""


def last_recipe(project: "Project", stage: Stage, source: str) -> dict[str, object] | None:
    """Return the recipe by which a stage's tables for a source were last completed."""
    stated = project.lake.read_json(keys.done_note(stage.name, source))
    return None if stated is None else dict(stated["recipe"])


def recipe_change(before: dict[str, object], after: dict[str, object]) -> str:
    """Return in words what differs between two recipes."""
    names = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    words = []
    for name in names:
        if name == "stage_version":
            words.append(f"code changed: version {before.get(name)} -> {after.get(name)}")
        elif name in _IN_WORDS:
            words.append(f"{_IN_WORDS[name]} changed")
        else:
            old, new = _short(before.get(name)), _short(after.get(name))
            words.append(f"{name} changed: {old} -> {new}" if old and new else f"{name} changed")
    return "; ".join(words) or "recipe changed"


def _short(value: Any) -> str:
    if isinstance(value, str):
        return value[:8] if len(value) >= 24 else value
    return str(value) if isinstance(value, int | float | bool) else ""
