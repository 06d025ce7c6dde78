"""export: a mixture's draws -> files for trainers, in training order."""

from typing import Any

import dagster as dg

from samplemix_dagster.assets.asset import Look
from samplemix_dagster.assets.told import table_value
from samplemix_dagster.engine.maps import Outcome
from samplemix_dagster.engine.project import Project


def _present(project: Project, outcome: Outcome) -> dict[str, Any]:
    del project
    facts = outcome.facts
    return {
        "folder": _folder(facts["folder"]),
        "draws": facts["num_draws"],
        "tokens": facts["num_tokens"],
        "mixture_version": facts["version"],
        "files": table_value(facts["files"]),
    }


def _folder(place: str) -> dg.MetadataValue:  # type: ignore[type-arg]
    is_on_s3 = place.startswith("s3://")
    return dg.MetadataValue.text(place) if is_on_s3 else dg.MetadataValue.path(place)


def look(name: str) -> Look:
    """Return what a person sees of an export."""
    return Look(
        description=(
            f"The draws of mixture {name!r} as files of near-equal size, in an order in which "
            "every window is close to the whole mixture; read back and counted against the ledger."
        ),
        kinds=("python", "file"),
        present=_present,
    )
