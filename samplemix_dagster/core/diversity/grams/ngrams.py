"""Turn texts into hashed word n-grams.

A *gram* is the 64-bit hash of n words in a row. A word is a run of ASCII letters and digits
(lower-cased) and of characters beyond ASCII; white space, punctuation and symbols separate. Scripts
without spaces (:data:`.words.SPACELESS_RANGES`) have each character as a word, so that their
n-grams are n characters. Letters beyond ASCII keep their case.

Not here: the compiled loops and the table of separators (:mod:`.ngrams_kernel`), and which document
owns a gram (:mod:`.ownership`).

Length letters: N = documents, G = distinct grams of each document, together.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Hashes = npt.NDArray[np.uint64]

_MAX_SAMPLE_BITS = 32
_BATCH_BYTES = 1 << 23


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentGrams:
    """The distinct grams of N documents, ragged.

    Attributes:
        num_positions: Kept positions of each document where a gram starts, repeats counted: (N,).
        offsets: Document i has ``grams[offsets[i]:offsets[i + 1]]``: (N + 1,).
        grams: Sorted and distinct within each document: (G,).
        counts: How often each stands in its document: (G,); they sum to ``num_positions``.
    """

    num_positions: npt.NDArray[np.int64]
    offsets: npt.NDArray[np.int64]
    grams: Hashes
    counts: npt.NDArray[np.uint32]

    @property
    def num_documents(self) -> int:
        """N."""
        return len(self.num_positions)

    @property
    def num_distinct(self) -> npt.NDArray[np.int64]:
        """Distinct grams of each document: (N,)."""
        return np.diff(self.offsets)

    def select(self, start: int, stop: int) -> "DocumentGrams":
        """Return documents ``start`` to ``stop - 1``, sharing memory with this."""
        start, stop, _ = slice(start, stop).indices(self.num_documents)
        stop = max(start, stop)
        first, last = self.offsets[start], self.offsets[stop]
        return DocumentGrams(
            num_positions=self.num_positions[start:stop],
            offsets=self.offsets[start : stop + 1] - first,
            grams=self.grams[first:last],
            counts=self.counts[first:last],
        )

    def per_gram(self, values: npt.NDArray[np.uint64]) -> Hashes:
        """Return one value per document repeated for each of its grams: (G,)."""
        return np.repeat(values, self.num_distinct)


def document_grams(texts: Sequence[str], *, n: int = 5, sample_bits: int = 0) -> DocumentGrams:
    """Hash each text's word n-grams.

    Args:
        texts: N texts; one of fewer than n words has no gram.
        n: Words in a gram, at least 1.
        sample_bits: With b, only grams whose top b bits are zero are kept: the same 2^-b of all
            grams in every document, and a subset of those kept with fewer bits.

    Raises:
        ValueError: ``n`` is below 1, or ``sample_bits`` outside 0..32.
        UnicodeEncodeError: A text has a lone surrogate.
    """
    from samplemix_dagster.core.diversity.grams.ngrams_kernel import character_kinds, hash_documents

    if n < 1 or not 0 <= sample_bits <= _MAX_SAMPLE_BITS:
        msg = f"n must be >= 1 and sample_bits in 0..{_MAX_SAMPLE_BITS}, not {n} and {sample_bits}"
        raise ValueError(msg)
    mask = np.uint64(((1 << sample_bits) - 1) << (64 - sample_bits))
    kinds = character_kinds()
    parts = [
        hash_documents(np.frombuffer(octets, dtype=np.uint8), bounds, kinds, n, mask)
        for octets, bounds in _encoded(texts)
    ]
    num_positions, num_distinct, grams, counts = (
        np.concatenate(arrays) for arrays in zip(*parts, strict=True)
    )
    return DocumentGrams(
        num_positions=num_positions,
        offsets=np.concatenate(([0], np.cumsum(num_distinct))),
        grams=grams,
        counts=counts,
    )


def _encoded(texts: Sequence[str]) -> Iterator[tuple[bytes, npt.NDArray[np.int64]]]:
    """Yield the texts' bytes in batches, with the bounds of each text; one batch where none is."""
    batch: list[bytes] = []
    num_bytes = 0
    for text in texts:
        batch.append(text.encode())
        num_bytes += len(batch[-1])
        if num_bytes >= _BATCH_BYTES:
            yield b"".join(batch), np.cumsum([0, *map(len, batch)])
            batch, num_bytes = [], 0
    yield b"".join(batch), np.cumsum([0, *map(len, batch)])
