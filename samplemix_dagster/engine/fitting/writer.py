"""What fills the folder of a fit's version."""

from pathlib import Path

from samplemix_dagster.storage.lake.lake import Lake

NEUTRAL = "neutral"
"""Fact of a fit that could not be made and stands in as neutral: why, in a sentence."""


class FitWriter:
    """Fills the folder of one version through the lake's own writers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.lake = Lake(folder)
