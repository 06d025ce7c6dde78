"""Views of what evaluations found: their figures, and what was lost on each text."""

from collections.abc import Iterator, Mapping
from typing import Any

from samplemix_dagster.storage.ask.sql_text import Reader, relation, rows_as_select, union
from samplemix_dagster.storage.lake import keys
from samplemix_dagster.storage.lake.lake import Lake

JUDGED_VIEWS: dict[str, str] = {
    "evaluations": "One row per arm and group of each evaluation, controls and sets among them.",
    "evaluation_losses": "One row per training and judged text of the evaluation asked for last.",
}
_FIGURES = (
    "evaluation varchar",
    "is_current boolean",
    "learner varchar",
    "seeds integer",
    "arm varchar",
    "group varchar",
    "bits_per_byte double",
    "difference double",
    "low double",
    "high double",
    "needs double",
    "recovered double",
    "verdict varchar",
)
_OF_A_GROUP = ("bits_per_byte", "difference", "low", "high", "needs")
_TRAININGS = (
    "evaluation varchar",
    "learner varchar",
    "judge integer",
    "arm varchar",
    "seed bigint",
    "rung double",
    "address varchar",
)
_LOSSES = (*_TRAININGS[:-1], "group varchar", "doc_id varchar", "num_bytes bigint", "nats double")


def judged_statements(lake: Lake, reader: Reader) -> list[str]:
    """Return the statements that make the views, in order; they are empty before an evaluation."""
    current = (lake.read_json(keys.CURRENT_EVALUATION) or {}).get("evaluation")
    every = list(results(lake))
    figures = [row for found in every for row in _figures(found, current)]
    last = next((found for found in every if found["evaluation"] == current), None)
    return [
        relation("evaluations", _FIGURES, figures),
        f"create or replace view evaluation_losses as {_losses(lake, last, reader)}",
    ]


def results(lake: Lake) -> Iterator[Mapping[str, Any]]:
    """Yield what each evaluation in the lake found, by its address."""
    for name in sorted(lake.names(keys.EVALUATION_RESULTS)):
        key = f"{keys.EVALUATION_RESULTS}/{name}"
        found = None if key == keys.CURRENT_EVALUATION else lake.read_json(key)
        if found is not None:
            yield found


def losses_of(lake: Lake, found: Mapping[str, Any]) -> list[str]:
    """Return the keys of a result's losses that are in the lake, each once."""
    there = lake.names(keys.EVALUATION_LOSSES)
    named = {keys.evaluation_losses(one["address"]) for one in found.get("trainings", [])}
    return sorted(key for key in named if key.rpartition("/")[2] in there)


def _figures(found: Mapping[str, Any], current: str | None) -> Iterator[tuple[Any, ...]]:
    of_all = (found["evaluation"], found["evaluation"] == current, found["learner"], found["seeds"])
    for arm, entry in found["arms"].items():
        for group, figures in entry["groups"].items():
            numbers = (figures[name] for name in _OF_A_GROUP)
            yield (*of_all, arm, group, *numbers, entry["recovered"], figures["verdict"])


def _losses(lake: Lake, found: Mapping[str, Any] | None, reader: Reader) -> str:
    tables = [] if found is None else losses_of(lake, found)
    if found is None or not tables:
        return union([], ", ".join(_LOSSES))
    names = ("judge", "arm", "seed", "rung", "address")
    trained = [
        (found["evaluation"], found["learner"], *(one[name] for name in names))
        for one in found["trainings"]
    ]
    files = reader([str(path) for path in lake.paths(tables)], True)
    # The name up to its first dot is the training's address.
    return (
        'select t.* exclude (address), l."group", l.doc_id, l.num_bytes, l.nats '
        f"from ({rows_as_select(_TRAININGS, trained)}) as t inner join {files} as l "
        "on split_part(parse_filename(l.filename), '.', 1) = t.address"
    )
