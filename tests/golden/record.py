"""What others build on: JSON keys of commands, columns of views, Dagster's names.

``python -m tests.golden.record`` writes ``contracts.json`` anew: when a key comes on purpose.
"""

import json
import re
import tempfile
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from samplemix_dagster.cli import app
from samplemix_dagster.config.text.reading import load_config
from samplemix_dagster.definitions import build_defs
from samplemix_dagster.storage.ask.query import query
from samplemix_dagster.storage.ask.relations.views import VIEWS
from samplemix_dagster.storage.lake.lake import Lake
from samplemix_dagster.trace.difference.difference import difference
from samplemix_dagster.trace.versions import list_versions
from tests.golden.kept import FORM_2, unpack
from tests.projects import open_project

CONTRACTS = Path(__file__).with_name("contracts.json")
COMMANDS = {
    "plan": ["plan"],
    "status": ["status"],
    "explain": ["explain", "{document}"],
    "explain in a version": ["explain", "{document}", "--mixture", "default"],
    "explain a rejected row": ["explain", "data/bad/number.jsonl#0"],
    "mixture list": ["mixture", "list"],
    "mixture show": ["mixture", "show", "default"],
    "mixture lineage": ["mixture", "lineage", "default"],
    "mixture diff": ["mixture", "diff", "{first}", "default"],
    "mixture verify": ["mixture", "verify", "held"],
    "gc": ["gc", "--dry-run"],
    "dirty": ["dirty", "{data}/lines", "{pool}", "--kinds", "salad"],
}
"""Commands whose output is recorded; what stands in braces is looked up."""
WITHOUT_PROJECT = {"dirty"}
_HEX = re.compile("[0-9a-f]{24,32}")
_NUMBER = re.compile("[0-9]+")


def ask(root: Path, arguments: list[str]) -> Any:
    """Return what a command says with ``--json``."""
    own = [] if arguments[0] in WITHOUT_PROJECT else ["--config", str(root / "samplemix.yaml")]
    result = CliRunner().invoke(app, [*arguments, *own, "--json"], catch_exceptions=False)
    return json.loads(result.stdout)


def key_paths(value: Any, before: str = "") -> set[str]:
    """Return every path of keys; items of a list are ``[]``, digests and numbers are ``*``."""
    if isinstance(value, dict):
        found = set()
        for key, inner in value.items():
            name = "*" if _HEX.fullmatch(key) or _NUMBER.fullmatch(key) else key
            found |= key_paths(inner, f"{before}.{name}" if before else name)
        return found or {before}
    if isinstance(value, list):
        return set().union(*(key_paths(inner, f"{before}[]") for inner in value)) or {before}
    return {before}


def commands(root: Path) -> dict[str, list[str]]:
    """Return the paths of keys that each command says."""
    listed = ask(root, ["mixture", "list"])
    own = [row for row in listed if row["name"] == "default"]
    first = f"default@{own[0]['version']}"
    rows = query(Lake(root / ".samplemix/lake"), "select min(doc_id) as doc_id from scores")
    named = {"first": first, "document": rows.to_pylist()[0]["doc_id"], "data": str(root / "data")}
    with tempfile.TemporaryDirectory() as pool:
        named["pool"] = pool
        return {
            name: sorted(key_paths(ask(root, [part.format(**named) for part in arguments])))
            for name, arguments in COMMANDS.items()
        }


def views(root: Path) -> dict[str, dict[str, str]]:
    """Return the columns of every view, with their types."""
    lake = Lake(root / ".samplemix/lake")
    return {
        view: {
            field.name: str(field.type)
            for field in query(lake, f"select * from {view} limit 0").schema
        }
        for view in VIEWS
    }


def dagster(root: Path) -> dict[str, Any]:
    """Return what Dagster calls everything: assets by group, checks, jobs, sensors, schedules."""
    defs = build_defs(config=root / "samplemix.yaml")
    graph = defs.resolve_asset_graph()
    groups: dict[str, list[str]] = {}
    for key in sorted(graph.get_all_asset_keys()):
        groups.setdefault(graph.get(key).group_name, []).append(key.to_user_string())
    repository = defs.get_repository_def()
    return {
        "assets": groups,
        "checks": sorted(
            f"{c.asset_key.to_user_string()}: {c.name}" for c in graph.asset_check_keys
        ),
        "jobs": sorted(job.name for job in repository.get_all_jobs()),
        "sensors": sorted(sensor.name for sensor in repository.sensor_defs),
        "schedules": sorted(schedule.name for schedule in repository.schedule_defs),
    }


def differences(root: Path) -> list[dict[str, Any]]:
    """The causes between the first and last version of each mixture, without floats."""
    project = open_project(root)
    found = []
    for name in ("default", "flat", "held"):
        own = [v["version"] for v in list_versions(project) if v["name"] == name]
        answer = difference(project, (name, own[0]), (name, own[-1]))
        found.append(
            {
                "mixture": name,
                "causes": [[*one["causes"], one["what"]] for one in answer["causes"]],
                "matches": answer["drawn_states_match"],
            }
        )
    return found


def record(root: Path) -> dict[str, Any]:
    """Return every contract of a finished project, as a JSON value."""
    load_config(root / "samplemix.yaml")
    return {
        "json": commands(root),
        "views": views(root),
        "dagster": dagster(root),
        "difference": differences(root),
    }


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        found = record(unpack(FORM_2, Path(scratch)))
    CONTRACTS.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
