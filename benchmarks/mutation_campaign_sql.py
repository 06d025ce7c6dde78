"""Put thousands of statements that try to write to a small lake; no file may change.

The statements are forms of writing x ways to wrap them x ways to hide them, in an order that a seed
decides. Prints one JSON line: how many there were, how they ended, and what changed a file.

    python benchmarks/mutation_campaign_sql.py [--count 2000] [--seed 0]
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.sql_writes import campaign, make_ground


def main():
    """Print what became of the statements; the exit code is 1 if a file changed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    words = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="samplemix-sql-") as folder:
        found = campaign(make_ground(Path(folder)), words.count, words.seed)
    print(json.dumps({"run": "sql writes", "seed": words.seed, **found}))
    sys.exit(bool(found["files_changed"] or found["secrets_told"]))


if __name__ == "__main__":
    main()
