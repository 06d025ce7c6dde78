"""signals: what a class says of each text or embedding, for quality or for diversity."""

from collections import Counter

import numpy as np

from samplemix_dagster.engine.outcome import Outcome
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.stages import Stage
from samplemix_dagster.stages.outside.labels import LabelStage
from samplemix_dagster.stages.signals import OwnSignal
from samplemix_dagster.wiring.assets.asset import Look
from samplemix_dagster.wiring.assets.scored.quality import column_values
from samplemix_dagster.wiring.assets.shown.pictures import histogram_svg
from samplemix_dagster.wiring.assets.shown.told import table_value
from samplemix_dagster.wiring.metadata import Metadata

_SHOWN = 30
"""How many labels are listed."""


def look(stage: Stage) -> Look:
    """Return what a person sees of a signal's scores."""

    def present(project: Project, outcome: Outcome) -> Metadata:
        return _scores(project, stage, str(outcome.partition))

    return Look(kinds=("python", "parquet"), present=present, tables=(stage.table,))


def external_look(stage: Stage) -> Look:
    """Return what a person sees of a signal from outside: its scores, and how many it names."""

    def present(project: Project, outcome: Outcome) -> Metadata:
        partition = str(outcome.partition)
        (known,) = column_values(project, stage, partition, "is_known")
        share = round(float(known.mean()), 4) if known.size else 0.0
        return {"share_of_documents_named": share, **_scores(project, stage, partition)}

    return Look(kinds=("python", "parquet"), present=present, tables=(stage.table,))


def label_look(stage: LabelStage) -> Look:
    """Return what a person sees of a label: its commonest values, and how many it names."""

    def present(project: Project, outcome: Outcome) -> Metadata:
        (labels,) = column_values(project, stage, str(outcome.partition), "label")
        counts = Counter(labels.tolist())
        total, unknown = counts.total(), counts[stage.joined.unknown]
        return {
            "share_of_documents_named": round(1.0 - unknown / total, 4) if total else 0.0,
            "num_labels": len(counts),
            "labels": table_value(
                [{"label": name, "documents": n} for name, n in counts.most_common(_SHOWN)]
            ),
        }

    return Look(kinds=("python", "parquet"), present=present, tables=(stage.table,), view="labels")


def _scores(project: Project, stage: Stage, partition: str) -> Metadata:
    (scores,) = column_values(project, stage, partition, "score")
    counts, _ = np.histogram(scores, bins=40, range=(0.0, 1.0))
    mean = round(float(scores.mean()), 4) if scores.size else 0.0
    return {"score": histogram_svg(counts, 0, 1), "mean_score": mean}


def resembles_look(name: str) -> Look:
    """Return what a person sees of what tells examples from the corpus."""

    def present(project: Project, outcome: Outcome) -> Metadata:
        del project
        facts = {key: value for key, value in outcome.facts.items() if value is not None}
        auc = facts.get("held_out_auc")
        words = "" if auc is None else f"AUC {auc:.2f} on texts held out (0.5: not; 1: always)"
        return {**({"tells_them_apart": words} if words else {}), **facts}

    return Look(
        description=f"What tells the examples of {name!r} from the corpus, and how well it does.",
        kinds=("python",),
        present=present,
    )


def clean_fit_look() -> Look:
    """Return what a person sees of what the signal ``clean`` measures company by."""

    def present(project: Project, outcome: Outcome) -> Metadata:
        del project
        return dict(outcome.facts)

    return Look(present=present)


def fit_look(own: OwnSignal) -> Look:
    """Return what a person sees of what a signal's class was fitted to."""
    return Look(description=f"What {own.name!r} knows of the whole corpus.")
