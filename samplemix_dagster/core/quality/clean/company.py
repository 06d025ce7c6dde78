"""How a text keeps company with a corpus: do its words follow each other as words do elsewhere?

Salad has words that never meet elsewhere; babble has pairs that do and triples that do not; a menu
shares whole lines. Counts are hashed into tables that saturate, so their size does not grow with
the corpus, and adding them up in any order gives the same.

Shape letters: W = words, S = slots, K = orders of the model of bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from threading import Lock

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.quality.clean.shape import Parsed, grams

WORD_BITS, PAIR_BITS, TRIPLE_BITS, LINE_BITS, BYTE_BITS = 20, 23, 23, 20, 20
MOST_ORDER = 6
_FULL = 255
_GAPS = (5, 11)
"""How far apart the words of a pair stand that says how often words meet by chance."""

_MEASURING = Lock()

Slots = npt.NDArray[np.int64]
Arrays = Mapping[str, npt.NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Counts:
    """In how many documents words, pairs, triples and lines stand, and how often runs of bytes do.

    Attributes:
        words: Documents by slot, 255 at most: (S,); likewise ``pairs``, ``triples``, ``lines``.
        runs: Runs of 1 to K bytes by slot, of fewer documents: (K, S).
        totals: Documents that were counted, and bytes whose runs were: (2,).
    """

    words: npt.NDArray[np.uint8]
    pairs: npt.NDArray[np.uint8]
    triples: npt.NDArray[np.uint8]
    lines: npt.NDArray[np.uint8]
    runs: npt.NDArray[np.int32]
    totals: npt.NDArray[np.int64]

    @classmethod
    def none(cls) -> "Counts":
        """Return the counts of no document."""
        return cls(
            words=np.zeros(1 << WORD_BITS, dtype=np.uint8),
            pairs=np.zeros(1 << PAIR_BITS, dtype=np.uint8),
            triples=np.zeros(1 << TRIPLE_BITS, dtype=np.uint8),
            lines=np.zeros(1 << LINE_BITS, dtype=np.uint8),
            runs=np.zeros((MOST_ORDER, 1 << BYTE_BITS), dtype=np.int32),
            totals=np.zeros(2, dtype=np.int64),
        )

    def add(self, parsed: Parsed, *, with_bytes: bool) -> None:
        """Count one document more; its runs of bytes too, if asked."""
        _add_once(self.words, slots_of(parsed.words, WORD_BITS))
        _add_once(self.pairs, slots_of(grams(parsed.words, 2), PAIR_BITS))
        _add_once(self.triples, slots_of(grams(parsed.words, 3), TRIPLE_BITS))
        _add_once(self.lines, slots_of(parsed.lines, LINE_BITS))
        self.totals[0] += 1
        if with_bytes:
            self._add_bytes(parsed, 1)

    def _add_bytes(self, parsed: Parsed, times: int) -> None:
        if times == 0:
            return
        from samplemix_dagster.core.quality.clean.kernel import add_bytes

        octets = parsed.octets
        add_bytes(octets, self.runs, BYTE_BITS, times)
        self.totals[1] += times * octets.size

    def bits_by_order(self, parsed: Parsed, *, is_counted: bool) -> npt.NDArray[np.float64]:
        """Return a text's bits per byte under the models of bytes, without itself: (K,)."""
        from samplemix_dagster.core.quality.clean.kernel import bits_by_order

        # A text that was counted is taken out of the tables while it is measured.
        with _MEASURING:
            self._add_bytes(parsed, -int(is_counted))
            found = bits_by_order(parsed.octets, self.runs, BYTE_BITS, int(self.totals[1]))
            self._add_bytes(parsed, int(is_counted))
        return found

    def to_arrays(self) -> dict[str, npt.NDArray[np.generic]]:
        """Return what a file holds: the slots that are not empty, and what stands in them."""
        found: dict[str, npt.NDArray[np.generic]] = {"totals": self.totals}
        for name in _TABLES:
            flat = getattr(self, name).reshape(-1)
            where = np.flatnonzero(flat)
            found[f"{name}_slots"] = where.astype(np.uint32)
            found[f"{name}_counts"] = flat[where]
        return found

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> "Counts":
        """Return what :meth:`to_arrays` was given."""
        counts = cls.none()
        counts.totals[:] = arrays["totals"]
        for name in _TABLES:
            flat = getattr(counts, name).reshape(-1)
            flat[arrays[f"{name}_slots"].astype(np.int64)] = arrays[f"{name}_counts"]
        return counts


