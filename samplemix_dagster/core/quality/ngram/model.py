"""Counts of grams of tokens, and the loss of a text under them without its own.

Interpolated, modified Kneser-Ney (Chen & Goodman 1999, section 4.1.6), with single tokens
interpolated with the uniform distribution over the vocabulary: the probabilities of all tokens
after any context sum to 1. Grams are packed into 64 bits, exactly, so none is taken for another.

A text that was counted is taken out while it is scored and put back. Integers come back as they
were, and discounts are worked out anew from what is left: a score is that of a model that never
saw the text. Which texts were counted is known by their ids, and which of their near-duplicates
by ``counted_once.py``.

Shape letters: C = contexts, G = grams, K = orders, D = documents, T = tokens of all texts.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.modelling.kneser_ney import discounts

if TYPE_CHECKING:
    from samplemix_dagster.core.quality.ngram.kernel import Tables

Tokens = npt.NDArray[np.uint32]
Words = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]
Small = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]
Arrays = Mapping[str, npt.NDArray[np.generic]]

ORDERS = (2, 3, 4, 5)
_BITS = 64
_MOST_COUNT = 2**31 - 1
_SCORING = Lock()


def bits_of_token(vocabulary: int) -> int:
    """Return the bits that a token of a vocabulary needs in a packed gram."""
    return max(1, (vocabulary - 1).bit_length())


def check_order(order: int, vocabulary: int) -> None:
    """Refuse an order that is none, or of which a gram would not fit into 64 bits.

    Raises:
        ValueError: With the largest order or vocabulary that fits.
    """
    if order not in ORDERS:
        raise ValueError(f"an order is one of {ORDERS}, not {order}")
    if order * bits_of_token(vocabulary) > _BITS:
        raise ValueError(
            f"{order} tokens out of {vocabulary:,} do not fit into {_BITS} bits: an order of "
            f"{_BITS // bits_of_token(vocabulary)}, or a vocabulary of "
            f"{2 ** (_BITS // order):,}, does"
        )


def packed_grams(texts: Sequence[Tokens], order: int, bits: int) -> Words:
    """Return the gram that ends at each token of some texts, one text after another: (T,).

    Before each text stands token 0, as often as the longest context is long.
    """
    pad = np.zeros(order - 1, dtype=np.uint64)
    parts = [part for text in texts for part in (pad, text.astype(np.uint64))]
    joined = np.concatenate(parts) if parts else np.zeros(0, dtype=np.uint64)
    grams = np.zeros(max(0, joined.size - order + 1), dtype=np.uint64)
    for place in range(order):
        grams <<= np.uint64(bits)
        grams |= joined[place : place + grams.size]
    ends = np.cumsum([pad.size + text.size for text in texts], dtype=np.int64)
    is_of_text = np.ones(grams.size, dtype=np.bool_)
    # Grams that begin in one text and end in the padding of the next.
    for end in ends[:-1]:
        is_of_text[end - order + 1 : end] = False
    return grams[is_of_text]


@dataclass(frozen=True, slots=True, eq=False)
class Counted:
    """The longest grams of some texts, each once, and how often each occurs.

    Attributes:
        grams: Packed, ascending, (G,).
        counts: Of each, at least 1, (G,).
        documents: First halves of the ids of the texts that were counted, ascending, (D,).
    """

    grams: Words
    counts: Small
    documents: Words

    @classmethod
    def of(cls, names: Words, texts: Sequence[Tokens], *, order: int, vocabulary: int) -> "Counted":
        """Count texts.

        Args:
            names: First half of the id of each, (D,); a text stands here once.
            texts: Their tokens, each below ``vocabulary``.
            order: Tokens of the longest gram.
            vocabulary: Tokens that there are.

        Raises:
            ValueError: The order does not fit, or a token is none of the vocabulary.
        """
        check_order(order, vocabulary)
        largest = max((int(text.max()) for text in texts if text.size), default=0)
        if largest >= vocabulary:
            raise ValueError(f"token {largest} is none of a vocabulary of {vocabulary}")
        packed = packed_grams(texts, order, bits_of_token(vocabulary))
        grams, counts = np.unique(packed, return_counts=True)
        return cls(grams, np.minimum(counts, _MOST_COUNT).astype(np.int32), np.sort(names))

    def to_arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return what a file holds."""
        return {"grams": self.grams, "counts": self.counts, "documents": self.documents}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> "Counted":
        """Return what :meth:`to_arrays` was given."""
        return cls(
            arrays["grams"].astype(np.uint64),
            arrays["counts"].astype(np.int32),
            arrays["documents"].astype(np.uint64),
        )


