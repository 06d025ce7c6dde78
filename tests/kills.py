"""Kill -9 a run at any moment, run again, and see what was lost: for tests and for the campaign.

A run is a process of its own, started as a user starts it or by the plain loop without Dagster. It
is killed after some seconds, together with nothing else: its workers must notice by themselves.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.project import Project
from samplemix_dagster.stages.quality.loss.perplexity import PERPLEXITY
from tests.engine.runs import ledgers
from tests.projects import open_project

REPOSITORY = Path(__file__).parents[1]
_PLAIN = """
import json, sys
from pathlib import Path
from tests.projects import open_project
from samplemix_dagster.runs.work.run import run_project
done = run_project(open_project(Path(sys.argv[1])))
stages = [{"asset": one.asset, "num_documents": one.num_computed} for one in done]
print(json.dumps({"stages": stages}))
"""
_SECONDS_TO_END = 15.0


@dataclass(frozen=True, kw_only=True)
class Kill:
    """What a kill left, and what the next run did."""

    seconds: float
    was_killed: bool
    """False: the run was faster."""
    tables_kept: int
    documents_kept: int
    """Documents with a perplexity when it was killed."""
    documents_scored_again: int
    """Documents whose perplexity stood in the lake and was computed once more."""
    tables_written_again: int
    same_ledgers: bool
    runs_left_started: int
    """Runs that Dagster still believes to be at work."""
    runs_shown_as_failed: int
    workers_left: bool
    """Whether a worker outlived the killed run."""
    half_files_read: bool
    """Whether the next run complained of a damaged file."""

    @property
    def is_good(self) -> bool:
        """Whether nothing was lost, doubled or left behind."""
        return (
            self.same_ledgers
            and self.documents_scored_again == 0
            and self.tables_written_again == 0
            and self.runs_left_started == 0
            and not self.workers_left
            and not self.half_files_read
        )


def command(root: Path, *, through: str) -> list[str]:
    """Return the command that runs a project: through the ``cli``, or by the ``plain`` loop."""
    if through == "plain":
        return [sys.executable, "-c", _PLAIN, str(root)]
    config = str(root / "samplemix.yaml")
    words = ["run", "--config", config, "--select", "export", "--json"]
    return [sys.executable, "-m", "samplemix_dagster.cli", *words]


def start(root: Path, *, through: str) -> subprocess.Popen[str]:
    """Start a run as the head of a process group of its own."""
    return subprocess.Popen(
        command(root, through=through),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=REPOSITORY,
        text=True,
        start_new_session=True,
    )


def kill_and_go_on(root: Path, seconds: float, undisturbed: Path, *, through: str) -> Kill:
    """Run, kill after so many seconds, run again to the end; compare with an undisturbed run."""
    process = start(root, through=through)
    try:
        process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
    process.communicate()
    workers_left = not _group_ends(process.pid)
    project = open_project(root)
    scored, before = _scored(project), _times(root)
    again = start(root, through=through)
    out, err = again.communicate()
    if again.returncode:
        raise RuntimeError(f"after a kill at {seconds:.2f} s the next run failed: {err}")
    counts: dict[str, int] = {}
    for entry in json.loads(out)["stages"]:
        counts[entry["asset"]] = counts.get(entry["asset"], 0) + entry["num_documents"]
    total = sum(_scored(open_project(root)).values())
    after = _times(root)
    started, failed = _dagster_runs(project) if through == "cli" else (0, 0)
    return Kill(
        seconds=round(seconds, 2),
        was_killed=process.returncode == -signal.SIGKILL,
        tables_kept=len(before),
        documents_kept=sum(scored.values()),
        documents_scored_again=counts.get("perplexity", 0) + sum(scored.values()) - total,
        tables_written_again=sum(after.get(path) != moment for path, moment in before.items()),
        same_ledgers=ledgers(root) == ledgers(undisturbed),
        runs_left_started=started,
        runs_shown_as_failed=failed,
        workers_left=workers_left,
        half_files_read="damaged" in err,
    )


def campaign(
    folder: Path, fresh: Path, count: int, seed: int, *, through: str
) -> Iterator[dict[str, object]]:
    """Yield what each of ``count`` kills did, at random moments spread over the length of a run.

    Args:
        folder: Where copies of the project are made, one at a time.
        fresh: A project that has never been run.
        count: How many kills.
        seed: Of the moments.
        through: As for :func:`command`.
    """
    undisturbed = folder / "undisturbed"
    shutil.copytree(fresh, undisturbed)
    began = time.perf_counter()
    process = start(undisturbed, through=through)
    _, err = process.communicate()
    if process.returncode:
        raise RuntimeError(f"the undisturbed run failed: {err}")
    length = time.perf_counter() - began
    yield {"run": "undisturbed", "seconds": round(length, 2)}
    luck = random.Random(seed)
    for number in range(count):
        root = folder / f"killed-{number}"
        shutil.copytree(fresh, root)
        moment = length * (number + luck.random()) / count
        found = kill_and_go_on(root, moment, undisturbed, through=through)
        yield {"run": number, **asdict(found), "is_good": found.is_good}
        shutil.rmtree(root)


def _group_ends(group: int) -> bool:
    """Wait for every process of a group to end."""
    until = time.monotonic() + _SECONDS_TO_END
    while time.monotonic() < until:
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    os.killpg(group, signal.SIGKILL)
    return False


def _scored(project: Project) -> dict[str, int]:
    """Documents of each shard that has its perplexity."""
    recipes, found = Recipes(project), {}
    for shard in project.readable_shards():
        key = recipes.feature_key(PERPLEXITY, shard)
        if project.lake.exists(key):
            found[shard.digest] = project.lake.num_rows(key)
    return found


def _times(root: Path) -> dict[Path, int]:
    """When each table of the lake was written."""
    lake = root / ".samplemix/lake"
    return {
        path: path.stat().st_mtime_ns
        for path in lake.rglob("*.parquet")
        if not any(part.startswith(".") for part in path.relative_to(lake).parts)
    }


def _dagster_runs(project: Project) -> tuple[int, int]:
    """Return how many runs Dagster believes to be at work, and how many it shows as failed."""
    import dagster as dg

    at_work = [dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.STARTING]
    failed = [dg.DagsterRunStatus.FAILURE]
    home = project.home / "dagster"
    with dg.DagsterInstance.from_config(str(home)) as instance:
        return (
            len(instance.get_runs(dg.RunsFilter(statuses=at_work))),
            len(instance.get_runs(dg.RunsFilter(statuses=failed))),
        )
