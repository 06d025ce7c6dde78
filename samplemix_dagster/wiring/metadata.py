"""What Dagster shows beside an asset or a check, by name: of which types it may be."""

from typing import Any, TypeAlias

import dagster as dg

Shown: TypeAlias = (
    dg.MetadataValue[Any]
    | dg.TableSchema
    | dg.TableColumnLineage
    | str
    | list[str]
    | int
    | float
    | None
)
Metadata: TypeAlias = dict[str, Shown]
"""The page keeps the order."""
