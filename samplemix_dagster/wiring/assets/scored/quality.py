"""quality: text -> perplexity under the reference -> calibrated quality in (0, 1)."""

from dataclasses import replace
from typing import Any

import numpy as np

from samplemix_dagster import tables
from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.outcome import Outcome
from samplemix_dagster.engine.project import Project
from samplemix_dagster.engine.stages import Facts, Stage
from samplemix_dagster.stages.quality.agreement import (
    NOT_COMPARED,
    NOT_YET,
    beside_main_reference,
    windows_beside_whole,
)
from samplemix_dagster.stages.quality.calibration import CALIBRATION
from samplemix_dagster.stages.quality.loss.other_references import (
    OtherPerplexity,
    compared_signals,
    other_losses,
)
from samplemix_dagster.stages.quality.loss.perplexity import PERPLEXITY, STUDENTS_PERPLEXITY
from samplemix_dagster.stages.quality.quality import QUALITY
from samplemix_dagster.stages.quality.tokens import TOKENS
from samplemix_dagster.wiring.assets.asset import Look
from samplemix_dagster.wiring.assets.shown.columns import origins_of_quality
from samplemix_dagster.wiring.assets.shown.pictures import histogram_svg
from samplemix_dagster.wiring.assets.shown.told import table_value
from samplemix_dagster.wiring.metadata import Metadata

_MEASURED = (
    "A document is measured by how many scales it lies from the median of its group; the scale is "
    "the group's robust standard deviation."
)


def column_values(project: Project, stage: Stage, partition: str, *columns: str) -> list[Any]:
    """Return columns of a stage over a partition's shards, each as one array."""
    recipes = Recipes(project)
    parts: list[list[Any]] = [[] for _ in columns]
    for shard in project.shards(partition):
        table = project.lake.read_table(recipes.feature_key(stage, shard), list(columns))
        for held, name in zip(parts, columns, strict=True):
            held.append(table.column(name).to_numpy())
    return [np.concatenate(held) if held else np.empty(0) for held in parts]


def _perplexity(project: Project, outcome: Outcome) -> Metadata:
    partition = str(outcome.partition)
    quality = project.config.quality
    has_windows = quality.tokens_per_document is not None or quality.student is not None
    read = "num_read_tokens" if has_windows else "num_reference_tokens"
    bits, tokens, tokens_read = column_values(
        project, PERPLEXITY, partition, "bits_per_byte", "num_reference_tokens", read
    )
    metadata: Metadata = {}
    if bits.size:
        counts, _ = np.histogram(bits, bins=40, range=(0.0, 8.0))
        metadata |= {
            "bits_per_byte": histogram_svg(counts, 0, 8),
            "median_bits_per_byte": round(float(np.median(bits)), 4),
            "reference_tokens": int(tokens.sum()),
        }
        if quality.student is not None:
            (is_student,) = column_values(project, STUDENTS_PERPLEXITY, partition, "is_student")
            metadata["share_by_student"] = round(float(np.mean(is_student)), 4)
        elif has_windows:
            metadata |= _windows(project, partition)
        if outcome.num_computed == outcome.num_documents and outcome.seconds > 0:
            metadata["tokens_per_second"] = round(int(tokens_read.sum()) / outcome.seconds)
    return metadata


def _windows(project: Project, partition: str) -> Facts:
    """What scoring windows read, how sure it is, and how it agrees with whole scores."""
    errors, read = column_values(
        project, PERPLEXITY, partition, "bits_per_byte_error", "num_read_tokens"
    )
    is_cut = errors > 0
    agreement = windows_beside_whole(Recipes(project), partition)
    told = [{key: str(value) for key, value in agreement.items()}] if agreement else []
    return {
        "tokens_read": int(read.sum()),
        "documents_in_windows": int(is_cut.sum()),
        "mean_standard_error": round(float(errors[is_cut].mean()), 4) if is_cut.any() else 0.0,
        "beside_whole_scores": table_value(told) if told else NOT_COMPARED,
    }


