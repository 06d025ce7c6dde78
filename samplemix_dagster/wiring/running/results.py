"""What a run that has ended says of itself: what was made, what failed, which checks held."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from samplemix_dagster.wiring.assets.shown.told import LOST
from samplemix_dagster.wiring.checks.shards import REJECTED_CHECK
from samplemix_dagster.wiring.names import Names

Result = dg.ExecuteInProcessResult | dg.JobExecutionResult
"""Of a run in this process, or of one in processes of its own."""


def seconds_of(result: Result) -> dict[dg.AssetKey, float]:
    """Return how long each asset took that was made."""
    found: dict[dg.AssetKey, float] = {}
    for event in result.get_asset_materialization_events():
        materialization = event.step_materialization_data.materialization
        value = materialization.metadata.get("seconds")
        found[materialization.asset_key] = float(value.value) if value is not None else 0.0  # type: ignore[arg-type]
    return found


def lost_workers(result: Result, names: Names) -> Iterator[tuple[str, str]]:
    """Yield (asset, sentence) for each that lost workers and made up for it."""
    for event in result.get_asset_materialization_events():
        materialization = event.step_materialization_data.materialization
        found = materialization.metadata.get(LOST)
        if found is not None:
            where = f" [{materialization.partition}]" if materialization.partition else ""
            yield names.asset(materialization.asset_key) + where, str(found.value)


def stop_if_interrupted(result: Result) -> None:
    """Stop everything when somebody stopped this run: Dagster takes the signal for a failure.

    Raises:
        KeyboardInterrupt: A step was interrupted.
    """
    for event in result.get_step_failure_events():
        if _classes(event.step_failure_data.error) & {
            "DagsterExecutionInterruptedError",
            "KeyboardInterrupt",
        }:
            raise KeyboardInterrupt


def has_met_damage(result: Result) -> bool:
    """Whether a step failed because a file of the lake is not what was written."""
    return any(
        "DamagedError" in _classes(event.step_failure_data.error)
        for event in result.get_step_failure_events()
    )


def _classes(error: Any) -> set[str | None]:
    """Return the class of an error and of its cause, by name."""
    return {error.cls_name, error.cause.cls_name if error.cause else None} if error else set()


def failures_of(result: Result, names: Names) -> list[tuple[str, str]]:
    """Return (asset, sentence) of each step that failed by itself, not by a check of its own."""
    return [
        (names.asset_of_step(event.step_key), failure_sentence(event.step_failure_data.error))
        for event in result.get_step_failure_events()
        if not is_failed_check(event.step_failure_data.error)
    ]


def is_failed_check(error: Any) -> bool:
    """Whether a step's error only says that a blocking check did not hold."""
    return error is not None and error.cls_name == "DagsterAssetCheckFailedError"


def failure_sentence(error: Any, default: str = "failed") -> str:
    """Return what a person is told of a step's error: the message, without the class's name."""
    cause = error.cause if error and error.cause else error
    text = cause.message.strip() if cause else default
    # "module.ClassName: message": people want the message.
    head, _, rest = text.partition(": ")
    return rest if rest and " " not in head else text


def failed_checks(
    result: Result,
    names: Names,
    severity: dg.AssetCheckSeverity = dg.AssetCheckSeverity.ERROR,
) -> list[tuple[str, str]]:
    """Return (asset, sentence) of each check of a kind that did not hold, a sentence once.

    Checks of severity ``ERROR`` block; others warn.
    """
    found = [
        (
            names.asset(evaluation.asset_key),
            evaluation.description or f"the check {evaluation.check_name} did not hold",
        )
        for evaluation in result.get_asset_check_evaluations()
        if not evaluation.passed
        and evaluation.severity == severity
        and evaluation.check_name != REJECTED_CHECK  # losses tell that, whoever runs
    ]
    return list(dict.fromkeys(found))
