"""How long and how many operations a plan will take, from what earlier runs measured.

Rates are documents per second of each asset in this project, kept beside the lake, never in it: no
result depends on them. An asset that has never run has no estimate.
"""

import json
from typing import Any

from samplemix_dagster.engine.plan import Plan
from samplemix_dagster.engine.project import Project

_BYTES_PER_TOKEN = 4
_FILE = "rates.json"
_KEPT_SHARE = 0.5


def note_rate(project: Project, asset: str, num_documents: int, seconds: float) -> None:
    """Remember how fast an asset was; the newest run counts as much as all before it."""
    if num_documents <= 0 or seconds <= 0:
        return
    rates = _rates(project)
    rate = num_documents / seconds
    before = rates.get(asset)
    rates[asset] = rate if before is None else _KEPT_SHARE * before + (1 - _KEPT_SHARE) * rate
    path = project.home / _FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".tmp")
    aside.write_text(json.dumps(rates, indent=1, sort_keys=True), encoding="utf-8")
    aside.replace(path)


def _rates(project: Project) -> dict[str, float]:
    try:
        return dict(json.loads((project.home / _FILE).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        return {}


def estimated(project: Project, plan: Plan) -> list[dict[str, Any]]:
    """Return the plan's assets with seconds and FLOPs: None where nothing is known.

    FLOPs of scoring are 2 x parameters x tokens (Kaplan et al. 2001.08361, section 2.1), with four
    bytes a token where tokens have not been counted.
    """
    rates = _rates(project)
    stages = plan.by_asset()
    for entry in stages:
        rate = rates.get(entry["asset"])
        entry["seconds"] = None
        if rate and entry["num_documents"]:
            entry["seconds"] = round(entry["num_documents"] / rate, 2)
        entry["flops"] = None
        if entry["asset"] == "perplexity":
            entry["flops"] = _scoring_flops(project, entry["num_bytes"])
    return stages


def _scoring_flops(project: Project, num_bytes: int) -> float | None:
    name = project.config.quality.reference
    current = project.lake.read_json(f"fits/reference-{name}/current.json")
    if current is None:
        return None
    stated = project.lake.read_json(f"fits/reference-{name}/{current['version']}/fit.json")
    parameters = ((stated or {}).get("facts") or {}).get("num_parameters")
    return None if parameters is None else 2.0 * parameters * num_bytes / _BYTES_PER_TOKEN
