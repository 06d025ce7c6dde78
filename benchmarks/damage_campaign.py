"""Damage every file of a small lake in every way, one at a time; each is noticed and repaired.

The project is the tests' small one with an older version of one mixture. Prints one JSON line for
each trial that is not as it should be (or for all of them), and a last one with the sums: who
noticed, and after `run --check-lake` how many files are otherwise (`wrong`), how many errors were
none of this project's (`foreign`), and how often something was said to be lost. About 1 s a trial.

    OMP_NUM_THREADS=1 python benchmarks/damage_campaign.py FOLDER [--every 1] [--start 0] [--all]
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from samplemix_dagster.runs.work.run import run_project
from tests.damage import Campaign, summed
from tests.engine.changes import turn_a_dial
from tests.projects import finished_project, open_project


def main():
    """Print what came of each damage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--every", type=int, default=1, help="one trial of so many")
    parser.add_argument("--start", type=int, default=0, help="the first of them")
    parser.add_argument("--files", default="", help="only files whose key has this in it")
    parser.add_argument("--all", action="store_true", help="print every trial")
    words = parser.parse_args()
    whole = finished_project()
    turn_a_dial(whole)
    run_project(open_project(whole))
    campaign = Campaign(whole, words.folder / "copy")
    files = [file for file in campaign.files() if words.files in file]
    done = []
    for trial in campaign.trials(files, lambda number: number % words.every == words.start):
        done.append(trial)
        if words.all or trial.wrong or trial.foreign or trial.lost:
            print(json.dumps(asdict(trial)), flush=True)
    print(json.dumps(summed(done)))


if __name__ == "__main__":
    main()
