"""Every draw that an evaluation trains on: arms and their controls, by seed and rung."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.hashing import tokens_digest
from samplemix_dagster.core.judging.draws import Pool, draw_copies, held_to
from samplemix_dagster.errors import InfeasibleMixtureError
from samplemix_dagster.validation.choosing.arms import PROPORTIONAL, Arm
from samplemix_dagster.validation.choosing.corpus import JudgedCorpus

Copies = npt.NDArray[np.int32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Drawn:
    """One draw: whose, with which luck, of how many tokens.

    Attributes:
        arm: The arm's or the control's name.
        seed: Its luck.
        rung: Its budget, as a multiple.
        rows: The documents drawn, by number.
        copies: How often each of them.
        num_tokens: Tokens drawn, copies counted.
        repeated: Share of these that are copies beyond a document's first, in [0, 1).
        digest: A digest of what is drawn, whoever draws it.
    """

    arm: str
    seed: int
    rung: float
    rows: npt.NDArray[np.int64]
    copies: Copies
    num_tokens: int
    repeated: float
    digest: str

    @classmethod
    def of(cls, arm: str, seed: int, rung: float, copies: Copies, pool: Pool) -> "Drawn":
        """Return a draw of copies that are given for the whole pool: (N,)."""
        rows = np.flatnonzero(copies)
        words = pool.words_N2[rows]
        order = np.lexsort((words[:, 1], words[:, 0]))
        num_tokens = int((copies[rows] * pool.tokens[rows]).sum())
        content = np.column_stack([words[order], copies[rows][order].astype(np.uint64)])
        return cls(
            arm=arm,
            seed=seed,
            rung=rung,
            rows=rows,
            copies=copies[rows],
            num_tokens=num_tokens,
            repeated=1.0 - int(pool.tokens[rows].sum()) / max(1, num_tokens),
            digest=tokens_digest(np.ascontiguousarray(content).view("<u4").ravel()),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """What is drawn of each arm.

    Attributes:
        budget: Tokens of a draw.
        seeds: The seeds.
        ladder: Further budgets of arms, as multiples.
        pool: Share of the corpus that each seed draws from.
    """

    budget: int
    seeds: Sequence[int]
    ladder: Sequence[float]
    pool: float


def control_name(arm: str, control: str) -> str:
    """Return what an arm's control is called."""
    return f"{arm}~{control}"


def names_with_controls(arms: Sequence[Arm], corpus: JudgedCorpus) -> list[str]:
    """Return every arm and, after each, its controls; the baseline is its own control."""
    found = []
    for arm in arms:
        found.append(arm.name)
        if arm.name != PROPORTIONAL:
            found += [control_name(arm.name, control) for control in corpus.controls]
    return found


def every_draw(arms: Sequence[Arm], corpus: JudgedCorpus, design: Design) -> Iterator[Drawn]:
    """Yield the draws seed by seed: an arm, its controls, then the arm on its further rungs.

    Raises:
        InfeasibleMixtureError: An arm has too few tokens for the budget.
    """
    for seed in design.seeds:
        is_there = corpus.pool.part(seed, design.pool)
        luck = corpus.pool.luck(seed)
        for arm in arms:
            yield from _of_arm(arm, corpus, design, seed, is_there, luck)


def _of_arm(
    arm: Arm,
    corpus: JudgedCorpus,
    design: Design,
    seed: int,
    is_there: npt.NDArray[np.bool_],
    luck: npt.NDArray[np.float64],
) -> Iterator[Drawn]:
    pool, weights = corpus.pool, np.where(is_there, arm.weights, 0.0)
    copies = _draw(arm, corpus, weights, luck, design.budget)
    drawn = Drawn.of(arm.name, seed, 1.0, copies, pool)
    shortest = int(pool.tokens[weights > 0].min(initial=np.iinfo(np.int64).max))
    if drawn.num_tokens == 0 and (weights > 0).any() and shortest > design.budget:
        raise InfeasibleMixtureError(
            f"arm {arm.name!r}: its shortest document has {shortest:,} tokens, more than the "
            f"{design.budget:,} of the evaluation: raise --budget."
        )
    if not _is_met(drawn, corpus, weights, design.budget):
        raise InfeasibleMixtureError(
            f"arm {arm.name!r} has {drawn.num_tokens:,} tokens at {arm.max_copies} copies of each "
            f"document in the part of the corpus that is drawn from ({design.pool:.0%}), less than "
            f"the {design.budget:,} of the evaluation: lower --budget, or raise --pool."
        )
    yield drawn
    if arm.name != PROPORTIONAL:
        for control, of_document in corpus.controls.items():
            held = held_to(pool, copies, of_document)
            uniform = is_there.astype(np.float64)
            found = draw_copies(pool, uniform, luck, max_copies=arm.max_copies, groups=held)
            yield Drawn.of(control_name(arm.name, control), seed, 1.0, found, pool)
    for rung in design.ladder:
        budget = round(design.budget * rung)
        found = _draw(arm, corpus, weights, luck, budget)
        step = Drawn.of(arm.name, seed, rung, found, pool)
        if _is_met(step, corpus, weights, budget):
            yield step


def _is_met(
    drawn: Drawn, corpus: JudgedCorpus, weights: npt.NDArray[np.float64], budget: int
) -> bool:
    """Whether no more is lacking than what the next document would not have fitted into."""
    longest = int(corpus.pool.tokens[weights > 0].max(initial=0))
    return drawn.num_tokens > 0 and budget - drawn.num_tokens <= longest


def _draw(
    arm: Arm,
    corpus: JudgedCorpus,
    weights: npt.NDArray[np.float64],
    luck: npt.NDArray[np.float64],
    budget: int,
) -> Copies:
    return draw_copies(
        corpus.pool,
        weights,
        luck,
        max_copies=arm.max_copies,
        budget=budget,
        groups=arm.groups(corpus, budget),
    )
