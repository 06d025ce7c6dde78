"""The report's dbt project: where it is, its manifest, its builds, and what of them is published.

dbt runs in a process of its own and writes below the project's home only. A build goes into a
folder aside; its files take their places when every model is built and every data test has passed,
so that nobody reads half a report, and a report that does not add up is never shown.
"""

import contextlib
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from filelock import FileLock

from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.errors import CheckFailedError, ConfigError
from samplemix_dagster.storage.ask.view_tables import check_tables
from samplemix_dagster.storage.ask.views import view_statements
from samplemix_dagster.storage.corpus.home import make_folder
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.keys import BUILDING
from samplemix_dagster.storage.lake.lake import Lake
from samplemix_dagster.storage.lake.whole_files import digest_file, remove_folder

_PACKAGE = Path(__file__).parents[2]
_ENTRY = "from dbt.cli.main import cli; cli()"
_BUILDING = f"{keys.REPORTS}/{BUILDING}"
_VIEWS = f"{_BUILDING}/views.json"
_STATE = keys.CURRENT_REPORTS
_MANIFEST = "manifest.json"
_PARTIAL_PARSE = "partial_parse.msgpack"
_TAIL_LINES = 20
_PLAIN = re.compile(r"[\w./ +,=@:#~-]+")
_LEFT_OUT = {"target", "logs", "dbt_packages"}
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


def dbt_folder() -> Path:
    """Return the dbt project's folder: inside an installed package, or beside it in a checkout.

    Raises:
        ConfigError: Neither is there.
    """
    for folder in (_PACKAGE / "dbt_project", _PACKAGE.parent / "dbt"):
        if (folder / "dbt_project.yml").is_file():
            return folder
    raise ConfigError(f"no dbt project beside {_PACKAGE}: the installation is not complete.")


def report_models() -> list[str]:
    """Return the names of the report models."""
    return sorted(path.stem for path in (dbt_folder() / "models" / "reports").glob("*.sql"))


def dbt_digest() -> str:
    """Return the digest of the dbt project's files and of the dbt that reads them."""
    folder = dbt_folder()
    digest = hashlib.blake2b(digest_size=12)
    for package in ("dbt-core", "dbt-duckdb"):
        digest.update(f"{package}=={package_version(package)}\n".encode())
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        if path.is_file() and inner.parts[0] not in _LEFT_OUT and not path.name.startswith("."):
            content = path.read_bytes()
            digest.update(f"{inner.as_posix()}\n{len(content)}\n".encode() + content)
    return digest.hexdigest()


def dbt_manifest(lake: Lake, home: Path) -> Path:
    """Return the manifest of the dbt project as it is now; dbt parses it only when a file changed.

    Raises:
        ConfigError: dbt cannot parse the project.
    """
    digest = dbt_digest()
    path = home / "dbt" / digest / _MANIFEST
    if not path.is_file():
        with Lake(home / "dbt").fill_folder(digest, _MANIFEST) as aside:
            done = _dbt(["parse"], aside, lake)
            if done.returncode:
                raise ConfigError(f"dbt cannot parse {dbt_folder()}:\n{_tail(done.stdout)}")
    return path


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
        _forget_others(manifest_path.parent)
        inputs = report_inputs(lake)
        run = _run_folder(manifest_path.parent)
        remove_folder(lake.root / _BUILDING)
        arguments = ["build", "--exclude-resource-type", "unit_test"]
        if wanted != report_models():
            arguments += ["--select", *wanted]
        try:
            with lake.snapshot():
                _write_views(lake)
            done = _dbt(arguments, run, lake)
            results = _results(run, json.loads(manifest_path.read_bytes()))
            _refuse_bad(done, results, run)
            _publish(lake, wanted, inputs)
        finally:
            remove_folder(lake.root / _BUILDING)
    return results


def _write_views(lake: Lake) -> None:
    file = lake.root / _VIEWS
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(view_statements(lake)), encoding="utf-8")


def report_inputs(lake: Lake) -> dict[str, str]:
    """Return everything that the report is made from, by a name for people: a digest for each.

    Size and time of a shard's file are not among them: the same bytes stay the same.
    """
    inputs = {"dbt models": dbt_digest(), "shards": fingerprint(_places(lake))}
    for stage in ("documents", "scores"):
        files = sorted(lake.names(keys.notes_folder(stage)))
        folders = [
            lake.read_json(f"{keys.notes_folder(stage)}/{file}", {}).get("folder") for file in files
        ]
        inputs[stage] = fingerprint([files, folders])
    for label, fit in (
        ("duplicates", "corpus"),
        ("cluster names", "cluster_fit"),
        ("topic names", "topic_fit"),
    ):
        inputs[label] = str(lake.read_json(keys.current_fit(fit), {}).get("version"))
    for name in sorted(lake.names(keys.MIXTURES)):
        current = lake.read_json(keys.current_version(name), {})
        inputs[f"mixture {name}"] = str(current.get("version"))
    return inputs


def report_version(lake: Lake) -> str:
    """Return the version that a report of the lake as it is now has."""
    return fingerprint(report_inputs(lake))


