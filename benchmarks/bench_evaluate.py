"""How long judging takes: learners on made-up tokens of a corpus's statistics.

    python benchmarks/bench_evaluate.py [--tokens 2000000] [--judged 600000] [--arms 10] [--seeds 8]

Prints, for the n-gram learner, tokens a second of one training with its judging, alone and two at
once, and what an evaluation of so many arms with controls and a ladder would take on this machine.
For the smallest transformer, by type of number, with two trainings side by side as threads and as
processes: tokens that a core learns and judges in a second of its own time, how much of two cores
the two got, and the minutes that 4 arms at 500,000 tokens take two cores that do nothing else, by
the rungs of the ladder.
"""

import argparse
import json
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from samplemix_dagster.core.learners.learner import NO_STEPS, Learner, NgramLearner
from samplemix_dagster.core.learners.ragged import TokenTexts
from samplemix_dagster.engine.memory import keep_blocks
from samplemix_dagster.storage.models.load import pick_dtype

LADDER = (0.5, 0.75, 1.5)
CONTROLS = 2
DOCUMENT = 500
ARMS = 4
"""That transformers judge, at a budget of so many tokens."""
BUDGET = 500_000
CORES = 2
POOLS: dict[str, Callable[[int], Executor]] = {
    "threads": ThreadPoolExecutor,
    "processes": lambda workers: ProcessPoolExecutor(
        workers, mp_context=multiprocessing.get_context("spawn"), initializer=keep_blocks
    ),
}


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


def units(arms: int, seeds: int, ladder: tuple[float, ...]) -> float:
    """Trainings of an evaluation, a rung counted by its tokens; the baseline has no controls."""
    return seeds * (1 + (arms - 1) * (1 + CONTROLS) + arms * sum(ladder))


def ngram_figures(args: argparse.Namespace) -> dict[str, object]:
    """The n-gram learner's seconds and minutes."""
    texts = zipf_tokens(args.judged, args.vocabulary, 0)
    ngram = NgramLearner(texts, order=3, vocabulary=args.vocabulary)
    draws = [zipf_tokens(args.tokens, args.vocabulary, seed) for seed in range(1, 5)]
    alone, two = seconds(ngram, draws[:2], 1) / 2, seconds(ngram, draws, 2) / 4
    whole = units(args.arms, args.seeds, LADDER) * two
    return {
        "seconds_alone": round(alone, 3),
        "seconds_each_of_two_at_once": round(two, 3),
        "tokens_per_second": round(args.tokens / two),
        "evaluation_minutes": round(whole / 60, 2),
        "of": f"{args.arms} arms x {args.seeds} seeds, {CONTROLS} controls, ladder {LADDER}",
    }


@dataclass(frozen=True)
class Trained:
    """A training of the smallest transformer, which another process can make, too."""

    vocabulary: int
    judged: int
    dtype: str

    def __call__(self, tokens: int) -> float:
        """Train on so many tokens and judge; return the seconds that a core worked for it."""
        from samplemix_dagster.core.learners.transformer import TransformerLearner

        learner = TransformerLearner(
            zipf_tokens(self.judged, self.vocabulary, 0),
            size="0.9M",
            vocabulary=self.vocabulary,
            dtype=self.dtype,
        )
        draw, began = zipf_tokens(tokens, self.vocabulary, tokens), time.thread_time()
        learner.nats(draw, 0, NO_STEPS)
        return time.thread_time() - began


def transformer_figures(args: argparse.Namespace, dtype: str, kind: str) -> dict[str, object]:
    """The smallest transformer on a processor, two at once."""
    trained, many = Trained(args.vocabulary, args.judged // 10, dtype), args.transformer_tokens
    with POOLS[kind](CORES) as pool:
        list(pool.map(trained, [DOCUMENT] * CORES))  # imports, and memory that is asked for once
        judging = sum(pool.map(trained, [DOCUMENT] * CORES)) / CORES
        began = time.perf_counter()
        core_seconds = sum(pool.map(trained, [many] * CORES)) / CORES
        wall = time.perf_counter() - began
    per_token = (core_seconds - judging) / (many - DOCUMENT)
    return {
        "learned_per_core_second": round(1 / per_token),
        "judged_per_core_second": round(trained.judged / judging),
        "share_of_two_cores": round(core_seconds / wall, 2),
        "minutes_by_ladder": {
            str(ladder): round(minutes(args.seeds, ladder, per_token, judging), 1)
            for ladder in (LADDER, LADDER[:1] + LADDER[-1:], LADDER[:1], ())
        },
    }


def minutes(seeds: int, ladder: tuple[float, ...], per_token: float, judging: float) -> float:
    """Minutes of two cores for both judges; the second one has the arms at the full budget."""
    count = seeds * (1 + (ARMS - 1) * (1 + CONTROLS) + ARMS * len(ladder) + ARMS)
    tokens = (units(ARMS, seeds, ladder) + ARMS * seeds) * BUDGET
    return (tokens * per_token + count * judging) / CORES / 60


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=2_000_000)
    parser.add_argument("--judged", type=int, default=600_000)
    parser.add_argument("--vocabulary", type=int, default=4096)
    parser.add_argument("--arms", type=int, default=10)
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--transformer-tokens", type=int, default=100_000)
    args = parser.parse_args()
    keep_blocks()  # as a run does
    found: dict[str, object] = {"ngram": ngram_figures(args)}
    for dtype in dict.fromkeys((pick_dtype("cpu"), "float32")):
        for kind in POOLS:
            found[f"0.9M, {dtype}, {kind}"] = transformer_figures(args, dtype, kind)
    found["transformer_of"] = f"{ARMS} arms x {args.seeds} seeds, two judges, {BUDGET:,} tokens"
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
