"""What a text is like by itself: its characters, words, lines, sentences and repetitions.

Shape letters: C = characters, W = words, L = lines.
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.hashing import mix64
from samplemix_dagster.core.quality.clean import characters
from samplemix_dagster.core.quality.clean.characters import codes_of

MOST_CHARACTERS = 20_000
"""A text is measured by its beginning: that tells text from junk, and bounds what a book costs."""
_ZIPPED_BYTES = 8_000
_LONG_WORD = 15
_SHORT_LINE = 30
_FIRST_WORDS = 200
_PER_THOUSAND = 1_000.0

Hashes = npt.NDArray[np.uint64]
_Array = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Parsed:
    """One text taken apart.

    Attributes:
        text: Its beginning.
        kinds: The kind of each character: (C,).
        words: The hash of each word, case and digits folded: (W,).
        described: Six numbers of each word, as ``kernel.describe_words`` gives them: (W, 6).
        lines: The hash of each line that is not blank: (L,).
        line_spans: First character and end of each of them: (L, 2).
    """

    text: str
    kinds: npt.NDArray[np.uint8]
    words: Hashes
    described: _Array
    lines: Hashes
    line_spans: _Array

    @property
    def line_lengths(self) -> _Array:
        """Characters of each line: (L,)."""
        return self.line_spans[:, 1] - self.line_spans[:, 0]

    @property
    def octets(self) -> npt.NDArray[np.uint8]:
        """Its UTF-8 bytes."""
        return np.frombuffer(self.text.encode("utf-8", "replace"), dtype=np.uint8)


def parse(text: str) -> Parsed:
    """Take a text's first 20,000 characters apart."""
    from samplemix_dagster.core.quality.clean import kernel

    text = text[:MOST_CHARACTERS]
    codes = codes_of(text)
    kinds = characters.character_kinds()[codes]
    folded = characters.folded_codes()[codes]
    words, lines = kernel.word_spans(kinds), kernel.line_spans(kinds)
    return Parsed(
        text=text,
        kinds=kinds,
        words=kernel.span_hashes(folded, kinds, words, True),
        described=kernel.describe_words(kinds, words),
        lines=kernel.span_hashes(folded, kinds, lines, False),
        line_spans=lines,
    )


def shape_measures(parsed: Parsed) -> dict[str, float]:
    """Return what a text is like by itself; most are shares in [0, 1].

    ``log_*`` are natural logarithms, ``word_length`` and ``word_deviation`` characters.
    """
    return {
        **_of_characters(parsed),
        **_of_words(parsed),
        **_of_sentences(parsed),
        **_of_lines(parsed),
        **_of_repetition(parsed),
    }


def _of_characters(parsed: Parsed) -> Mapping[str, float]:
    counts = np.bincount(parsed.kinds, minlength=characters.NUM_KINDS).astype(float)
    total = max(1.0, float(counts.sum()))
    cased = counts[characters.LETTER] + counts[characters.CAPITAL]
    letters = cased + counts[characters.ALONE] + counts[characters.MARK]
    seen = np.flatnonzero((parsed.kinds != characters.SPACE) & (parsed.kinds != characters.LINE))
    last = parsed.kinds[seen[-1]] if seen.size else characters.OTHER
    return {
        "letters": float(letters) / total,
        "digits": float(counts[characters.DIGIT]) / total,
        "spaces": float(counts[characters.SPACE] + counts[characters.LINE]) / total,
        "capitals": float(counts[characters.CAPITAL] / max(1.0, cased)),
        "commas": float(counts[characters.COMMA]) / total,
        "stops": float(counts[characters.STOP]) / total,
        "brackets": float(counts[characters.BRACKET]) / total,
        "symbols": float(counts[characters.SYMBOL]) / total,
        "other_signs": float(counts[characters.OTHER]) / total,
        "marks": float(counts[characters.MARK]) / total,
        "is_ended": float(last in (characters.STOP, characters.QUOTE)),
    }


