"""Runs of small projects, and what they left: plans, counts, ledgers."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dagster as dg

from samplemix_dagster.engine.outcome import Outcome
from samplemix_dagster.engine.project import Project
from samplemix_dagster.runs.plan.plan import Planner
from samplemix_dagster.runs.work.run import run_project
from samplemix_dagster.stages.stepping.step import Step
from samplemix_dagster.storage.ask.query import query
from samplemix_dagster.wiring.names import PLAIN, Names
from samplemix_dagster.wiring.running.launch import Flow
from samplemix_dagster.wiring.running.reaping import reap_dead_runs
from samplemix_dagster.wiring.running.run_report import RunReport
from tests.engine.changes import CHANGES
from tests.projects import copy_project, finished_project, open_project

Counts = list[tuple[str, str, int]]
"""(asset, partition, documents to compute), in order."""


@dataclass(frozen=True)
class Run:
    """A project after a run: what was planned just before, and what was done."""

    root: Path
    planned: Counts
    done: Counts
    outcomes: list[Outcome]
    why: dict[str, str] = field(default_factory=dict)

    @property
    def project(self) -> Project:
        return open_project(self.root)

    @property
    def assets(self) -> set[str]:
        return {asset for asset, _, _ in self.done}

    def counts(self, asset: str) -> dict[str, int]:
        """Documents that an asset computed, by partition."""
        return {partition: count for name, partition, count in self.done if name == asset}


def run(root: Path) -> Run:
    """Plan and run a project."""
    plan = Planner(open_project(root)).plan()
    outcomes = run_project(open_project(root))
    return Run(
        root=root,
        planned=[(task.step.asset, task.partition, task.num_documents) for task in plan.tasks],
        done=[(one.asset, one.partition or "", one.num_computed) for one in outcomes],
        outcomes=outcomes,
        why={one.asset: one.why for one in outcomes},
    )


def run_changed(folder: Path, *changes: str | Callable[[Path], None]) -> Run:
    """Copy the finished project, change it, run it."""
    root = copy_project(finished_project(), folder)
    for change in changes:
        (CHANGES[change] if isinstance(change, str) else change)(root)
    return run(root)


def version(root: Path, mixture: str = "default") -> str:
    """The current version of a mixture."""
    current = open_project(root).lake.read_json(f"mixtures/{mixture}/current.json")
    return str(current["version"])


def manifest(root: Path, mixture: str = "default") -> dict[str, Any]:
    """The manifest of a mixture's current version."""
    key = f"mixtures/{mixture}/{version(root, mixture)}/manifest.json"
    return dict(open_project(root).lake.read_json(key))


def ledgers(root: Path) -> dict[str, tuple[str, dict[str, str]]]:
    """Version and digests of the ledger files of every mixture, as their bytes are now."""
    project = open_project(root)
    found = {}
    for name in project.config.mixtures:
        folder = f"mixtures/{name}/{version(root, name)}/ledger"
        digests = {
            file: project.lake.digest(f"{folder}/{file}") for file in project.lake.names(folder)
        }
        found[name] = (version(root, name), digests)
    return found


def rows(root: Path, sql: str) -> list[dict[str, Any]]:
    """What a query answers."""
    return list(query(open_project(root).lake, sql).to_pylist())


def copies(root: Path, mixture: str = "default") -> dict[str, int]:
    """How often each document is drawn."""
    found = rows(
        root,
        "select doc_id, sum(copies)::bigint as copies from ledger "
        f"where mixture = '{mixture}' group by doc_id",
    )
    return {row["doc_id"]: row["copies"] for row in found}


def run_stale(
    project: Project,
    repository: dg.RepositoryDefinition,
    instance: dg.DagsterInstance,
    *,
    steps: list[Step] | None = None,
    with_report: bool = True,
    quiet: bool = False,
    names: Names = PLAIN,
) -> RunReport:
    """Bring a project up to date through Dagster, as its jobs do, without the job around it."""
    project.refresh()
    reap_dead_runs(instance)
    flow = Flow(project, repository, instance, quiet=quiet, names=names)
    flow.bring(flow.every if steps is None else steps, with_report=with_report)
    return flow.end("samplemix run")
