"""What a check of an asset is."""

from collections.abc import Callable
from dataclasses import dataclass

from samplemix_dagster.engine.outcome import Outcome
from samplemix_dagster.engine.project import Project
from samplemix_dagster.stages.mixture.published.publishing import Verdict

WITH_ITS_ASSET = (
    "It looks at what has just been written, so it runs with its asset and not alone: materialize "
    "the asset, which computes nothing that is current."
)
"""Why a check's own button is grey, and what to press instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check: its name, what it says, whether it blocks."""

    name: str
    description: str
    is_blocking: bool
    look: Callable[[Project, Outcome], Verdict]
