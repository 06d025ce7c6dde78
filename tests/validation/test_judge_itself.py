"""The judge is judged: with learners that learn, on draws whose worth is known.

A pool of made-up prose, half of whose documents are of the kind that is judged and half of another,
so that an arm that prefers the one kind gains by a known amount: its mean over many seeds.
"""

from functools import cache

import numpy as np
import pytest

from samplemix_dagster.core.hashing import doc_id, id_words
from samplemix_dagster.core.judging.draws import Pool, draw_copies
from samplemix_dagster.core.judging.paired import Difference, GroupLosses, paired_difference
from samplemix_dagster.core.learners.ngram import NgramJudge
from samplemix_dagster.core.learners.ragged import TokenTexts

V, DOCUMENTS, BUDGET, SEEDS = 60, 400, 6_000, 8
TRIALS = 60


def walks(count: int, name: str, *, step: int) -> list[np.ndarray]:
    """Texts in which a token is mostly followed by one near ``step`` further on."""
    luck = np.random.default_rng(abs(hash_of(name)))
    found = []
    for _ in range(count):
        length = int(luck.integers(20, 120))
        steps = np.where(
            luck.random(length) < 0.7,
            step + luck.integers(0, 3, length),
            luck.integers(V, size=length),
        )
        found.append((int(luck.integers(V)) + np.cumsum(steps)) % V)
    return found


def hash_of(name: str) -> int:
    return int(doc_id(name)[:8], 16)


@cache
def pool() -> tuple[Pool, TokenTexts, np.ndarray]:
    good = walks(DOCUMENTS // 2, "good", step=1)
    other = walks(DOCUMENTS // 2, "other", step=7)
    texts = TokenTexts.of([*good, *other])
    words = id_words([doc_id(f"document {n}") for n in range(DOCUMENTS)])
    is_good = np.arange(DOCUMENTS) < DOCUMENTS // 2
    return Pool(words_N2=words, tokens=texts.lengths), texts, is_good


@cache
def judge() -> tuple[NgramJudge, np.ndarray]:
    wanted = TokenTexts.of(walks(60, "judged", step=1))
    return NgramJudge(wanted, order=3, vocabulary=V), wanted.lengths


@cache
def nats(preference: float, seed: int, budget: int = BUDGET, shuffled: bool = False) -> np.ndarray:
    documents, texts, is_good = pool()
    weights = np.where(is_good, preference, 1.0)
    copies = draw_copies(documents, weights, documents.luck(seed), max_copies=4, budget=budget)
    drawn = texts.take(documents.order(np.arange(DOCUMENTS), copies, seed))
    if shuffled:
        luck = np.random.default_rng(seed)
        drawn = TokenTexts.of(luck.permutation(drawn.text(n)) for n in range(len(drawn)))
    return judge()[0].nats(drawn)


def losses(seeds: range, preference: float = 1.0, **how: object) -> dict[str, GroupLosses]:
    rows = np.stack([nats(preference, seed, **how) for seed in seeds])  # type: ignore[arg-type]
    return {"judged": GroupLosses(nats_SD=rows, bytes_D=judge()[1])}


def difference(arm: dict[str, GroupLosses], other: dict[str, GroupLosses]) -> Difference:
    return paired_difference(arm, other, ["judged"])


def test_an_arm_beside_itself_under_other_luck_covers_nothing_as_often_as_it_says() -> None:
    covered = 0
    for trial in range(TRIALS):
        first = 2 * SEEDS * trial
        found = difference(
            losses(range(first, first + SEEDS)), losses(range(first + SEEDS, first + 2 * SEEDS))
        )
        covered += found.low <= 0.0 <= found.high
    assert 0.88 <= covered / TRIALS <= 1.0


def test_a_gain_of_known_size_is_found_and_its_interval_covers_it() -> None:
    seeds = range(10_000, 10_200)
    truth = difference(losses(seeds, 1.5), losses(seeds)).value
    assert truth < -0.005
    covered = found_better = 0
    for trial in range(TRIALS // 2):
        own = range(SEEDS * trial, SEEDS * (trial + 1))
        found = difference(losses(own, 1.5), losses(own))
        # The texts are the same in all trials, so that only seeds vary between them.
        covered += found.low <= truth <= found.high
        found_better += found.verdict == "better"
    assert covered / (TRIALS // 2) >= 0.9
    assert found_better / (TRIALS // 2) >= 0.8


def test_pairing_by_luck_narrows_the_interval() -> None:
    own, others = range(SEEDS), range(500, 500 + SEEDS)
    paired = difference(losses(own, 1.1), losses(own))
    apart = difference(losses(others, 1.1), losses(own))
    assert paired.high - paired.low < apart.high - apart.low


def test_shuffled_tokens_lose_badly() -> None:
    found = difference(losses(range(SEEDS), shuffled=True), losses(range(SEEDS)))
    assert found.low > 0.3


@pytest.mark.parametrize("part", [0.5, 0.75])
def test_a_part_of_the_budget_loses(part: float) -> None:
    found = difference(losses(range(SEEDS), budget=round(part * BUDGET)), losses(range(SEEDS)))
    assert found.verdict == "worse"
