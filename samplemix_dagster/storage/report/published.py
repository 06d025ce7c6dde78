"""The report in the lake: what it is made from, why it is to be built, and its rows."""

from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from samplemix_dagster.core.hashing import fingerprint
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.lake import Lake
from samplemix_dagster.storage.report.dbt_run import dbt_digest, report_models

STATE = keys.CURRENT_REPORTS


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
    state = lake.read_json(STATE)
    if state is None:
        return "first run"
    now, then = report_inputs(lake), state["inputs"]
    changed = [name for name in sorted({*now, *then}) if now.get(name) != then.get(name)]
    if changed:
        return "changed: " + ", ".join(changed)
    missing = [name for name in report_models() if not lake.exists(report_key(name))]
    return "missing: " + ", ".join(missing) if missing else ""


def report_path(lake: Lake, model: str) -> Path:
    """Return where a report model's file lies."""
    return lake.path(report_key(model))


def num_report_rows(lake: Lake, model: str) -> int:
    """Return how many rows a report model has."""
    return lake.num_rows(report_key(model))


def first_report_rows(lake: Lake, model: str, limit: int) -> list[dict[str, Any]]:
    """Return the first rows of a report model."""
    for batch in pq.ParquetFile(report_path(lake, model)).iter_batches(batch_size=limit):
        return list(batch.to_pylist())
    return []


def report_key(model: str) -> str:
    """Return the key of a report model's file."""
    return keys.report(model)


def _places(lake: Lake) -> list[Any]:
    found: list[Any] = []
    for folder in sorted(lake.names(keys.SHARDS)):
        manifest = lake.read_json(keys.shards_in(folder), {"shards": [], "skipped": []})
        shards = sorted([shard["digest"], shard["path"]] for shard in manifest["shards"])
        found.append([folder, shards, manifest["skipped"]])
    return found
