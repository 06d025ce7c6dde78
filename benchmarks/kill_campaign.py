"""Kill -9 a run at 100 random moments; after each, run again and compare with an undisturbed run.

The corpus is the tests' small one, run as a user runs it (`samplemix run`, two worker processes).
Prints one JSON line a kill, and a last one with the sums. Takes about 20 s a kill.

    OMP_NUM_THREADS=1 python benchmarks/kill_campaign.py FOLDER [--kills 100] [--seed 0]
"""

import argparse
import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.kills import campaign
from tests.projects import make_project, read_settings, reference_folder, write_settings


def main():
    """Print what each kill did."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    words = parser.parse_args()
    words.folder.mkdir(parents=True, exist_ok=True)
    fresh = make_project(words.folder / "fresh", reference_folder())
    settings = read_settings(fresh)
    settings["compute"]["workers"] = 2
    write_settings(fresh, settings)
    kills = []
    for line in campaign(words.folder, fresh, words.kills, words.seed, through="cli"):
        print(json.dumps(line), flush=True)
        if "is_good" in line:
            kills.append(line)
    sums = {
        "run": "all",
        "kills": len(kills),
        "killed_in_time": sum(line["was_killed"] for line in kills),
        "good": sum(line["is_good"] for line in kills),
        "documents_scored_again": sum(line["documents_scored_again"] for line in kills),
        "tables_written_again": sum(line["tables_written_again"] for line in kills),
        "same_ledgers": sum(line["same_ledgers"] for line in kills),
        "runs_left_started": sum(line["runs_left_started"] for line in kills),
        "shown_as_failed": sum(line["runs_shown_as_failed"] for line in kills),
        "workers_left": sum(line["workers_left"] for line in kills),
    }
    print(json.dumps(sums))


if __name__ == "__main__":
    main()
