"""The compiled loops over the tokens of a text. Imported only where they run: numba.

Grams of all orders lie one after another. A context owns a run of grams, in ascending order of
their last token; contexts are found by open addressing.

Shape letters: T = tokens of a text, C = contexts, G = grams, K = orders, S = slots.
"""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.compiled import compiled

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
MOST_COUNTED = 4
"""Counts up to which the grams that have them are counted: discounts need those."""

Tokens = npt.NDArray[np.uint32]
Words = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]
Small = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]


class Tables(NamedTuple):
    """What was counted.

    Attributes:
        contexts: Packed, (C,).
        runs: Where the grams of each context begin, and at last where they end, (C + 1,).
        last: Last token of each gram, (G,).
        counts: Of each gram, (G,).
        of_contexts: Sum of a context's counts, and its grams of one, two, more: (C, 4).
        of_counts: Grams of each order from 0 that were counted 1 to 4 times, (K + 1, 4).
        slots: Numbers of contexts, -1 where empty, (S,).
        first_slots: Where the slots of each order from 0 begin, and where they end, (K + 2,).
    """

    contexts: Words
    runs: Integers
    last: Tokens
    counts: Small
    of_contexts: Small
    of_counts: Integers
    slots: Small
    first_slots: Integers


@compiled
def _mixed(word: np.uint64) -> np.uint64:
    """Return the SplitMix64 finaliser of a word (Steele, Lea & Flood 2014, figure 16)."""
    word += _GOLDEN
    word = (word ^ (word >> np.uint64(30))) * _MIX_1
    word = (word ^ (word >> np.uint64(27))) * _MIX_2
    return word ^ (word >> np.uint64(31))


@compiled
def fill_slots(contexts: Words, slots: Small, first: int) -> None:
    """Enter the contexts of one order into its empty slots, which are a power of two: (S,).

    Args:
        contexts: Of this order, each once.
        slots: -1 where empty, else the number of a context.
        first: The number of the first of them.
    """
    mask = np.uint64(slots.size - 1)
    for i in range(contexts.size):
        at = _mixed(contexts[i]) & mask
        while slots[at] >= 0:
            at = (at + np.uint64(1)) & mask
        slots[at] = first + i


@compiled
def _context(wanted: np.uint64, order: int, tables: Tables) -> int:
    """Return the number of a context; -1 where it was never seen."""
    first = tables.first_slots[order]
    mask = np.uint64(tables.first_slots[order + 1] - first - 1)
    at = _mixed(wanted) & mask
    while True:
        found = tables.slots[first + np.int64(at)]
        if found < 0:
            return -1
        if tables.contexts[found] == wanted:
            return int(found)
        at = (at + np.uint64(1)) & mask


@compiled
def _gram(token: int, context: int, tables: Tables) -> int:
    """Return the number of the gram of a context that ends in a token; -1 where there is none."""
    low, high = tables.runs[context], tables.runs[context + 1]
    end = high
    while low < high:
        middle = (low + high) >> 1
        if tables.last[middle] < token:
            low = middle + 1
        else:
            high = middle
    return low if low < end and tables.last[low] == token else -1


@compiled
def _packed(tokens: Tokens, end: int, length: int, bits: int) -> np.uint64:
    """Return the ``length`` tokens before ``end`` in one word; before the text stands token 0."""
    word = np.uint64(0)
    for at in range(end - length, end):
        word = word << np.uint64(bits)
        if at >= 0:
            word |= np.uint64(tokens[at])
    return word


@compiled
def _moved(of_context: Small, of_counts: Integers, before: int, after: int) -> None:
    """Move a gram from one count to another in what is known of its context and its order."""
    of_context[0] += after - before
    if before > 0:
        of_context[min(before, 3)] -= 1
    if after > 0:
        of_context[min(after, 3)] += 1
    if 0 < before <= MOST_COUNTED:
        of_counts[before - 1] -= 1
    if 0 < after <= MOST_COUNTED:
        of_counts[after - 1] += 1


@compiled
def count(tokens: Tokens, order: int, bits: int, times: int, tables: Tables) -> bool:
    """Count a text once more (``times`` 1) or once less (-1); False where a gram is not there.

    The longest grams count as they occur, others by the distinct grams that end in them: so a gram
    that comes or goes is one more or less of what it ends in.

    Args:
        tokens: The text, (T,).
        order: Tokens of the longest gram.
        bits: Bits of a token in a packed gram.
        times: 1 or -1.
        tables: What was counted; changed in place.
    """
    for end in range(tokens.size):
        length = order
        while length > 0:
            context = _context(_packed(tokens, end, length - 1, bits), length, tables)
            if context < 0:
                return False
            gram = _gram(int(tokens[end]), context, tables)
            if gram < 0:
                return False
            before = int(tables.counts[gram])
            after = before + times
            if after < 0:
                return False
            tables.counts[gram] = after
            _moved(tables.of_contexts[context], tables.of_counts[length], before, after)
            is_new_or_gone = before == 0 or after == 0
            length = length - 1 if is_new_or_gone else 0
    return True


@compiled
def probabilities(
    tokens: Tokens, order: int, bits: int, vocabulary: int, discounts: Floats, tables: Tables
) -> Floats:
    """Return the probability of each token of a text after those before it, (T,).

    Args:
        tokens: The text, (T,).
        order: Tokens of the longest gram.
        bits: Bits of a token in a packed gram.
        vocabulary: Tokens that there are.
        discounts: Of counts of 0, 1, 2 and more, by order from 0, (K + 1, 4).
        tables: What was counted.
    """
    found = np.empty(tokens.size)
    for end in range(tokens.size):
        probability = 1.0 / vocabulary
        for length in range(1, order + 1):
            context = _context(_packed(tokens, end, length - 1, bits), length, tables)
            # A longer context ends in this one, so it was not seen either.
            if context < 0 or tables.of_contexts[context, 0] == 0:
                break
            taken = discounts[length]
            left = 0.0
            for times in range(1, 4):
                left += taken[times] * tables.of_contexts[context, times]
            own = 0.0
            gram = _gram(int(tokens[end]), context, tables)
            if gram >= 0 and tables.counts[gram] > 0:
                own = tables.counts[gram] - taken[min(tables.counts[gram], 3)]
            probability = (own + left * probability) / tables.of_contexts[context, 0]
        found[end] = probability
    return found
