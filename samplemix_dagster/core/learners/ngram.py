"""An n-gram learner: interpolated, modified Kneser-Ney, with proper probabilities.

Chen & Goodman (1999), "An empirical study of smoothing techniques for language modeling", section
4.1.6, with the unigrams interpolated with the uniform distribution over the vocabulary, so that
every token has a probability and those of all tokens sum to 1 after any context.

It learns 2M tokens in a fraction of a second, because only what the judged texts ask for is looked
up. It tells which of two draws from one pool, in one unit, teaches more; it says little about
draws of another unit or length, since it hungers for distinct text more than a transformer does.

Grams are 64-bit hashes. Shape letters: T = tokens with padding, G = distinct grams, C = distinct
contexts, D = documents.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.hashing import mix64
from samplemix_dagster.core.learners.ragged import TokenTexts
from samplemix_dagster.core.modelling.kneser_ney import discounts

Hashes = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

ORDERS = (2, 3, 4, 5)
_PLACE = 0x9E3779B97F4A7C15


@dataclass(frozen=True, slots=True, eq=False)
class _Grams:
    """The hashes of all grams of some texts, by order, and where the tokens of the texts stand."""

    by_order: list[Hashes]
    """By order from 0: the hash of the gram that ends at each place, (T,); order 0 is empty."""
    places: Integers
    """Places of the texts' tokens among the padding."""


def _grams(texts: TokenTexts, order: int, vocabulary: int) -> _Grams:
    pad = order - 1
    numbers = np.repeat(np.arange(len(texts)), texts.lengths)
    places = np.arange(texts.tokens.size) + pad * (numbers + 1)
    padded = np.full(texts.tokens.size + pad * len(texts), vocabulary, dtype=np.uint64)
    padded[places] = texts.tokens
    tokens = mix64(padded + np.uint64(1))
    by_order = [np.zeros(padded.size, np.uint64), tokens]
    for length in range(2, order + 1):
        longer = by_order[-1].copy()
        # The token that stands furthest back, marked with how far that is.
        mark = np.uint64((_PLACE * length | 1) % 2**64)
        far = tokens[: tokens.size - length + 1] * mark
        longer[length - 1 :] = mix64(longer[length - 1 :] ^ far)
        by_order.append(longer)
    return _Grams(by_order=by_order, places=places)


@dataclass(frozen=True, slots=True, eq=False)
class _Counted:
    """What was counted of one order: grams and their contexts, both in ascending order."""

    grams: Hashes
    counts: Integers
    contexts: Hashes
    totals: Integers
    """Sum of the counts of each context: (C,)."""
    ones: Integers
    twos: Integers
    more: Integers
    """Distinct grams of each context that were counted once, twice, more often: (C,)."""
    discounts: tuple[float, float, float]


class NgramJudge:
    """Texts that n-gram learners are asked for, made ready once for all of them."""

    def __init__(self, texts: TokenTexts, *, order: int, vocabulary: int) -> None:
        """Make texts ready.

        Args:
            texts: The texts that are judged; ids below ``vocabulary``. Of a context, the tokens
                that the longest gram reaches are read.
            order: Tokens of the longest gram, 2 to 5.
            vocabulary: Number of tokens that there are.

        Raises:
            ValueError: The order is none of those, or an id is not in the vocabulary.
        """
        if order not in ORDERS:
            raise ValueError(f"an order is one of {ORDERS}, not {order}")
        _check_ids(texts, vocabulary)
        self.order, self.vocabulary = order, vocabulary
        texts = texts.with_contexts(order - 1)
        self._begins, self._ends = texts.judged_from, texts.ends
        found = _grams(texts, order, vocabulary)
        places = found.places
        self._levels: list[_Asked] = []
        for length in range(order, 0, -1):
            of_length = found.by_order[length][places]
            grams, first, inverse = np.unique(of_length, return_index=True, return_inverse=True)
            contexts, context_of = np.unique(
                found.by_order[length - 1][places[first] - 1], return_inverse=True
            )
            self._levels.append(_Asked(grams, contexts, context_of, inverse))
            places = places[first]

    def nats(self, draw: TokenTexts) -> Floats:
        """Train on a draw and return the loss of each judged text in nats: (D,).

        Args:
            draw: The texts to learn from, one copy after another; ids below the vocabulary.

        Raises:
            ValueError: The draw has no token, or an id is not in the vocabulary.
        """
        if draw.tokens.size == 0:
            raise ValueError("nothing can be learned from a draw without tokens")
        _check_ids(draw, self.vocabulary)
        counted = _count(_grams(draw, self.order, self.vocabulary), self.order)
        probabilities = np.full(1, 1.0 / self.vocabulary)
        for asked, level in zip(reversed(self._levels), reversed(counted), strict=True):
            probabilities = _interpolated(asked, level, probabilities)[asked.inverse]
        losses = np.concatenate([[0.0], np.cumsum(-np.log(probabilities))])
        found: Floats = losses[self._ends] - losses[self._begins]
        return found


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    """What the judged texts ask of one order."""

    grams: Hashes
    contexts: Hashes
    context_of: Integers
    """The context of each gram: (G,)."""
    inverse: Integers
    """The gram that each longer gram ends in; of the longest, that ends at each token."""


