"""What a job can be told, the parts that it is made of, and what every run is told."""

from collections.abc import Iterable
from dataclasses import dataclass

import dagster as dg
from pydantic import Field

from samplemix_dagster.stages.stepping.step import Step


class ScoreChoice(dg.Config):
    """What a run of the job ``score`` can be told."""

    refit: list[str] = Field(
        default=[],
        description="Fits to make again whatever their drift: clusters, topics, ...; or all.",
    )
    check_lake: bool = Field(
        default=False, description="Read every file in use first, and make damaged ones again."
    )


class MixChoice(ScoreChoice):
    """What a run of the job ``mix`` can be told."""

    mixtures: list[str] = Field(
        default=[], description="Mixtures to make, by name; all of them when empty."
    )


class Choice(MixChoice):
    """What a run of the job ``publish`` can be told."""

    select: list[str] = Field(
        default=[],
        description=(
            "Stages to bring up to date, with what they need: shards, reference, quality, "
            "diversity, beta, mixture, export, report; all of them when empty."
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What one op of a job does."""

    name: str
    groups: tuple[str, ...]
    description: str


PARTS = (
    Part(
        name="reading",
        groups=("shards",),
        description="Reads new and changed shards, and notes what the corpus is.",
    ),
    Part(
        name="scoring",
        groups=("reference", "quality", "diversity"),
        description="Gives every document its quality, its diversity and its tokens.",
    ),
    Part(
        name="fitting",
        groups=("beta",),
        description="Fits the law of the corpus over quality and diversity.",
    ),
    Part(
        name="mixing",
        groups=("mixture",),
        description="Draws each mixture, checks it, and makes it current if its checks hold.",
    ),
    Part(
        name="exporting",
        groups=("export",),
        description="Writes the current mixtures as files for trainers.",
    ),
    Part(
        name="reporting", groups=("report",), description="Brings the report's tables up to date."
    ),
)


def groups_of(parts: Iterable[Part]) -> list[str]:
    """Return the stages that some parts are of."""
    return [group for part in parts for group in part.groups]


def steps_of(steps: Iterable[Step], parts: Iterable[Part]) -> list[Step]:
    """Return those of some steps that some parts take."""
    groups = groups_of(parts)
    return [step for step in steps if step.group in groups]


def console(*, quiet: bool) -> dict[str, object]:
    """Return the run configuration that keeps Dagster's own log off the console, or on it."""
    level = "CRITICAL" if quiet else "INFO"
    return {"loggers": {"console": {"config": {"log_level": level}}}}
