"""The compiled loops over a text's characters and bytes. Imported only where they run: numba."""

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.compiled import compiled
from samplemix_dagster.core.quality.clean.characters import (
    ALONE,
    CAPITAL,
    DIGIT,
    LETTER,
    LINE,
    MARK,
    OTHER,
    QUOTE,
    SPACE,
    STOP,
)

_SEED = np.uint64(0xCBF29CE484222325)
_FACTOR = np.uint64(0x100000001B3)
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_TRUST = 8.0
"""Occurrences of a context at which its own continuations count as much as a shorter context's."""

Codes = npt.NDArray[np.uint32]
Kinds = npt.NDArray[np.uint8]
Spans = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Counts = npt.NDArray[np.int32]


@compiled
def _is_alphanumeric(kind: int) -> bool:
    return kind in (LETTER, CAPITAL, DIGIT, MARK)


@compiled
def _end_of_word(kinds: Kinds, at: int) -> int:
    """Return where a word that begins here ends; signs behind a lone letter join it."""
    end = at + 1
    if kinds[at] == ALONE:
        while end < kinds.size and not (
            kinds[end] in (SPACE, LINE, ALONE) or _is_alphanumeric(kinds[end])
        ):
            end += 1
        return end
    while end < kinds.size and kinds[end] not in (SPACE, LINE, ALONE):
        end += 1
    return end


@compiled
def word_spans(kinds: Kinds) -> Spans:
    """Return first and end of each word, (W, 2): a run without space, a lone letter."""
    spans = np.empty((kinds.size, 2), dtype=np.int64)
    num_words = 0
    at = 0
    while at < kinds.size:
        if kinds[at] in (SPACE, LINE):
            at += 1
            continue
        end = _end_of_word(kinds, at)
        spans[num_words, 0] = at
        spans[num_words, 1] = end
        num_words += 1
        at = end
    return spans[:num_words].copy()


@compiled
def line_spans(kinds: Kinds) -> Spans:
    """Return first and end of each line that is not blank, without the spaces around it: (L, 2)."""
    spans = np.empty((kinds.size, 2), dtype=np.int64)
    num_lines = 0
    first = -1
    last = -1
    for at in range(kinds.size + 1):
        if at == kinds.size or kinds[at] == LINE:
            if first >= 0:
                spans[num_lines, 0] = first
                spans[num_lines, 1] = last + 1
                num_lines += 1
            first = -1
        elif kinds[at] != SPACE:
            if first < 0:
                first = at
            last = at
    return spans[:num_lines].copy()


@compiled
def _counts_in_word(kinds: Kinds, first: int, end: int) -> tuple[int, int, int]:
    """Return the letters, the digits, and the other signs that stand between two of them."""
    letters = digits = inside = pending = 0
    for at in range(first, end):
        if not _is_alphanumeric(kinds[at]) and kinds[at] != ALONE:
            pending += letters + digits > 0
            continue
        inside += pending
        pending = 0
        digits += kinds[at] == DIGIT
        letters += kinds[at] != DIGIT
    return letters, digits, inside


@compiled
def _is_capital(kinds: Kinds, first: int, end: int) -> bool:
    for at in range(first, end):
        if _is_alphanumeric(kinds[at]):
            return bool(kinds[at] == CAPITAL)
    return False


@compiled
def _ends_sentence(kinds: Kinds, first: int, end: int) -> bool:
    for at in range(end - 1, first - 1, -1):
        if kinds[at] not in (QUOTE, OTHER):
            return bool(kinds[at] == STOP)
    return False


@compiled
def describe_words(kinds: Kinds, spans: Spans) -> Spans:
    """Return six numbers of each word, shape (W, 6).

    Characters, letters, digits, signs between them, whether its first letter is a capital, and
    whether it ends a sentence.
    """
    found = np.empty((spans.shape[0], 6), dtype=np.int64)
    for i in range(spans.shape[0]):
        first, end = spans[i, 0], spans[i, 1]
        letters, digits, inside = _counts_in_word(kinds, first, end)
        found[i, 0] = end - first
        found[i, 1] = letters
        found[i, 2] = digits
        found[i, 3] = inside
        found[i, 4] = _is_capital(kinds, first, end)
        found[i, 5] = _ends_sentence(kinds, first, end)
    return found


@compiled
def mixed(word: np.uint64) -> np.uint64:
    """Return the SplitMix64 finaliser of a word (Steele, Lea & Flood 2014, figure 16)."""
    word += _GOLDEN
    word = (word ^ (word >> np.uint64(30))) * _MIX_1
    word = (word ^ (word >> np.uint64(27))) * _MIX_2
    return word ^ (word >> np.uint64(31))


@compiled
def span_hashes(codes: Codes, kinds: Kinds, spans: Spans, as_words: bool) -> Words:
    """Return the hash of each span's characters; of a word, its letters and digits if it has some.

    Args:
        codes: Folded code points.
        kinds: Of the same characters.
        spans: Words or lines.
        as_words: Whether signs do not count where there are letters or digits; spaces never do.
    """
    found = np.empty(spans.shape[0], dtype=np.uint64)
    for i in range(spans.shape[0]):
        plain = _SEED
        whole = _SEED
        for at in range(spans[i, 0], spans[i, 1]):
            if kinds[at] == SPACE:
                continue
            whole = (whole ^ np.uint64(codes[at])) * _FACTOR
            if kinds[at] == ALONE or _is_alphanumeric(kinds[at]):
                plain = (plain ^ np.uint64(codes[at])) * _FACTOR
        found[i] = mixed(plain if as_words and plain != _SEED else whole)
    return found


@compiled
def byte_slots(octets: npt.NDArray[np.uint8], length: int, bits: int) -> Spans:
    """Return the slot, in [0, 2^bits), of each run of some bytes."""
    slots = np.empty(max(0, octets.size - length + 1), dtype=np.int64)
    for i in range(slots.size):
        run = np.uint64(length)
        for k in range(length):
            run = run * np.uint64(257) + np.uint64(octets[i + k]) + np.uint64(1)
        slots[i] = np.int64(mixed(run) >> np.uint64(64 - bits))
    return slots


@compiled
def add_bytes(octets: npt.NDArray[np.uint8], counts: Counts, bits: int, times: int) -> None:
    """Count a text's runs of 1 to K bytes ``times`` more often (-1 takes them out): (K, 2^bits)."""
    for length in range(1, counts.shape[0] + 1):
        for slot in byte_slots(octets, length, bits):
            counts[length - 1, slot] += times


@compiled
def bits_by_order(
    octets: npt.NDArray[np.uint8], counts: Counts, bits: int, total: int
) -> npt.NDArray[np.float64]:
    """Return the bits per byte of a text under models that see 0 to K - 1 bytes before: shape (K,).

    Each mixes what followed its context with the model of one byte less, by n / (n + 8) for a
    context that stood there n times; the shortest mixes with 1/256.
    """
    probability = np.full(octets.size, 1.0 / 256.0)
    found = np.zeros(counts.shape[0])
    before = np.zeros(0, dtype=np.int64)
    for length in range(1, counts.shape[0] + 1):
        slots = byte_slots(octets, length, bits)
        for i in range(slots.size):
            seen = float(total) if length == 1 else float(counts[length - 2, before[i]])
            own = float(counts[length - 1, slots[i]])
            share = seen / (seen + _TRUST)
            follows = min(1.0, own / seen) if seen > 0.0 else 0.0
            at = i + length - 1
            probability[at] = share * follows + (1.0 - share) * probability[at]
        found[length - 1] = -np.log2(probability).sum() / max(1, octets.size)
        before = slots
    return found