def _check_ids(texts: TokenTexts, vocabulary: int) -> None:
    if texts.tokens.size and int(texts.tokens.max()) >= vocabulary:
        raise ValueError(f"token {int(texts.tokens.max())} is none of a vocabulary of {vocabulary}")


def _count(found: _Grams, order: int) -> list[_Counted]:
    """Count by order, the longest first: those as they occur, others by what stands before them."""
    counted, places = [], found.places
    for length in range(order, 0, -1):
        grams, places, counts = _distinct(found.by_order[length][places], places)
        level = _of_contexts(grams, counts, found.by_order[length - 1][places - 1])
        counted.append(level)
    return counted


def _distinct(hashes: Hashes, places: Integers) -> tuple[Hashes, Integers, Integers]:
    """Return the distinct hashes in ascending order, a place of each, and how often it occurs."""
    order = np.argsort(hashes)
    ordered = hashes[order]
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    counts = np.diff(np.concatenate([first, [ordered.size]]))
    return ordered[first], places[order[first]], counts


def _of_contexts(grams: Hashes, counts: Integers, contexts: Hashes) -> _Counted:
    order = np.argsort(contexts)
    ordered, of_gram = contexts[order], counts[order]
    first = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    ones, twos, more = (
        np.add.reduceat(chosen.astype(np.int64), first)
        for chosen in (of_gram == 1, of_gram == 2, of_gram > 2)
    )
    return _Counted(
        grams=grams,
        counts=counts,
        contexts=ordered[first],
        totals=np.add.reduceat(of_gram, first),
        ones=ones,
        twos=twos,
        more=more,
        discounts=_discounts(counts),
    )


def _discounts(counts: Integers) -> tuple[float, float, float]:
    """Return D1, D2, D3+ of the counts of counts."""
    n1, n2, n3, n4 = (int((counts == times).sum()) for times in (1, 2, 3, 4))
    return discounts(n1, n2, n3, n4)


def _interpolated(asked: _Asked, level: _Counted, lower: Floats) -> Floats:
    """Return the probability of each gram that is asked for, given that of what it ends in."""
    counts = _looked_up(asked.grams, level.grams, level.counts)
    d1, d2, d3 = level.discounts
    discounted = counts - np.choose(np.minimum(counts, 3), [0.0, d1, d2, d3])
    contexts = asked.contexts
    totals, ones, twos, more = (
        _looked_up(contexts, level.contexts, values)[asked.context_of]
        for values in (level.totals, level.ones, level.twos, level.more)
    )
    left = d1 * ones + d2 * twos + d3 * more
    is_known = totals > 0
    return np.where(is_known, (discounted + left * lower) / np.maximum(totals, 1), lower)


def _looked_up(wanted: Hashes, known: Hashes, values: Integers) -> Integers:
    """Return the value of each wanted hash; 0 where it is not known."""
    at = np.minimum(np.searchsorted(known, wanted), known.size - 1)
    return np.where(known[at] == wanted, values[at], 0)
