"""signals: what a class says of each text or embedding, for quality or for diversity."""

import numpy as np

from samplemix_dagster.engine.outcome import Outcome
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.stages import Stage
from samplemix_dagster.stages.signals import OwnSignal
from samplemix_dagster.wiring.assets.asset import Look
from samplemix_dagster.wiring.assets.pictures import histogram_svg
from samplemix_dagster.wiring.assets.quality import column_values
from samplemix_dagster.wiring.metadata import Metadata


def look(stage: Stage) -> Look:
    """Return what a person sees of a signal's scores."""

    def present(project: Project, outcome: Outcome) -> Metadata:
        (scores,) = column_values(project, stage, str(outcome.partition), "score")
        counts, _ = np.histogram(scores, bins=40, range=(0.0, 1.0))
        mean = round(float(scores.mean()), 4) if scores.size else 0.0
        return {"score": histogram_svg(counts, 0, 1), "mean_score": mean}

    return Look(kinds=("python", "parquet"), present=present, tables=(stage.table,))


def fit_look(own: OwnSignal) -> Look:
    """Return what a person sees of what a signal's class was fitted to."""
    return Look(description=f"What {own.name!r} knows of the whole corpus.")
