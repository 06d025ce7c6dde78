"""Export a mixture for each family of trainers, train 50 steps of each, and print the losses.

``run_all.py --config PROJECT/samplemix.yaml --python READERS/bin/python`` runs in the environment
of this project; the trainers run in their own, where nothing of it is installed.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from samplemix_dagster.engine.addresses.recipes import Recipes
from samplemix_dagster.engine.project import Project

HERE = Path(__file__).parent
FAMILIES = {
    "huggingface_trainer.py": ("huggingface", []),
    "litdata_litgpt.py": ("litdata", ["sequence=128"]),
    "mds_torch.py": ("mds", ["sequence=129"]),
    "megatron_gpt.py": ("megatron", []),
}
"""The layout that each script reads, and what it asks of it."""
FEW = 5
"""Steps whose losses are a beginning, or an end."""


def main() -> int:
    """Run every family; return 1 if the loss of one does not fall."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True)
    parser.add_argument("--mixture", default="default")
    parser.add_argument("--python", required=True)
    parser.add_argument("--only", default="", help="scripts whose name has this in it")
    asked = parser.parse_args()
    falls = []
    print("trainer              layout        steps   first 5    last 5   seconds")
    for script, (form, options) in FAMILIES.items():
        if asked.only in script:
            began = time.perf_counter()
            losses = losses_of(asked, script, form, options)
            first, last = statistics.fmean(losses[:FEW]), statistics.fmean(losses[-FEW:])
            falls.append(last < first)
            seconds = time.perf_counter() - began
            said = f"{len(losses):7} {first:9.3f} {last:9.3f} {seconds:9.1f}"
            print(f"{script.removesuffix('.py'):20} {form:12} {said}", flush=True)
    return 0 if falls and all(falls) else 1


def losses_of(asked: argparse.Namespace, script: str, form: str, options: list[str]) -> list[float]:
    """Export a mixture, train on it, and return the loss of each step, in nats."""
    with tempfile.TemporaryDirectory() as made:
        folder, work = Path(made, form), Path(made, "work")
        work.mkdir()
        words = ["export", asked.mixture, "--config", asked.config, "--to", str(folder)]
        words += ["--format", form, "--files", "1", "--json"]
        words += [word for option in options for word in ("--set", option)]
        run([str(Path(sys.executable).with_name("samplemix")), *words])
        tokenizer = []
        if form == "huggingface":
            tokenizer = [str(Recipes(Project.open(Path(asked.config))).tokenizer_folder)]
        trainer = [asked.python, str(HERE / script), str(folder), *tokenizer, str(work)]
        # Nothing of this project, no network, and no compiler, which not every machine has.
        run(trainer, PYTHONPATH="", HF_HUB_OFFLINE="1", TORCHDYNAMO_DISABLE="1")
        return list(map(float, json.loads((work / "losses.json").read_text())))


def run(words: list[str], **environment: str) -> None:
    """Run a command; show what it said only if it failed."""
    done = subprocess.run(
        words, capture_output=True, text=True, env={**os.environ, **environment}, check=False
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}\n{done.stdout[-2000:]}{done.stderr[-4000:]}")


if __name__ == "__main__":
    sys.exit(main())
