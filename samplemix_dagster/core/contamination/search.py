"""Find text of evaluations in documents, by runs of words.

An item of an evaluation has parts: its fields. A part of at least n words is looked for by its
n-grams: one of them in a document is enough (n = 13 in Brown et al. 2020, "Language models are
few-shot learners", appendix C). An item without such a part is looked for as a whole, by its
longest part. One that is shorter than a few words would be found everywhere, and is not looked for.

Both sides are compared without case, punctuation, line breaks and compatibility forms of characters
(Unicode NFKC, then case folding). A word is what it is for the n-grams of diversity.

Length letters: N = documents, I = items, W = wanted grams.
"""

import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.diversity.grams.ngrams import document_grams

_LEAST_FILTER_BITS = 16
_MOST_FILTER_BITS = 27
_MARKS_A_GRAM_BITS = 4
_AROUND_BYTES = 60


def folded(text: str) -> str:
    """Return a text as both sides are compared."""
    if not text.isascii() and not unicodedata.is_normalized("NFKC", text):
        text = unicodedata.normalize("NFKC", text)
    return text.casefold()


def num_words(text: str) -> int:
    """Return the words of a folded text, as n-grams count them."""
    return int(document_grams([text], n=1).num_positions[0])


@dataclass(frozen=True, slots=True)
class Wanted:
    """The part or parts of an item that are looked for."""

    parts: tuple[str, ...]
    """Folded texts; none where the item is too short to be looked for."""
    is_whole: bool
    """Whether a part is looked for whole, and not by its n-grams."""


def wanted_of(parts: Iterable[str], order: int, shortest: int) -> Wanted:
    """Return what is looked for of an item.

    Args:
        parts: The texts of its fields.
        order: Words of a gram, n.
        shortest: Words below which an item is not looked for.
    """
    counted = [(num_words(part), part) for part in map(folded, parts)]
    long = tuple(dict.fromkeys(part for count, part in counted if count >= order))
    if long:
        return Wanted(long, is_whole=False)
    count, longest = max(counted, key=lambda one: one[0], default=(0, ""))
    return Wanted((longest,) if count >= shortest else (), is_whole=True)


@dataclass(frozen=True)
class Index:
    """Wanted grams, ascending by hash.

    Attributes:
        grams: Distinct hashes: (W,).
        lengths: Words in each: (W,).
        items: The first item that has each: (W,).
        sizes: Wanted grams of each item, repeats left out: (I,).
    """

    grams: npt.NDArray[np.uint64]
    lengths: npt.NDArray[np.int64]
    items: npt.NDArray[np.int64]
    sizes: npt.NDArray[np.int64]

    @classmethod
    def of(cls, wanted: Sequence[Wanted], order: int) -> "Index":
        """Return the index of I items, in their order."""
        grams, lengths, items = [], [], []
        sizes = np.zeros(len(wanted), dtype=np.int64)
        for number, item in enumerate(wanted):
            own = set()
            for part in item.parts:
                length = num_words(part) if item.is_whole else order
                own |= {(int(one), length) for one in document_grams([part], n=length).grams}
            sizes[number] = len(own)
            for gram, length in sorted(own):
                grams.append(gram)
                lengths.append(length)
                items.append(number)
        hashes = np.array(grams, dtype=np.uint64)
        # Stable: of several items with one gram the first comes first.
        kept, first = np.unique(hashes, return_index=True)
        return cls(
            grams=kept,
            lengths=np.array(lengths, dtype=np.int64)[first],
            items=np.array(items, dtype=np.int64)[first],
            sizes=sizes,
        )

    def to_arrays(self) -> dict[str, npt.NDArray[Any]]:
        """Return it as arrays by name."""
        return {name: getattr(self, name) for name in ("grams", "lengths", "items", "sizes")}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> "Index":
        """Return the index of arrays that :meth:`to_arrays` gave."""
        return cls(**{name: arrays[name] for name in ("grams", "lengths", "items", "sizes")})

    @cached_property
    def filter_bits(self) -> int:
        """Bits of the table that tells most other hashes at one look."""
        bits = int(self.grams.size).bit_length() + _MARKS_A_GRAM_BITS
        return min(max(bits, _LEAST_FILTER_BITS), _MOST_FILTER_BITS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """What one document holds of evaluations."""

    document: int
    item: int
    """The item of which most stands there; of several the first."""
    share: float
    """Of its wanted grams, how many stand in the document: in (0, 1]."""
    num_items: int
    """Items of which something stands there; one gram counts for the first item that has it."""
    snippet: str
    """The longest run of it, folded, with a few words around."""


def search(texts: Sequence[str], index: Index) -> Iterator[Hit]:
    """Yield what N documents hold, in their order; nothing for one that holds nothing."""
    from samplemix_dagster.core.contamination.kernel import find_grams
    from samplemix_dagster.core.diversity.grams.ngrams_kernel import character_kinds

    if not index.grams.size:
        return
    octets = [folded(text).encode() for text in texts]
    bounds = np.cumsum([0, *map(len, octets)])
    documents, grams, begins, ends = find_grams(
        np.frombuffer(b"".join(octets), dtype=np.uint8),
        bounds,
        character_kinds(),
        index.grams,
        index.lengths,
        index.filter_bits,
    )
    edges = np.flatnonzero(np.diff(documents)) + 1
    for places in np.split(np.arange(documents.size), edges):
        if places.size:
            number = int(documents[places[0]])
            found = (grams[places], begins[places], ends[places])
            yield _hit(number, octets[number], index, found)


def _hit(number: int, octets: bytes, index: Index, found: tuple[npt.NDArray[np.int64], ...]) -> Hit:
    grams, begins, ends = found
    distinct = np.unique(grams)
    items, counts = np.unique(index.items[distinct], return_counts=True)
    shares = counts / np.maximum(index.sizes[items], 1)
    best = int(np.argmax(shares))
    item = int(items[best])
    own = index.items[grams] == item
    return Hit(
        document=number,
        item=item,
        share=float(shares[best]),
        num_items=int(items.size),
        snippet=_snippet(octets, np.sort(begins[own]), np.sort(ends[own])),
    )


def _snippet(octets: bytes, begins: npt.NDArray[np.int64], ends: npt.NDArray[np.int64]) -> str:
    """Return the longest run of grams that overlap, with what stands around it, on one line."""
    breaks = np.flatnonzero(begins[1:] > ends[:-1]) + 1
    starts, stops = begins[np.r_[0, breaks]], ends[np.r_[breaks - 1, ends.size - 1]]
    longest = int(np.argmax(stops - starts))
    low = max(0, int(starts[longest]) - _AROUND_BYTES)
    high = int(stops[longest]) + _AROUND_BYTES
    return " ".join(octets[low:high].decode(errors="ignore").split())
