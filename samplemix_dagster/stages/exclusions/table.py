"""Every exclusion, a line each; where two hold for a document, the first is its reason."""

from samplemix_dagster.stages.exclusions.evaluations.contamination import CONTAMINATED
from samplemix_dagster.stages.exclusions.exclusion import Exclusion
from samplemix_dagster.stages.exclusions.external import KEPT_OUT
from samplemix_dagster.stages.exclusions.near_duplicates import NEAR_DUPLICATE
from samplemix_dagster.stages.exclusions.takedown import TAKEDOWN

EVERY: tuple[Exclusion, ...] = (TAKEDOWN, CONTAMINATED, KEPT_OUT, NEAR_DUPLICATE)
"""Ask for it as ``table.EVERY``, so that everybody sees the same."""
