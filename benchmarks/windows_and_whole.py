"""Windows of long documents beside whole scores: cost, order, what the standard error covers.

    python benchmarks/windows_and_whole.py --reference MODEL --corpus FOLDER

takes long documents of each source below a folder (``<source>/*.jsonl.gz``, those with the smallest
hashes), scores the beginning of each whole and in windows of several sizes, and prints a JSON line
for each size. `cover` is the share of documents whose whole score 1.96 standard errors cover, once
as it is and once less the mean by which windows are dearer.
"""

import argparse
import gzip
import json
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from samplemix_dagster.core.hashing import doc_id, id_words, uniforms
from samplemix_dagster.core.quality.loss.sampled_loss import SampledLosses, sampled_losses
from samplemix_dagster.core.quality.loss.spread_windows import NUM_WINDOWS
from samplemix_dagster.core.quality.students.agreement import spearman
from samplemix_dagster.storage.models.files import resolve_model
from samplemix_dagster.storage.models.load import LoadedReference, load_reference

SIZES = [(None, 64), (128, 32), (128, 64), (128, 128), (256, 64), (512, 64)]
"""Tokens of a document that are scored (None: all), and context."""
FEWEST_CHARACTERS = 2_500


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reference", required=True)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--per-source", type=int, default=12)
    parser.add_argument("--characters", type=int, default=6_000)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    folder = resolve_model(arguments.reference, None, Path.cwd())
    reference = load_reference(folder, "cpu", "bfloat16")
    texts = [
        text[: arguments.characters] for text in documents(arguments.corpus, arguments.per_source)
    ]
    whole = None
    for tokens, context in SIZES:
        began = time.process_time()
        losses = score(reference, texts, tokens, context)
        seconds = time.process_time() - began
        bits = losses.bits_per_byte(losses.num_scored_bytes)
        whole = bits if whole is None else whole
        print(json.dumps(told(losses, bits, whole, tokens, context, seconds)), flush=True)


def documents(corpus: Path, count: int) -> Iterator[str]:
    for source in sorted(path for path in corpus.iterdir() if path.is_dir()):
        [first, *_] = sorted(source.glob("*.jsonl.gz"))
        with gzip.open(first, "rt", encoding="utf-8") as lines:
            found = [json.loads(line)["text"] for line in lines]
        yield from sorted((t for t in found if len(t) >= FEWEST_CHARACTERS), key=doc_id)[:count]


def score(
    reference: LoadedReference, texts: list[str], tokens: int | None, context: int
) -> SampledLosses:
    words = id_words([doc_id(text) for text in texts])
    luck = [uniforms(words, 0, f"window-{number}") for number in range(NUM_WINDOWS)]
    return sampled_losses(
        reference.models[0],
        reference.tokenizer,
        texts,
        np.stack(luck, axis=1),
        tokens_per_document=tokens,
        start_token_id=reference.start_token_id,
        context_tokens=1024,
        overlap_tokens=context,
    )


def told(
    losses: SampledLosses,
    bits: np.ndarray,
    whole: np.ndarray,
    tokens: int | None,
    context: int,
    seconds: float,
) -> dict[str, object]:
    gap, error = bits - whole, losses.nats_per_byte_error / np.log(2.0)
    return {
        "tokens_per_document": tokens,
        "overlap_tokens": context,
        "documents": len(bits),
        "read": round(float(losses.num_read_tokens.mean()), 1),
        "scored": round(float(losses.num_scored_tokens.mean()), 1),
        "seconds": round(seconds, 1),
        "spearman": round(spearman(bits, whole) or 0.0, 4),
        "dearer": round(float(gap.mean()), 4),
        "error": round(float(error.mean()), 4),
        "cover": round(float((abs(gap) <= 1.96 * error).mean()), 3),
        "cover_less_mean": round(float((abs(gap - gap.mean()) <= 1.96 * error).mean()), 3),
    }


if __name__ == "__main__":
    main()
