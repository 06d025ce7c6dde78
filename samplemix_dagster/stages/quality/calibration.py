"""calibration: medians and deviations of bits per byte, by group; and what calibrations share."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from samplemix_dagster.core.calibration import (
    Calibration,
    GroupHistograms,
    fit_calibration,
    group_histograms,
    language_length_group,
    neutral_calibration,
)
from samplemix_dagster.engine.fitting.writer import NEUTRAL, FitWriter
from samplemix_dagster.engine.foundation.documents import DOCUMENTS
from samplemix_dagster.engine.outcome import Progress
from samplemix_dagster.engine.project import PlacedShard, Project
from samplemix_dagster.engine.shards.reading import read
from samplemix_dagster.engine.stages import Facts, Fit, FitStage, Settings
from samplemix_dagster.errors import DegenerateSampleError
from samplemix_dagster.stages.columns import floats, strings
from samplemix_dagster.stages.quality.perplexity import PERPLEXITY

if TYPE_CHECKING:
    from samplemix_dagster.engine.addresses.recipes import Recipes

_FILE = "calibration.json"
LOGITS = (-16.0, 16.0)
"""The range of logits of a combined score whose histogram is taken."""


class CalibrationFit(Fit):
    """Medians and deviations of bits per byte by group, token-weighted."""

    name = "calibration"
    asset = "calibration"
    group = "quality"
    words = (
        "Medians and deviations of bits per byte by group (by default language), by tokens; "
        "small groups shrunk to the rest. Frozen until its recipe changes or the corpus drifts."
    )
    can_be_neutral = True

    def needs(self, project: Project, name: str) -> tuple[str, ...]:
        """Return the losses of all documents."""
        del project, name
        return (PERPLEXITY.asset,)

    def settings(self, recipes: "Recipes", name: str) -> Settings:
        """Return the losses, and the groups within which they are compared."""
        del name
        return {
            "perplexity": recipes.by_source(PERPLEXITY),
            "language": recipes.config.corpus.language,
            "by": recipes.config.quality.calibrate_by,
        }

    def make(self, recipes: "Recipes", writer: FitWriter, name: str, progress: Progress) -> Facts:
        """Fit medians and deviations of bits per byte by group, token-weighted."""
        del name, progress
        parts = []
        for shard in recipes.project.all_shards():
            documents = read(recipes, DOCUMENTS, shard, "language", "num_bytes")
            losses = read(recipes, PERPLEXITY, shard, "bits_per_byte", "num_reference_tokens")
            parts.append(
                group_histograms(
                    floats(losses, "bits_per_byte"),
                    losses.column("num_reference_tokens").to_numpy(),
                    calibration_groups(recipes, shard, documents),
                    lower=0.0,
                    upper=16.0,
                )
            )
        return write_calibration(parts, writer, "quality")


CALIBRATION = CalibrationFit()


def calibration_groups(
    recipes: "Recipes", shard: PlacedShard, documents: pa.Table
) -> npt.NDArray[np.str_]:
    """Return the group within which each document's bits per byte are compared."""
    by = recipes.config.quality.calibrate_by
    languages = strings(documents, "language")
    if by == "language":
        return languages
    if by == "language_length":
        num_bytes = documents.column("num_bytes").to_numpy()
        return np.asarray(language_length_group(languages, num_bytes), dtype=np.str_)
    return np.full(documents.num_rows, shard.source if by == "source" else "", dtype=np.str_)


def read_calibration(recipes: "Recipes", fit: FitStage) -> Calibration:
    """Return a fitted calibration."""
    return Calibration.from_json(recipes.lake.read_json(f"{recipes.fit_key(fit)}/{_FILE}"))


def write_calibration(parts: Sequence[GroupHistograms], writer: FitWriter, scores: str) -> Facts:
    """Merge histograms, fit a calibration, write it; return its groups.

    Args:
        parts: Histograms of some shards each, in any order.
        writer: Fills the fit's folder.
        scores: What the documents have, for the sentence where they all have the same.
    """
    merged = parts[0].merge(*parts[1:])
    neutral = {}
    try:
        calibration = fit_calibration(merged)
    except DegenerateSampleError as error:
        calibration = neutral_calibration(merged)
        neutral = {NEUTRAL: f"All documents have one {scores}: {error}"}
    stated = calibration.to_json()
    writer.lake.replace_json(_FILE, stated)
    groups = {name or "all": group for name, group in calibration.groups.items()}
    return {
        "groups": {
            name: {
                "median": round(group.median, 5),
                "scale": round(group.scale, 5),
                "num_documents": group.num_documents,
            }
            for name, group in groups.items()
        },
        **neutral,
    }
