"""The published rules for web text as one soft score: how far inside their bounds a document lies.

Gopher (arXiv 2112.11446, table A1), C4 (1910.10683, section 2.2) and FineWeb (2406.17557, section
3.4) keep or drop a document by rules on its words and lines. Here each bound is a logistic step of
a stated width, and the score is the geometric mean of the steps: a document that lies well inside
every bound scores near 1, one far outside of one bound near that step's floor.

Left out: stop words (a list per language decides them), and rules on words for scripts that put no
spaces between words.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

_FLOOR = 0.01
_LETTER_WORD = re.compile(r"\S*[^\W\d_]\S*")
_SPACELESS = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
_BULLET = re.compile(r"\s*(?:[-*+•‣◦▪●–—]|\d+[.)])\s")
_END = (".", "!", "?", '"', "'", "”", "’", "»", ")", ":", ";", "。", "！", "？", "…")
_SHORT_LINE = 30
_SPACELESS_SHARE = 0.2
_MOST_WORDS = 20_000
"""Words of a document that repetition is looked for in, from its beginning."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One bound on one measure.

    Attributes:
        measure: What is measured, a key of :func:`measures`.
        side: Whether a document is kept ``below`` or ``above`` the bound.
        bound: The published bound, where the step is 1/2.
        width: The distance from the bound to where the step is .73 and .27.
        source: Who published it.
    """

    measure: str
    side: Literal["below", "above"]
    bound: float
    width: float
    source: str

    def step(self, value: float) -> float:
        """Return the rule's value in [0.01, 1)."""
        inside = self.bound - value if self.side == "below" else value - self.bound
        distance = max(-50.0, min(50.0, inside / self.width))
        return max(_FLOOR, 1.0 / (1.0 + math.exp(-distance)))


RULES: tuple[Rule, ...] = (
    Rule("log10_words", "above", math.log10(50), 0.15, "Gopher: at least 50 words"),
    Rule("word_length", "above", 3.0, 0.3, "Gopher: mean word length 3 to 10"),
    Rule("word_length", "below", 10.0, 0.7, "Gopher: mean word length 3 to 10"),
    Rule("words_with_a_letter", "above", 0.8, 0.04, "Gopher: 80 % of words have a letter"),
    Rule("symbols_per_word", "below", 0.1, 0.02, "Gopher: # and ellipsis per word"),
    Rule("bullet_lines", "below", 0.9, 0.05, "Gopher: lines that begin with a bullet"),
    Rule("ellipsis_lines", "below", 0.3, 0.06, "Gopher: lines that end in an ellipsis"),
    Rule("top_2_gram", "below", 0.2, 0.04, "Gopher: characters in the most frequent 2-gram"),
    Rule("repeated_5_grams", "below", 0.15, 0.03, "Gopher: characters in repeated 5-grams"),
    Rule("repeated_lines", "below", 0.1, 0.03, "FineWeb: characters in repeated lines"),
    Rule("short_lines", "below", 0.67, 0.1, "FineWeb: lines shorter than 30 characters"),
    Rule("punctuated_lines", "above", 0.12, 0.04, "FineWeb: lines that end in punctuation"),
    Rule("brace_lines", "below", 0.1, 0.03, "C4: curly braces, there none at all"),
)


def measures(text: str) -> dict[str, float]:
    """Return what the rules look at, as shares in [0, 1] but for two.

    ``log10_words`` and ``word_length`` (characters) are no shares. Measures of words are absent
    where the script puts no spaces between them.
    """
    lines = [line.strip() for line in text.splitlines() if line.strip()] or [""]
    found = {
        "bullet_lines": _share(lines, lambda line: _BULLET.match(line) is not None),
        "ellipsis_lines": _share(lines, lambda line: line.endswith(("...", "…"))),
        "short_lines": _share(lines, lambda line: len(line) < _SHORT_LINE),
        "punctuated_lines": _share(lines, lambda line: line.endswith(_END)),
        "brace_lines": _share(lines, lambda line: "{" in line or "}" in line),
        "repeated_lines": _repeated_lines(lines),
    }
    if len(_SPACELESS.findall(text)) > _SPACELESS_SHARE * len(text):
        return found
    words = text.split() or [""]
    total = sum(map(len, words))
    symbols = text.count("#") + text.count("...") + text.count("…")
    return {
        **found,
        "log10_words": math.log10(len(words)),
        "word_length": total / len(words),
        "words_with_a_letter": len(_LETTER_WORD.findall(text)) / len(words),
        "symbols_per_word": symbols / len(words),
        **_repetition(words[:_MOST_WORDS]),
    }


def _share(lines: Sequence[str], test: Callable[[str], bool]) -> float:
    return sum(map(test, lines)) / len(lines)


def _repeated_lines(lines: Sequence[str]) -> float:
    """Return the share of characters in lines that stood there before."""
    total = sum(map(len, lines))
    first = sum(map(len, set(lines)))
    return (total - first) / total if total else 0.0


def _repetition(words: Sequence[str]) -> dict[str, float]:
    """Return the characters' shares of the most frequent 2-gram and of repeated 5-grams."""
    ids: dict[str, int] = {}
    codes = np.array([ids.setdefault(word, len(ids)) for word in words], dtype=np.int64)
    lengths = np.array([len(word) for word in words], dtype=np.int64)
    total = max(1, int(lengths.sum()))
    return {
        "top_2_gram": _top_gram(codes, lengths) / total,
        "repeated_5_grams": _repeated_grams(codes, lengths, 5) / total,
    }


def _top_gram(codes: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]) -> int:
    """Return the characters in all occurrences of the 2-gram that occurs most, if twice or more."""
    if codes.size < 2:
        return 0
    pairs = codes[:-1] * (int(codes.max()) + 1) + codes[1:]
    _, first, counts = np.unique(pairs, return_index=True, return_counts=True)
    best = int(counts.argmax())
    if counts[best] < 2:
        return 0
    start = int(first[best])
    return int(counts[best]) * int(lengths[start : start + 2].sum())


def _repeated_grams(
    codes: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64], order: int
) -> int:
    """Return the characters that lie in an n-gram which stood there before."""
    if codes.size <= order:
        return 0
    grams = np.lib.stride_tricks.sliding_window_view(codes, order)
    _, first, inverse = np.unique(grams, axis=0, return_index=True, return_inverse=True)
    again = first[inverse.ravel()] != np.arange(len(grams))
    covered = np.zeros(codes.size, dtype=bool)
    for offset in range(order):
        covered[offset : offset + len(grams)] |= again
    return int(lengths[covered].sum())


def score_of(found: Mapping[str, float]) -> float:
    """Return the geometric mean of the rules that apply, in (0, 1)."""
    steps = [rule.step(found[rule.measure]) for rule in RULES if rule.measure in found]
    return math.exp(math.fsum(math.log(step) for step in steps) / len(steps))


class Rules:
    """The signal ``rules`` of quality."""

    name = "rules"
    version = "1"
    good = "high"

    def score(self, texts: Sequence[str]) -> Floats:
        """Return N scores inside (0, 1), high = inside the published bounds."""
        return np.array([score_of(measures(text)) for text in texts])


def broken_rules(text: str) -> list[str]:
    """Return who published each bound that a text lies outside of."""
    found = measures(text)
    applied = ((rule, found[rule.measure]) for rule in RULES if rule.measure in found)
    return list(dict.fromkeys(rule.source for rule, value in applied if rule.step(value) < 0.5))
