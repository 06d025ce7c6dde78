"""What each executor costs beside the work: to start, for a unit, and on a small project.

Without a project, units that do nothing. With one, its texts are scored and embedded again, once
with new workers and once with the same; every executor must write the same bytes. Ray is left out
where it is not installed. Prints one JSON line.

    python benchmarks/bench_executors.py [--project PROJECT/samplemix.yaml] [--workers 2]
"""

import argparse
import hashlib
import json
import shutil
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import yaml

from samplemix_dagster.engine.executors.choice import executor_of
from samplemix_dagster.engine.executors.processes import stop_workers
from samplemix_dagster.engine.project import Project
from samplemix_dagster.runs.work.run import run_project
from samplemix_dagster.stages.stepping.steps import build_steps

SCORED = ("perplexity", "embeddings")
UNITS = 2000
EMPTY = "corpus: {sources: {a: {path: a}}}\nmixtures: {default: {budget_tokens: 1k}}\n"


def nothing(number):
    """Return what comes in."""
    return number


def stop():
    """End every worker."""
    stop_workers()
    if find_spec("ray") is not None:
        from samplemix_dagster.engine.executors.ray_crew import stop_ray

        stop_ray()


def opened(root, executor, workers):
    """Return the project of a folder, under an executor."""
    path = root / "samplemix.yaml"
    settings = yaml.safe_load(path.read_text())
    settings["compute"] = {
        **settings.get("compute", {}),
        "executor": executor,
        "workers": workers,
        "address": "local",
    }
    path.write_text(yaml.safe_dump(settings, sort_keys=False))
    return Project.open(path)


def empty_units(root, executor, workers):
    """Return the seconds to a first answer, and the microseconds of a unit that does nothing."""
    (root / "samplemix.yaml").write_text(EMPTY)
    project = opened(root, executor, workers)
    began = time.perf_counter()
    list(executor_of(project).map(nothing, range(workers + 1)))
    started = time.perf_counter() - began
    began = time.perf_counter()
    assert list(executor_of(project).map(nothing, range(UNITS))) == list(range(UNITS))
    return {
        "start_seconds": round(started, 2),
        "unit_microseconds": round(1e6 * (time.perf_counter() - began) / UNITS),
    }


def forget(root):
    """Take the scored tables out of a lake; return a digest of their content."""
    digest = hashlib.sha256()
    for name in SCORED:
        assert (root / "lake" / "features" / name).is_dir(), name
        for file in sorted((root / "lake" / "features" / name).rglob("*.parquet")):
            digest.update(str(file.relative_to(root)).encode() + file.read_bytes())
        shutil.rmtree(root / "lake" / "features" / name, ignore_errors=True)
    return digest.hexdigest()


def scored(source, root, executor, workers):
    """Return the seconds with new workers and with the same, and the digest of what was written."""
    shutil.copytree(source.parent, root, ignore=shutil.ignore_patterns(".samplemix"))
    shutil.copytree(Project.open(source).lake.root, root / "lake")
    path = root / "samplemix.yaml"
    path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), "lake": "lake"}))
    forget(root)
    seconds, digests = [], set()
    for _ in range(2):
        project = opened(root, executor, workers)
        steps = [step for step in build_steps(project) if step.asset in SCORED]
        began = time.perf_counter()
        run_project(project, steps=steps)
        seconds.append(round(time.perf_counter() - began, 2))
        digests.add(forget(root))
    (digest,) = digests
    return {"new_workers_seconds": seconds[0], "same_workers_seconds": seconds[1]}, digest


def main():
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    words = parser.parse_args()
    found, digests = {}, set()
    for executor in ("here", "processes", "ray"):
        if executor == "ray" and find_spec("ray") is None:
            continue
        with tempfile.TemporaryDirectory() as folder:
            found[executor] = empty_units(Path(folder), executor, words.workers)
        stop()
        if words.project:
            with tempfile.TemporaryDirectory() as folder:
                figures, digest = scored(
                    words.project.resolve(), Path(folder) / "p", executor, words.workers
                )
            found[executor] |= figures
            digests.add(digest)
        stop()
    print(json.dumps({"workers": words.workers, "same_bytes": len(digests) <= 1, **found}))


if __name__ == "__main__":
    main()
