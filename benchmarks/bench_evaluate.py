"""How long judging takes: learners on made-up tokens of a corpus's statistics.

    python benchmarks/bench_evaluate.py [--tokens 2000000] [--judged 600000] [--arms 10] [--seeds 8]

Prints, for the n-gram learner and the smallest transformer, tokens a second of one training with
its judging, alone and two at once, and what an evaluation of so many arms with controls and a
ladder would take on this machine.
"""

import argparse
import json
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from samplemix_dagster.core.learners.learner import NO_STEPS, Learner, NgramLearner
from samplemix_dagster.core.learners.ragged import TokenTexts
from samplemix_dagster.core.learners.sizes import SMALL_RATE
from samplemix_dagster.storage.models.load import pick_device, pick_dtype

LADDER = (0.5, 0.75, 1.5)
CONTROLS = 2
DOCUMENT = 500


def zipf_tokens(count: int, vocabulary: int, seed: int) -> TokenTexts:
    """Tokens with a Zipf tail, in documents of 500."""
    luck = np.random.default_rng(seed)
    tokens = (luck.zipf(1.2, count) % vocabulary).astype(np.uint32)
    return TokenTexts(tokens=tokens, ends=np.arange(DOCUMENT, count + 1, DOCUMENT))


def seconds(learner: Learner, draws: list[TokenTexts], workers: int) -> float:
    """Wall seconds of training on each draw."""
    began = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(lambda draw: learner.nats(draw, 0, NO_STEPS), draws))
    return time.perf_counter() - began


def trainings(arms: int, seeds: int) -> float:
    """Trainings of an evaluation, a rung counted by its tokens; the baseline has no controls."""
    return seeds * (1 + (arms - 1) * (1 + CONTROLS) + arms * sum(LADDER))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=2_000_000)
    parser.add_argument("--judged", type=int, default=600_000)
    parser.add_argument("--vocabulary", type=int, default=4096)
    parser.add_argument("--arms", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--transformer-tokens", type=int, default=100_000)
    args = parser.parse_args()
    texts = zipf_tokens(args.judged, args.vocabulary, 0)
    ngram = NgramLearner(texts, order=3, vocabulary=args.vocabulary)
    draws = [zipf_tokens(args.tokens, args.vocabulary, seed) for seed in range(1, 5)]
    alone, two = seconds(ngram, draws[:2], 1) / 2, seconds(ngram, draws, 2) / 4
    whole = trainings(args.arms, args.seeds) * two
    found = {
        "ngram": {
            "seconds_alone": round(alone, 3),
            "seconds_each_of_two_at_once": round(two, 3),
            "tokens_per_second": round(args.tokens / two),
            "evaluation_minutes": round(whole / 60, 2),
            "of": f"{args.arms} arms x {args.seeds} seeds, {CONTROLS} controls, ladder {LADDER}",
        }
    }
    from samplemix_dagster.core.learners.transformer import TransformerLearner

    device = pick_device()
    few = zipf_tokens(args.judged // 10, args.vocabulary, 0)
    for name, rate in (("0.9M", None), ("0.9M at a small rate", SMALL_RATE)):
        learner = TransformerLearner(
            few,
            size="0.9M",
            vocabulary=args.vocabulary,
            device=device,
            dtype=pick_dtype(device),
            learning_rate=rate,
        )
        draws = [zipf_tokens(args.transformer_tokens, args.vocabulary, s) for s in (1, 2)]
        two = seconds(learner, draws, 2 if learner.side_by_side else 1) / 2
        found[name] = {
            "dtype": pick_dtype(device),
            "device": device,
            "seconds_each": round(two, 2),
            "tokens_per_second": round(args.transformer_tokens / two),
        }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
