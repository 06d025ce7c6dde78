"""What a run did, as it is told: what was made, what failed, what was mended."""

from dataclasses import dataclass, field
from typing import TypedDict

from samplemix_dagster.runs.plan.planned import Task


class Made(TypedDict):
    """What a run did of an asset, all its partitions together, as a JSON value."""

    stage: str
    asset: str
    num_shards: int
    num_documents: int
    why: str
    seconds: float


@dataclass(kw_only=True)
class RunReport:
    """What a run of everything stale did."""

    done: list[Made] = field(default_factory=list)
    """One entry an asset."""
    failures: list[str] = field(default_factory=list)
    """One sentence a failure: the asset, its partition and the error."""
    failed_assets: set[str] = field(default_factory=set)
    """The assets that failed, not those that wait for them."""
    repairs: list[str] = field(default_factory=list)
    """One sentence a damaged file: it was removed and made again."""
    warnings: list[dict[str, str]] = field(default_factory=list)
    """Checks that did not hold and block nothing: kind, where, words; each once."""
    run_ids: list[str] = field(default_factory=list)
    can_pass: bool = False
    """Whether something failed for a reason that can pass: the same run can work later."""

    @property
    def succeeded(self) -> bool:
        """Whether nothing failed."""
        return not self.failures

    def note(self, task: Task, seconds: float) -> None:
        """Add what was made to the entry of its asset."""
        for entry in self.done:
            if entry["asset"] == task.step.asset:
                entry["num_shards"] += task.num_shards
                entry["num_documents"] += task.num_documents
                entry["seconds"] = round(entry["seconds"] + seconds, 3)
                if task.why not in entry["why"]:
                    entry["why"] += f"; {task.why}"
                return
        self.done.append(
            Made(
                stage=task.step.group,
                asset=task.step.asset,
                num_shards=task.num_shards,
                num_documents=task.num_documents,
                why=task.why,
                seconds=round(seconds, 3),
            )
        )

    def note_tables(self, why: str, seconds: float) -> None:
        """Add that the report's tables were made, which are of no document alone."""
        self.done.append(
            Made(
                stage="report",
                asset="report",
                num_shards=0,
                num_documents=0,
                why=why,
                seconds=round(seconds, 3),
            )
        )

    def warn(self, kind: str, where: str, words: str) -> None:
        """Add a warning, once."""
        warning = {"kind": kind, "where": where, "words": words}
        if warning not in self.warnings:
            self.warnings.append(warning)