def _tokens(project: Project, outcome: Outcome) -> Metadata:
    (tokens,) = column_values(project, TOKENS, str(outcome.partition), "num_tokens")
    return {"tokens": int(tokens.sum())}


def _quality(project: Project, outcome: Outcome) -> Metadata:
    (quality,) = column_values(project, QUALITY, str(outcome.partition), "quality")
    counts, _ = np.histogram(quality, bins=40, range=(0.0, 1.0))
    return {
        "quality": histogram_svg(counts, 0, 1),
        "mean_quality": round(float(quality.mean()), 4) if quality.size else 0.0,
    }


def calibration_metadata(project: Project, outcome: Outcome) -> Metadata:
    """Return a calibration's groups as a table, and its drift."""
    del project
    rows = [{"group": name, **group} for name, group in outcome.facts["groups"].items()]
    return {"groups": table_value(rows[:60]), "how_to_read_it": _MEASURED, **drift(outcome)}


def drift(outcome: Outcome) -> Metadata:
    """Return how much of the corpus's sample a frozen fit was not made on."""
    value = outcome.facts.get("drift")
    return {} if value is None else {"drift": round(float(value), 5)}


def _student(project: Project, outcome: Outcome) -> Facts:
    """How a student agrees with the reference on documents that it had not seen."""
    del project
    told: Facts = {}
    for name, value in outcome.facts.items():
        if not isinstance(value, list):
            told |= {} if value is None else {name: value}
        elif value:
            rows = [{key: str(cell) for key, cell in row.items()} for row in value[:60]]
            told[name] = table_value(rows)
    return told


def looks(project: Project) -> dict[str, Look]:
    """Return what a person sees of each stage of quality."""
    scores = replace(LOOKS["quality_scores"], origins=origins_of_quality(project.config))
    [losses] = PERPLEXITY.stages(project.config)
    perplexity = replace(LOOKS["perplexity"], tables=(losses.table,))
    others = {stage.asset: _other_look(stage) for stage in other_losses(project.config).values()}
    calibrations = {
        CALIBRATION.asset_of(one.label): replace(
            LOOKS["calibration"], description=_calibrates(one.signal, one.under, one.less)
        )
        for one in compared_signals(project.config)
    }
    every = {**LOOKS, **others, **calibrations}
    return {**every, "perplexity": perplexity, "quality_scores": scores}


def _calibrates(signal: str, under: str, less: str) -> str:
    what = f"bits per byte under {under!r}" + (f", less those under {less!r}" if less else "")
    return f"Medians and deviations by group of what the signal {signal!r} compares: {what}."


def _other_look(stage: OtherPerplexity) -> Look:
    def present(project: Project, outcome: Outcome) -> Metadata:
        partition = str(outcome.partition)
        (bits,) = column_values(project, stage, partition, "bits_per_byte")
        if not bits.size:
            return {}
        counts, _ = np.histogram(bits, bins=40, range=(0.0, 8.0))
        agreement = beside_main_reference(Recipes(project), stage, partition)
        rows = [{key: str(value) for key, value in row.items()} for row in agreement]
        return {
            "bits_per_byte": histogram_svg(counts, 0, 8),
            "median_bits_per_byte": round(float(np.median(bits)), 4),
            "beside_the_reference_that_scores": table_value(rows) if rows else NOT_YET,
        }

    kinds = ("python", "parquet")
    return Look(kinds=kinds, present=present, tables=(stage.table,))


LOOKS = {
    "perplexity": Look(
        kinds=("pytorch", "parquet"),
        present=_perplexity,
        tables=(tables.PERPLEXITY,),
    ),
    "token_counts": Look(
        kinds=("python", "parquet"),
        present=_tokens,
        tables=(tables.TOKENS,),
    ),
    "student": Look(kinds=("python",), present=_student),
    "calibration": Look(
        present=calibration_metadata,
    ),
    "quality_calibration": Look(present=calibration_metadata),
    "quality_scores": Look(
        kinds=("python", "parquet"),
        present=_quality,
        tables=(tables.QUALITY,),
    ),
}
