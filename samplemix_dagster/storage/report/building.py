"""Builds of the report, and what of them is published.

A build goes into a folder aside; its files take their places when every model is built and every
data test has passed, so that nobody reads half a report, and a report that does not add up is never
shown.
"""

import contextlib
import json
import subprocess
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.errors import CheckFailedError, ConfigError
from samplemix_dagster.storage.ask.relations.view_tables import check_tables
from samplemix_dagster.storage.ask.relations.views import view_statements
from samplemix_dagster.storage.corpus.home import make_folder
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.lake import Lake
from samplemix_dagster.storage.lake.whole_files import digest_file, remove_folder
from samplemix_dagster.storage.report.dbt_run import (
    BUILDING_FOLDER,
    VIEWS_FILE,
    dbt_manifest,
    forget_others,
    report_models,
    run_dbt,
    run_folder,
    tail,
)
from samplemix_dagster.storage.report.published import STATE, report_inputs, report_key

_BAD = {"fail", "error", "runtime error"}


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeResult:
    """What became of one model or data test in a build."""

    name: str
    kind: str
    """``model`` or ``test``."""
    status: str
    message: str
    num_failures: int
    seconds: float

    @property
    def passed(self) -> bool:
        """Whether it was built, or held."""
        return self.status in {"success", "pass"}


class ReportError(CheckFailedError):
    """A model could not be built or a data test did not hold; ``results`` say which."""

    def __init__(self, message: str, results: list[NodeResult]) -> None:
        super().__init__(message)
        self.results = results


def build_report(lake: Lake, home: Path, models: Collection[str] = ()) -> list[NodeResult]:
    """Build report models (all of them when none is named), test them, and publish them.

    Raises:
        ReportError: A model could not be built or a data test did not hold; nothing is published.
        ConfigError: dbt did not run at all.
        DamagedError: A table that is reported on is not what was written.
    """
    check_tables(lake)
    wanted = sorted(models) or report_models()
    with _only_one(home / "dbt.lock"):
        manifest_path = dbt_manifest(lake, home)
        forget_others(manifest_path.parent)
        inputs = report_inputs(lake)
        run = run_folder(manifest_path.parent)
        remove_folder(lake.root / BUILDING_FOLDER)
        arguments = ["build", "--exclude-resource-type", "unit_test"]
        if wanted != report_models():
            arguments += ["--select", *wanted]
        try:
            with lake.snapshot():
                _write_views(lake)
            done = run_dbt(arguments, run, lake)
            results = _results(run, json.loads(manifest_path.read_bytes()))
            _refuse_bad(done, results, run)
            _publish(lake, wanted, inputs)
        finally:
            remove_folder(lake.root / BUILDING_FOLDER)
    return results


def _write_views(lake: Lake) -> None:
    file = lake.root / VIEWS_FILE
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(view_statements(lake)), encoding="utf-8")


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Let one build at a time use the folders of a project."""
    make_folder(path.parent)
    # A marker file, which filelock falls back to, would outlive its process.
    with FileLock(path, fallback_to_soft=False):
        yield


def _results(run: Path, manifest: Mapping[str, Any]) -> list[NodeResult]:
    path = run / "run_results.json"
    if not path.is_file():
        return []
    found = []
    for entry in json.loads(path.read_bytes())["results"]:
        node = manifest["nodes"].get(entry["unique_id"])
        if node is None or node["resource_type"] not in {"model", "test"}:
            continue
        is_test = node["resource_type"] == "test"
        found.append(
            NodeResult(
                name=node["name"],
                kind=node["resource_type"],
                status=entry["status"],
                message=(node["description"] if is_test else None) or entry["message"] or "",
                num_failures=entry["failures"] or 0,
                seconds=float(entry["execution_time"]),
            )
        )
    return found


def _refuse_bad(
    done: "subprocess.CompletedProcess[str]", results: list[NodeResult], run: Path
) -> None:
    bad = [result for result in results if result.status in _BAD]
    if bad:
        lines = [_sentence(result) for result in bad]
        raise ReportError(
            "the report does not hold, so it is not published (an earlier one stays):\n"
            + "\n".join(lines)
            + f"\nThe queries are below {run / 'compiled'}.",
            results,
        )
    if done.returncode or not results:
        raise ConfigError(f"dbt did not build the report:\n{tail(done.stdout)}")


def _sentence(result: NodeResult) -> str:
    if result.status == "fail":
        rows = "1 row breaks" if result.num_failures == 1 else f"{result.num_failures} rows break"
        return f"- {result.name}: {result.message} {rows} this."
    verb = "could not be built" if result.kind == "model" else "could not be tested"
    return f"- {result.name} {verb}: {result.message}"


def _publish(lake: Lake, models: list[str], inputs: dict[str, str]) -> None:
    """Put built files into their places, each whole; the state last."""
    state = lake.read_json(STATE, {})
    digests = dict(state.get("files") or {})
    for model in models:
        file = lake.root / BUILDING_FOLDER / f"{model}.parquet"
        digests[model] = digest_file(file)
        lake.publish(file, report_key(model))
    known = report_models()
    if models != known:
        if state:
            lake.replace_json(STATE, {**state, "files": digests})
        return
    for name in lake.names(keys.REPORTS):
        if name.endswith(".parquet") and name.removesuffix(".parquet") not in known:
            lake.remove(f"{keys.REPORTS}/{name}")
    files = {model: digests[model] for model in known}
    value = {"version": fingerprint(inputs), "inputs": inputs, "files": files}
    lake.replace_json(STATE, value)