def _of_words(parsed: Parsed) -> Mapping[str, float]:
    length, letters, digits, inside = parsed.described[:, :4].T
    total = max(1, length.size)
    mean = float(length.sum()) / total
    return {
        "log_words": float(np.log(total)),
        "word_length": mean,
        "word_deviation": float(np.sqrt(((length - mean) ** 2).sum() / total)),
        "long_words": float((length > _LONG_WORD).sum()) / total,
        "words_with_a_letter": float((letters > 0).sum()) / total,
        "words_of_both": float(((letters > 0) & (digits > 0)).sum()) / total,
        "words_with_signs_inside": float((inside > 0).sum()) / total,
    }


def _of_sentences(parsed: Parsed) -> Mapping[str, float]:
    """Return lengths of sentences, and how much more often a capital begins one than is inside."""
    is_capital, ends = parsed.described[:, 4], parsed.described[:, 5]
    bounds = np.flatnonzero(ends) + 1
    edges = np.unique(np.concatenate(([0], bounds, [ends.size])))
    lengths = np.diff(edges).astype(float) if ends.size else np.zeros(1)
    begins = np.zeros(ends.size, dtype=bool)
    begins[bounds[bounds < ends.size]] = True
    after = (float(is_capital[begins].sum()) + 1.0) / (float(begins.sum()) + 2.0)
    inside = (float(is_capital[~begins].sum()) + 0.5) / (float((~begins).sum()) + 1.0)
    return {
        "log_sentence": float(np.log1p(lengths.mean())),
        "log_sentence_deviation": float(np.log1p(lengths.std())),
        "log_sentences": float(np.log1p(_PER_THOUSAND * lengths.size / max(1, parsed.kinds.size))),
        "capitals_that_begin": after,
        "capitals_inside": inside,
        "log_capitals_gain": float(np.log(after / inside)),
    }


def _of_lines(parsed: Parsed) -> Mapping[str, float]:
    total = max(1, parsed.lines.size)
    length = parsed.line_lengths
    first = parsed.kinds[parsed.line_spans[:, 0]]
    last = parsed.kinds[parsed.line_spans[:, 1] - 1]
    dash = np.isin(codes_of(parsed.text)[parsed.line_spans[:, 0]], (ord("*"), ord("-")))
    is_ended = (last == characters.STOP) | (last == characters.QUOTE)
    is_bullet = dash | (first == characters.SYMBOL)
    return {
        "log_line": float(np.log1p(parsed.kinds.size / total)),
        "short_lines": float((length < _SHORT_LINE).sum()) / total,
        "ended_lines": float(is_ended.sum()) / total,
        "bullet_lines": float(is_bullet.sum()) / total,
    }


def _of_repetition(parsed: Parsed) -> Mapping[str, float]:
    first = parsed.words[:_FIRST_WORDS]
    pairs, fives = grams(parsed.words, 2), grams(parsed.words, 5)
    _, times = np.unique(pairs, return_counts=True)
    most = int(times.max(initial=0))
    _, where = np.unique(parsed.lines, return_index=True)
    total = int(parsed.line_lengths.sum())
    zipped = parsed.text.encode("utf-8", "replace")[:_ZIPPED_BYTES]
    return {
        "distinct_words": np.unique(first).size / max(1, first.size),
        "top_pair": most / pairs.size if most > 1 else 0.0,
        "repeated_fives": 1.0 - np.unique(fives).size / fives.size if fives.size else 0.0,
        "repeated_lines": 1.0 - int(parsed.line_lengths[where].sum()) / total if total else 0.0,
        "zipped": len(zlib.compress(zipped, 6)) / max(1, len(zipped)),
    }


def grams(words: Hashes, order: int, gap: int = 1) -> Hashes:
    """Return the hashes of words that stand ``gap`` places apart, ``order`` of them each."""
    count = words.size - (order - 1) * gap
    if count <= 0:
        return np.zeros(0, dtype=np.uint64)
    found = words[:count]
    with np.errstate(over="ignore"):
        for k in range(1, order):
            found = mix64(found) * np.uint64(3) + words[k * gap : k * gap + count]
    return np.asarray(mix64(found), dtype=np.uint64)
