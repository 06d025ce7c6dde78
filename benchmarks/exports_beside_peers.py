"""Exports beside the tools that write the same files: seconds and ratios of one run, one thread.

``exports_beside_peers.py --project PROJECT/samplemix.yaml --mixture NAME --peer PYTHON``, where
PYTHON is that of the readers' environment: the project has run, and has an export as ``megatron``
with ``array: corpus``, so that ids are stored and an array stands.
Of the peers, datatrove tokenizes the draws of the mixture into Megatron's pair, and ``datasets``
writes them as Parquet and as lines of JSON. Both read them from ``jsonl.gz``, which is what the
shards of a corpus mostly are; the tokenizer is the same file. Ours orders the draws, looks each
document up, counts again, and reads back what it wrote, which the peers do not.

Prints one JSON line: for each way seconds and tokens a second, and ratios of ours to the peer's.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

for name in ("OMP_NUM_THREADS", "RAYON_NUM_THREADS", "MKL_NUM_THREADS", "ARROW_NUM_THREADS"):
    os.environ[name] = "1"
os.environ |= {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
PEERS = Path(__file__).with_name("export_peers.py")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", required=True)
    parser.add_argument("--mixture", default="default")
    parser.add_argument("--peer", required=True, help="Python of the readers' environment")
    parser.add_argument("--repeats", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        print(json.dumps(measured(asked, Path(made))))


def measured(asked: argparse.Namespace, scratch: Path) -> dict[str, object]:
    """Measure every way in turns, and keep the least seconds of each."""
    pin_to_one_core()
    ours = Ours(asked.project, asked.mixture)
    fast = Ours(asked.project, asked.mixture, tokenize_with="gigatoken")
    draws, tokens = scratch / "draws", ours.export("jsonl.gz", scratch / "draws")
    ways: dict[str, Callable[[Path], float]] = {
        "ours from text": lambda to: ours.timed("megatron", to, texts=True),
        "ours from text, by gigatoken": lambda to: fast.timed("megatron", to, texts=True),
        "ours from stored ids": lambda to: ours.timed("megatron", to),
        "ours, each copy written": lambda to: ours.timed("megatron", to, materialise="true"),
        "ours, index only": lambda _: ours.index_only(),
        "datatrove": lambda to: peer(asked.peer, "datatrove", draws, to, ours.tokenizer),
        "ours as parquet": lambda to: ours.timed("parquet", to),
        "datasets as parquet": lambda to: peer(asked.peer, "parquet", draws, to),
        "ours as jsonl.zst": lambda to: ours.timed("jsonl.zst", to),
        "datasets as jsonl.zst": lambda to: peer(asked.peer, "jsonl.zst", draws, to),
    }
    seconds: dict[str, float] = {}
    for turn in range(asked.repeats):
        for way, run in ways.items():
            to = scratch / "out"
            spent = run(to)
            shutil.rmtree(to, ignore_errors=True)
            seconds[way] = min(spent, seconds.get(way, spent))
            print(f"{turn} {way}: {spent:.2f} s", file=sys.stderr, flush=True)
    return {
        "tokens": tokens,
        "repeats": asked.repeats,
        "seconds": {way: round(spent, 3) for way, spent in seconds.items()},
        "tokens_per_second": {way: round(tokens / spent) for way, spent in seconds.items()},
        "ratios": {
            **{
                way: round(seconds["datatrove"] / seconds[way], 2)
                for way in ways
                if way.startswith("ours") and " as " not in way
            },
            **{
                f"ours as {form}": round(
                    seconds[f"datasets as {form}"] / seconds[f"ours as {form}"], 2
                )
                for form in ("parquet", "jsonl.zst")
            },
        },
    }


def pin_to_one_core() -> None:
    """Stay on one core, and whatever is started from here too, where the system can."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


class Ours:
    """Exports of a mixture's current version."""

    def __init__(self, config: str, mixture: str, **compute: str) -> None:
        from samplemix_dagster.engine.addresses.recipes import Recipes
        from samplemix_dagster.engine.project import Project

        self.config, self.mixture = Path(config), mixture
        self.project = Project.open(self.config)
        if compute:
            told = self.project.config
            here = told.compute.model_copy(update=compute)
            self.project = self.project.with_config(told.model_copy(update={"compute": here}))
        current = self.project.lake.read_json(f"mixtures/{mixture}/current.json")
        self.version = str(current["version"])
        self.tokenizer = Recipes(self.project).tokenizer_folder

    def export(self, form: str, to: Path, **options: str) -> int:
        """Export into one file; return the tokens."""
        from samplemix_dagster.export_formats.wanted import Wanted
        from samplemix_dagster.stages.export.exporting import export_version

        wanted = Wanted.of(form, 1, options)
        done = export_version(self.project, self.mixture, self.version, wanted, folder=to)
        return int(done["num_tokens"])

    def timed(self, form: str, to: Path, *, texts: bool = False, **options: str) -> float:
        """Return the seconds of an export; with ``texts``, as where no ids are stored."""
        from samplemix_dagster.stages.export import filling

        stored = filling.stored_ids
        if texts:
            filling.stored_ids = lambda *_: None
        try:
            began = time.perf_counter()
            self.export(form, to, **options)
            return time.perf_counter() - began
        finally:
            filling.stored_ids = stored

    def index_only(self) -> float:
        """Return the seconds of an export into the lake whose array stands there already."""
        from samplemix_dagster.export_formats.wanted import Wanted
        from samplemix_dagster.stages.export.exporting import export_into_lake

        # Two files: the project's own export has one, and another folder.
        wanted = Wanted.of("megatron", 2, {"array": "corpus"})
        lake, key = self.project.lake, f"exports/{self.mixture}/{self.version}/{wanted.folder}"
        lake.remove_folder(key)
        try:
            began = time.perf_counter()
            export_into_lake(self.project, self.mixture, self.version, wanted)
            return time.perf_counter() - began
        finally:
            lake.remove_folder(key)


def peer(python: str, way: str, draws: Path, to: Path, tokenizer: Path | None = None) -> float:
    """Return the seconds that a peer says it took, without its imports."""
    words = [python, str(PEERS), way, str(draws), str(to), str(tokenizer or "")]
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONPATH": ""}
    )
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return float(done.stdout.split()[-1])


if __name__ == "__main__":
    main()
