"""Perplexity on one core: our micro-batches, a document at a time, padded batches, the machine.

All in one process with one thread, in turn, several rounds; ratios are of the median times. The
machine's limit is a float32 matrix product of the model's own width, so a ratio of 1 means that the
arithmetic of the model runs as fast as this core multiplies. Both ways must give the same losses.
Prints one JSON line.

    python benchmarks/bench_scoring.py [--rounds 5] [--documents 120]
"""

import argparse
import json
import pydoc_data.topics
import statistics
import sys
import time

import numpy as np
import torch

from samplemix_dagster.core.quality.bootstrap import (
    SEPARATOR,
    BootstrapRecipe,
    train_reference,
    train_tokenizer,
)
from samplemix_dagster.core.quality.loss.token_loss import text_losses

torch.set_num_threads(1)


def one_at_a_time(model, tokenizer, texts, context):
    """Return the nats of each document, scored alone in windows without overlap."""
    start = tokenizer.token_to_id(SEPARATOR)
    totals = []
    with torch.inference_mode():
        for text in texts:
            ids = tokenizer.encode(text, add_special_tokens=False).ids
            total, inputs = 0.0, [start, *ids]
            for begin in range(0, len(ids), context):
                window = torch.tensor([inputs[begin : begin + context + 1]])
                logits = model(window[:, :-1]).logits.float()
                total += float(
                    torch.nn.functional.cross_entropy(logits[0], window[0, 1:], reduction="sum")
                )
            totals.append(total)
    return np.array(totals)


def padded(model, tokenizer, texts, context, rows=16):
    """Return seconds' worth of the usual way: corpus order, padded batches, a mask, full logits."""
    start = tokenizer.token_to_id(SEPARATOR)
    windows = []
    for text in texts:
        ids = [start, *tokenizer.encode(text, add_special_tokens=False).ids]
        windows += [ids[at : at + context + 1] for at in range(0, len(ids) - 1, context)]
    with torch.inference_mode():
        for at in range(0, len(windows), rows):
            batch = windows[at : at + rows]
            width = max(map(len, batch))
            ids = torch.tensor([row + [0] * (width - len(row)) for row in batch])
            mask = torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in batch])
            logits = model(ids, attention_mask=mask).logits.float()
            torch.log_softmax(logits, dim=-1)


def flops_a_second(width):
    """Return what this core reaches on a float32 product of the model's shape."""
    left, right = torch.randn(2048, width), torch.randn(width, 4 * width)
    best = 0.0
    for _ in range(20):
        began = time.perf_counter()
        for _ in range(10):
            left @ right
        best = max(best, 10 * 2 * 2048 * width * 4 * width / (time.perf_counter() - began))
    return best


def main():
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--documents", type=int, default=120)
    words = parser.parse_args()
    texts = [text for _, text in sorted(pydoc_data.topics.topics.items())][: words.documents]
    recipe = BootstrapRecipe(tokens=20_000, vocabulary=4096)
    tokenizer = train_tokenizer(texts, 4096)
    model, _ = train_reference(texts, tokenizer, recipe)
    context = recipe.context_tokens
    seconds = {"ours": [], "one_at_a_time": [], "padded": []}
    for _ in range(words.rounds):
        began = time.perf_counter()
        ours = text_losses(
            model,
            tokenizer,
            texts,
            start_token_id=tokenizer.token_to_id(SEPARATOR),
            context_tokens=context,
            overlap_tokens=0,
        )
        seconds["ours"].append(time.perf_counter() - began)
        began = time.perf_counter()
        alone = one_at_a_time(model, tokenizer, texts, context)
        seconds["one_at_a_time"].append(time.perf_counter() - began)
        began = time.perf_counter()
        padded(model, tokenizer, texts, context)
        seconds["padded"].append(time.perf_counter() - began)
    np.testing.assert_allclose(ours.nll_nats, alone, rtol=1e-4)
    tokens = int(ours.num_tokens.sum())
    median = {name: statistics.median(values) for name, values in seconds.items()}
    parameters = sum(p.numel() for p in model.parameters())
    limit = flops_a_second(recipe.width) / (2 * parameters)
    figures = {
        "tokens": tokens,
        "tokens_per_second": round(tokens / median["ours"]),
        "ratio_to_one_at_a_time": round(median["one_at_a_time"] / median["ours"], 3),
        "ratio_to_padded_batches": round(median["padded"] / median["ours"], 3),
        "share_of_matrix_limit": round(tokens / median["ours"] / limit, 3),
        "threads": torch.get_num_threads(),
    }
    sys.stdout.write(json.dumps(figures) + "\n")


if __name__ == "__main__":
    main()
