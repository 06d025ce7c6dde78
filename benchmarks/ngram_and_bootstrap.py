"""An n-gram reference beside a bootstrapped transformer: held-out bits per byte, tokens a second.

    python benchmarks/ngram_and_bootstrap.py --corpus CORPUS --held-out FOLDER --tokens 500000

CORPUS has a folder of JSON lines a source, FOLDER a file a source. Both are made from the texts
with the smallest hashes, by the functions that a run calls, and score the same held-out texts;
n-grams again from more tokens and in other orders. Seconds are of this process on one thread.
"""

import argparse
import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from samplemix_dagster.core.hashing import doc_id, id_words, uniforms
from samplemix_dagster.core.quality.bootstrap import (
    SEPARATOR,
    BootstrapRecipe,
    train_reference,
    train_tokenizer,
)
from samplemix_dagster.core.quality.loss.token_loss import text_losses
from samplemix_dagster.core.quality.ngram.model import Counted, NgramModel

VOCABULARY = 4096
MOST_CHARACTERS = 4_000
OF_A_SOURCE = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--held-out", type=Path, required=True)
    parser.add_argument("--tokens", type=int, default=500_000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    texts = sample(arguments.corpus)
    held_out = [
        text[:MOST_CHARACTERS]
        for file in sorted(arguments.held_out.glob("*.jsonl.gz"))
        for text, _ in zip(lines(file), range(OF_A_SOURCE), strict=False)
    ]
    num_bytes = sum(len(text.encode()) for text in held_out)
    tokenizer = train_tokenizer(texts[:4000], VOCABULARY)
    encoded = tokenized(tokenizer, texts, 10_000_000)
    asked = tokenized(tokenizer, held_out, 10**9)
    names = id_words([doc_id(text) for text in texts[: len(encoded)]])[:, 0]
    others = id_words([doc_id("held out " + text) for text in held_out])[:, 0]
    num_asked = sum(tokens.size for tokens in asked)
    print(f"{len(held_out)} held-out texts, {num_bytes} bytes, {num_asked} tokens")
    for most in (arguments.tokens, 2_000_000, 10_000_000):
        known = first(encoded, most)
        num_known = sum(tokens.size for tokens in known)
        for order in (2, 3, 4, 5) if most == arguments.tokens else (3, 4):
            began = time.process_time()
            counted = Counted.of(names[: len(known)], known, order=order, vocabulary=VOCABULARY)
            model = NgramModel(counted, order=order, vocabulary=VOCABULARY)
            made = time.process_time()
            nats = model.nats(asked, model.own(others, asked)).sum()
            scored = time.process_time()
            print(
                f"ngram order {order}, {num_known} tokens: {nats / np.log(2) / num_bytes:.3f} bits "
                f"per byte; made {num_known / (made - began):.0f} tokens/s, scored "
                f"{num_asked / (scored - made):.0f} tokens/s; {model.num_bytes / 1e6:.0f} MB",
                flush=True,
            )
    began = time.process_time()
    tokenized(tokenizer, held_out, 10**9)
    print(f"tokens alone: {num_asked / (time.process_time() - began):.0f} tokens/s", flush=True)
    recipe = BootstrapRecipe(
        tokens=arguments.tokens,
        vocabulary=VOCABULARY,
        layers=2,
        width=128,
        context_tokens=256,
        seed=0,
    )
    began = time.process_time()
    model, report = train_reference(texts[:4000], tokenizer, recipe)
    made = time.process_time()
    losses = text_losses(
        model,
        tokenizer,
        held_out,
        start_token_id=tokenizer.token_to_id(SEPARATOR),
        context_tokens=256,
        overlap_tokens=64,
    )
    scored = time.process_time()
    print(
        f"bootstrap, {report.num_tokens} tokens: "
        f"{losses.nll_nats.sum() / np.log(2) / num_bytes:.3f} bits per byte; made "
        f"{report.num_tokens / (made - began):.0f} tokens/s, scored "
        f"{num_asked / (scored - made):.0f} tokens/s"
    )


def sample(folder: Path) -> list[str]:
    texts = list({t: 0 for file in sorted(folder.glob("*/*.jsonl.gz")) for t in lines(file)})
    luck = uniforms(id_words([doc_id(text) for text in texts]), 0, "reference")
    return [texts[n] for n in np.argsort(luck)]


def lines(file: Path) -> Iterator[str]:
    with gzip.open(file, "rt", encoding="utf-8") as opened:
        for line in opened:
            yield json.loads(line)["text"]


def tokenized(tokenizer: Any, texts: list[str], most: int) -> list[Any]:
    found: list[Any] = []
    done = 0
    for begin in range(0, len(texts), 256):
        for one in tokenizer.encode_batch_fast(
            texts[begin : begin + 256], add_special_tokens=False
        ):
            if done >= most:
                return found
            found.append(np.array(one.ids, dtype=np.uint32))
            done += len(one.ids)
    return found


def first(encoded: list[Any], most: int) -> list[Any]:
    ends = np.cumsum([tokens.size for tokens in encoded])
    return encoded[: int(np.searchsorted(ends, most)) + 1]


if __name__ == "__main__":
    main()