_TABLES = ("words", "pairs", "triples", "lines", "runs")


def slots_of(hashes: npt.NDArray[np.uint64], bits: int) -> Slots:
    """Return the slot, in [0, 2^bits), of each hash."""
    return (hashes >> np.uint64(64 - bits)).astype(np.int64)


def _add_once(counts: npt.NDArray[np.uint8], slots: Slots) -> None:
    distinct = np.unique(slots)
    counts[distinct] += counts[distinct] < _FULL


def company_measures(
    parsed: Parsed, counts: Counts, *, is_counted: bool, has_bytes: bool
) -> dict[str, float]:
    """Return how a text keeps company with the documents counted, itself left out.

    Args:
        parsed: The text.
        counts: Of the corpus.
        is_counted: Whether this document is among those counted.
        has_bytes: Whether its runs of bytes are.
    """
    own = int(is_counted)
    words = _elsewhere(counts.words, slots_of(parsed.words, WORD_BITS), own)
    pairs = _elsewhere(counts.pairs, slots_of(grams(parsed.words, 2), PAIR_BITS), own)
    triples = _elsewhere(counts.triples, slots_of(grams(parsed.words, 3), TRIPLE_BITS), own)
    by_chance = np.concatenate(
        [counts.pairs[slots_of(grams(parsed.words, 2, gap), PAIR_BITS)] > 0 for gap in _GAPS]
    )
    lines = _elsewhere(counts.lines, slots_of(parsed.lines, LINE_BITS), own)
    bits = counts.bits_by_order(parsed, is_counted=has_bytes)
    return {
        "log_order_gain": _log_odds(pairs > 0) - _log_odds(by_chance),
        **_of_meetings(words, pairs, triples, int(counts.totals[0])),
        "byte_gain": float(bits[0] - bits[-1]),
        "byte_gain_of_long": float(bits[2] - bits[-1]),
        "shared_lines": _share(parsed.line_lengths, lines > 0),
    }


def _elsewhere(counts: npt.NDArray[np.uint8], slots: Slots, own: int) -> npt.NDArray[np.float64]:
    """Return in how many other documents each stands."""
    return np.maximum(counts[slots].astype(np.float64) - own, 0.0)


def _of_meetings(
    words: npt.NDArray[np.float64],
    pairs: npt.NDArray[np.float64],
    triples: npt.NDArray[np.float64],
    num_documents: int,
) -> Mapping[str, float]:
    """Return how much more often neighbours meet elsewhere than chance has it.

    Means of pointwise mutual information by documents, in bits: of two words where the pair is
    known, of a third given the two pairs where both are.
    """
    known = pairs > 0
    at_least = np.maximum(words, 0.5)
    meet = (pairs + 0.1) * num_documents
    information = np.log2(np.maximum(meet, 0.1)) - np.log2(at_least[:-1] * at_least[1:])
    both = known[:-1] & known[1:]
    several = np.maximum(pairs, 0.5)
    third = np.log2((triples + 0.1) * at_least[1:-1]) - np.log2(several[:-1] * several[1:])
    return {
        "log_triples_of_pairs": _log_odds(triples[both] > 0) if both.any() else -0.5,
        "pair_information": float(information[known].mean()) if known.any() else 0.0,
        "triple_information": float(third[both].mean()) if both.any() else 0.0,
    }


def _log_odds(hits: npt.NDArray[np.bool_]) -> float:
    return float(np.log((hits.sum() + 0.5) / ((~hits).sum() + 0.5)))


def _share(weights: npt.NDArray[np.int64], hits: npt.NDArray[np.bool_]) -> float:
    return float(weights[hits].sum()) / max(1, int(weights.sum()))