def report_reason(lake: Lake) -> str:
    """Say why the report is to be built; empty when it is current."""
    state = lake.read_json(_STATE)
    if state is None:
        return "first run"
    now, then = report_inputs(lake), state["inputs"]
    changed = [name for name in sorted({*now, *then}) if now.get(name) != then.get(name)]
    if changed:
        return "changed: " + ", ".join(changed)
    missing = [name for name in report_models() if not lake.exists(_key(name))]
    return "missing: " + ", ".join(missing) if missing else ""


def report_path(lake: Lake, model: str) -> Path:
    """Return where a report model's file lies."""
    return lake.path(_key(model))


def num_report_rows(lake: Lake, model: str) -> int:
    """Return how many rows a report model has."""
    return lake.num_rows(_key(model))


def first_report_rows(lake: Lake, model: str, limit: int) -> list[dict[str, Any]]:
    """Return the first rows of a report model."""
    for batch in pq.ParquetFile(report_path(lake, model)).iter_batches(batch_size=limit):
        return list(batch.to_pylist())
    return []


def _key(model: str) -> str:
    return keys.report(model)


def _places(lake: Lake) -> list[Any]:
    found: list[Any] = []
    for folder in sorted(lake.names(keys.SHARDS)):
        manifest = lake.read_json(keys.shards_in(folder), {"shards": [], "skipped": []})
        shards = sorted([shard["digest"], shard["path"]] for shard in manifest["shards"])
        found.append([folder, shards, manifest["skipped"]])
    return found


def _dbt(arguments: list[str], target: Path, lake: Lake) -> subprocess.CompletedProcess[str]:
    """Run dbt; everything it writes goes to ``target`` and to the folder of the build."""
    folder = dbt_folder()
    # A person's own dbt settings must not reach into this project.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DBT_")}
    paths = [str(_PACKAGE.parent), *filter(None, [environment.get("PYTHONPATH")])]
    environment |= {
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "PYTHONPATH": os.pathsep.join(paths),
        "SAMPLEMIX_LAKE": str(lake.root.absolute()),
        "SAMPLEMIX_VIEWS": str((lake.root / _VIEWS).absolute()),
    }
    options = ["--project-dir", str(folder), "--profiles-dir", str(folder), "--no-use-colors"]
    options += ["--target-path", str(target.absolute()), "--log-path", str(target.absolute())]
    options += ["--log-level-file", "info"]
    with _plainly_named((lake.root / _BUILDING).absolute()) as reports:
        return subprocess.run(
            [sys.executable, "-c", _ENTRY, *arguments, *options],
            cwd=target,
            env={**environment, "SAMPLEMIX_REPORTS": str(reports)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            check=False,
        )


@contextlib.contextmanager
def _plainly_named(folder: Path) -> Iterator[Path]:
    """Yield a folder's path, or a link to it where its name would break the SQL that dbt writes.

    dbt-duckdb puts the path between quotes as it is, and DuckDB takes brackets for a pattern.
    """
    if _PLAIN.fullmatch(str(folder)):
        yield folder
        return
    with tempfile.TemporaryDirectory(prefix="samplemix-report-") as aside:
        link = Path(aside) / "reports"
        link.symlink_to(folder)
        yield link


@contextlib.contextmanager
def _only_one(path: Path) -> Iterator[None]:
    """Let one build at a time use the folders of a project."""
    make_folder(path.parent)
    # A marker file, which filelock falls back to, would outlive its process.
    with FileLock(path, fallback_to_soft=False):
        yield


def _forget_others(current: Path) -> None:
    """Remove what dbt made of earlier states of the project's files."""
    for folder in current.parent.iterdir():
        if folder != current and not folder.name.startswith("."):
            remove_folder(folder)


def _run_folder(parsed: Path) -> Path:
    """Return the folder in which builds run; it starts with what parsing has learnt."""
    run = parsed / "run"
    run.mkdir(exist_ok=True)
    (run / "run_results.json").unlink(missing_ok=True)
    if not (run / _PARTIAL_PARSE).exists() and (parsed / _PARTIAL_PARSE).exists():
        shutil.copyfile(parsed / _PARTIAL_PARSE, run / _PARTIAL_PARSE)
    return run


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
        raise ConfigError(f"dbt did not build the report:\n{_tail(done.stdout)}")


def _sentence(result: NodeResult) -> str:
    if result.status == "fail":
        rows = "1 row breaks" if result.num_failures == 1 else f"{result.num_failures} rows break"
        return f"- {result.name}: {result.message} {rows} this."
    verb = "could not be built" if result.kind == "model" else "could not be tested"
    return f"- {result.name} {verb}: {result.message}"


def _publish(lake: Lake, models: list[str], inputs: dict[str, str]) -> None:
    """Put built files into their places, each whole; the state last."""
    state = lake.read_json(_STATE, {})
    digests = dict(state.get("files") or {})
    for model in models:
        file = lake.root / _BUILDING / f"{model}.parquet"
        digests[model] = digest_file(file)
        lake.publish(file, _key(model))
    known = report_models()
    if models != known:
        if state:
            lake.replace_json(_STATE, {**state, "files": digests})
        return
    for name in lake.names(keys.REPORTS):
        if name.endswith(".parquet") and name.removesuffix(".parquet") not in known:
            lake.remove(f"{keys.REPORTS}/{name}")
    files = {model: digests[model] for model in known}
    value = {"version": fingerprint(inputs), "inputs": inputs, "files": files}
    lake.replace_json(_STATE, value)


def _tail(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-_TAIL_LINES:])
