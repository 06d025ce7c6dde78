"""Paired draws: arms drawn from one pool with one luck, and the controls of each.

An arm is a weight for each document, a cap, and perhaps the tokens that each group of documents
gets. With the same seed two arms share the luck of every document, so that what differs between
their draws is what the arms choose. Copies are admitted as the mixture's own draw admits them, in
the order of their activations (:mod:`samplemix_dagster.core.mixture.scale.activation`), for as
long as their tokens fit; so a draw of a smaller budget lies inside one of a larger.

Shape letters: N = documents of the pool, 2 = the two halves of a document id, A = activations.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.hashing import keyed_hashes, uniforms
from samplemix_dagster.core.mixture.scale.activation import activations_of, check_draw

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

LUCK = "evaluation"
POOL = "evaluation pool"
ORDER = "evaluation order"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pool:
    """The documents that arms draw from.

    Attributes:
        words_N2: Document ids, each once.
        tokens: Tokens of each document, in the budget's tokenizer: (N,).
    """

    words_N2: Words
    tokens: Integers

    def part(self, seed: int, share: float) -> npt.NDArray[np.bool_]:
        """Return which documents a seed's part of the pool has, by hash: (N,).

        A part of a smaller share lies inside one of a larger.
        """
        if share >= 1.0:
            return np.ones(self.tokens.size, dtype=bool)
        chosen: npt.NDArray[np.bool_] = uniforms(self.words_N2, seed, POOL) < share
        return chosen

    def luck(self, seed: int) -> Floats:
        """Return each document's luck in the draws of a seed, the same for every arm: (N,)."""
        return uniforms(self.words_N2, seed, LUCK)

    def order(self, rows: Integers, copies: npt.NDArray[np.int32], seed: int) -> Integers:
        """Return drawn documents, a row a copy, in the order in which a learner reads them.

        Each pass has another order; of two arms with one seed, what both drew stands in one order.

        Args:
            rows: Documents that are drawn.
            copies: How often each of them.
            seed: Of the order.
        """
        passes = []
        for number in range(int(copies.max(initial=0))):
            these = rows[copies > number]
            at = keyed_hashes(self.words_N2[these], seed, f"{ORDER} {number}")
            passes.append(these[np.lexsort((self.words_N2[these, 1], at))])
        return np.concatenate(passes) if passes else np.empty(0, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Groups:
    """Documents in groups, and the tokens that each group gets.

    Attributes:
        of_document: The group of each document, from 0: (N,).
        tokens: Tokens that each group gets, by group.
    """

    of_document: Integers
    tokens: Integers


def draw_copies(
    pool: Pool,
    weights: Floats,
    luck: Floats,
    *,
    max_copies: int,
    budget: int | None = None,
    groups: Groups | None = None,
) -> npt.NDArray[np.int32]:
    """Return how often each document is drawn: (N,), in [0, max_copies].

    Args:
        pool: The documents.
        weights: Weight of each; 0 is never drawn: (N,).
        luck: Luck of each: (N,).
        max_copies: The most copies of one document.
        budget: Tokens to draw; needed where there are no groups.
        groups: Tokens to draw from each group instead. What a group leaves over, less than one of
            its documents, is handed on to the next one.

    Returns:
        Copies whose tokens are the budget at most. Where a group, or all documents, have fewer
        tokens than they would get, all that there is is drawn.
    """
    check_draw(weights, luck, max_copies)
    if groups is None:
        total = int(budget or 0)
        groups = Groups(of_document=np.zeros(weights.size, np.int64), tokens=np.array([total]))
    rows = np.flatnonzero((weights > 0.0) & (pool.tokens > 0))
    found = np.concatenate(list(activations_of(weights[rows], luck[rows], max_copies)))
    of_entry = np.tile(rows, max_copies)
    words = pool.words_N2[of_entry]
    entry_group = groups.of_document[of_entry]
    order = np.lexsort((words[:, 1], words[:, 0], found, entry_group))
    of_entry, entry_group = of_entry[order], entry_group[order]
    bounds = np.searchsorted(entry_group, np.arange(groups.tokens.size + 1))
    copies = np.zeros(weights.size, dtype=np.int32)
    left = 0
    for number, (first, last) in enumerate(pairwise(bounds)):
        if groups.tokens[number] == 0:
            continue  # what is left over is no share
        wanted = int(groups.tokens[number]) + left
        sums = np.cumsum(pool.tokens[of_entry[first:last]])
        admitted = int(np.searchsorted(sums, wanted, side="right"))
        np.add.at(copies, of_entry[first : first + admitted], 1)
        left = wanted - (int(sums[admitted - 1]) if admitted else 0)
    return copies


def held_to(pool: Pool, copies: npt.NDArray[np.int32], of_document: Integers) -> Groups:
    """Return groups that get the very tokens that a draw took from each: what a control holds."""
    tokens = np.bincount(of_document, copies * pool.tokens.astype(np.float64))
    return Groups(of_document=of_document, tokens=tokens.astype(np.int64))


def groups_by(*columns: npt.NDArray[np.generic]) -> Integers:
    """Return the group of each document, from 0, by the values that several columns have: (N,)."""
    result = np.zeros(columns[0].size, dtype=np.int64)
    for column in columns:
        values, codes = np.unique(column, return_inverse=True)
        _, result = np.unique(result * values.size + codes, return_inverse=True)
    return result.astype(np.int64)


def octaves(tokens: Integers) -> Integers:
    """Return the octave of each length: floor(log2(tokens)), 0 for an empty document: (N,)."""
    return np.floor(np.log2(np.maximum(tokens, 1))).astype(np.int64)


def shares_as_groups(of_document: Integers, shares: Mapping[int, float], budget: int) -> Groups:
    """Return groups that share a budget; a group that is not named gets nothing."""
    tokens = np.zeros(int(of_document.max(initial=0)) + 1, dtype=np.int64)
    for group, share in shares.items():
        tokens[group] = int(share * budget)
    return Groups(of_document=of_document, tokens=tokens)