class NgramModel:
    """A model that scores texts; one at a time, since a counted text is out while it is scored."""

    def __init__(self, counted: Counted, *, order: int, vocabulary: int) -> None:
        """Make all shorter grams, contexts and their tables from the longest grams.

        Raises:
            ValueError: The order does not fit.
        """
        check_order(order, vocabulary)
        self.order, self.vocabulary = order, vocabulary
        self._bits = bits_of_token(vocabulary)
        self.documents = counted.documents
        levels, grams, counts = [], counted.grams, counted.counts
        for length in range(order, 0, -1):
            levels.append(_Level.of(grams, counts, self._bits))
            keep = np.uint64((1 << (self._bits * (length - 1))) - 1)
            # A shorter gram counts by the distinct grams that end in it.
            shorter, times = np.unique(grams & keep, return_counts=True)
            grams, counts = shorter, times.astype(np.int32)
        self._tables = self._lay(levels[::-1])

    def _lay(self, levels: Sequence["_Level"]) -> "Tables":
        """Lay the levels one after another, the shortest first, and enter contexts into slots."""
        from samplemix_dagster.core.quality.ngram.kernel import MOST_COUNTED, Tables, fill_slots

        num_slots = [1 << max(1, (2 * level.contexts.size).bit_length()) for level in levels]
        # Order 0 has no slots, so that an order is its own place.
        first_slots = np.cumsum([0, 0, *num_slots], dtype=np.int64)
        slots = np.full(int(first_slots[-1]), -1, dtype=np.int32)
        of_counts = np.zeros((self.order + 1, MOST_COUNTED), dtype=np.int64)
        first = 0
        for length, level in enumerate(levels, 1):
            for times in range(1, MOST_COUNTED + 1):
                of_counts[length, times - 1] = int((level.counts == times).sum())
            begin, end = first_slots[length : length + 2]
            fill_slots(level.contexts, slots[begin:end], first)
            first += level.contexts.size
        sizes = np.concatenate([level.sizes for level in levels])
        return Tables(
            contexts=np.concatenate([level.contexts for level in levels]),
            runs=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
            last=np.concatenate([level.last for level in levels]),
            counts=np.concatenate([level.counts for level in levels]),
            of_contexts=np.concatenate([level.of_contexts for level in levels]),
            of_counts=of_counts,
            slots=slots,
            first_slots=first_slots,
        )

    @property
    def num_bytes(self) -> int:
        """Bytes of its tables in memory."""
        return sum(table.nbytes for table in self._tables)

    @property
    def num_grams(self) -> int:
        """Distinct grams of all orders."""
        return int(self._tables.counts.size)

    def probabilities(self, tokens: Tokens) -> Floats:
        """Return the probability of each token of a text, as one that was not counted: (T,)."""
        from samplemix_dagster.core.quality.ngram.kernel import probabilities

        by_order = [(0.0, 0.0, 0.0)]
        by_order += [discounts(*(int(n) for n in of)) for of in self._tables.of_counts[1:]]
        taken = np.array([(0.0, *found) for found in by_order])
        return probabilities(tokens, self.order, self._bits, self.vocabulary, taken, self._tables)

    def own(self, names: Words, texts: Sequence[Tokens]) -> list[Tokens | None]:
        """Return each text that was counted itself, and None for the others.

        Args:
            names: First half of the id of each, (D,).
            texts: Their tokens.
        """
        is_counted = np.isin(names, self.documents)
        return [text if own else None for text, own in zip(texts, is_counted, strict=True)]

    def nats(self, texts: Sequence[Tokens], without: Sequence[Tokens | None]) -> Floats:
        """Return the loss of each text in nats, with what is left out never counted: (D,).

        Args:
            texts: Their tokens, below the vocabulary.
            without: For each the counted text that is out while it is scored; None: nothing is.

        Raises:
            ValueError: What is to be left out was not counted.
        """
        found = np.zeros(len(texts))
        with _SCORING:
            for at, (tokens, out) in enumerate(zip(texts, without, strict=True)):
                if out is not None:
                    self._count(out, -1)
                found[at] = -math.fsum(np.log(self.probabilities(tokens)))
                if out is not None:
                    self._count(out, 1)
        return found

    def _count(self, tokens: Tokens, times: int) -> None:
        from samplemix_dagster.core.quality.ngram.kernel import count

        is_there = count(tokens, self.order, self._bits, times, self._tables)
        if not is_there:
            raise ValueError("a text has the id of one that was counted, and other tokens")


@dataclass(frozen=True, slots=True, eq=False)
class _Level:
    """The grams of one order, by context."""

    contexts: Words
    sizes: Integers
    """Distinct grams of each context, (C,)."""
    last: Tokens
    counts: Small
    of_contexts: Small
    """Sum of a context's counts, and its grams of one, two, more: (C, 4)."""

    @classmethod
    def of(cls, grams: Words, counts: Small, bits: int) -> "_Level":
        """Return the grams of one order; ``grams`` ascend, so those of a context stand together."""
        before = grams >> np.uint64(bits)
        contexts, first = np.unique(before, return_index=True)
        sizes = np.diff(np.append(first, grams.size))
        of_contexts = np.zeros((contexts.size, 4), dtype=np.int32)
        if first.size:
            of_contexts[:, 0] = np.add.reduceat(counts, first)
            for place, chosen in enumerate((counts == 1, counts == 2, counts > 2), 1):
                of_contexts[:, place] = np.add.reduceat(chosen.astype(np.int32), first)
        last = (grams & np.uint64((1 << bits) - 1)).astype(np.uint32)
        return cls(contexts, sizes, last, counts.astype(np.int32), of_contexts)
