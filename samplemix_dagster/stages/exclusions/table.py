"""Every exclusion, a line each; where two hold for a document, the first is its reason."""

from samplemix_dagster.stages.exclusions.contamination import CONTAMINATED
from samplemix_dagster.stages.exclusions.exclusion import Exclusion
from samplemix_dagster.stages.exclusions.near_duplicates import NEAR_DUPLICATE
from samplemix_dagster.stages.exclusions.takedown import TAKEDOWN

EVERY: tuple[Exclusion, ...] = (TAKEDOWN, CONTAMINATED, NEAR_DUPLICATE)
"""Ask for it as ``table.EVERY``, so that everybody sees the same."""
