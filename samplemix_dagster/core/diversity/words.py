"""Count a document's words, and name a cluster by the words that tell it from the others.

Words here are for people and for topics. The word n-grams of :mod:`.ngrams` have their own, coarser
word boundaries, which run on bytes; both take :data:`SPACELESS_RANGES` from here.

Shape letters: V = distinct words, C = clusters.
"""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy import sparse

MAX_CHARACTERS = 20_000

SPACELESS_RANGES: tuple[tuple[int, int], ...] = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x2E80, 0x2FDF),  # CJK radicals
    (0x3005, 0x3007),  # ideographic repetition, closing and zero
    (0x3040, 0x30FA),  # hiragana, katakana
    (0x30FC, 0x312F),  # the kana length mark, bopomofo
    (0x31A0, 0x31BF),  # bopomofo, extended
    (0x31F0, 0x31FF),  # katakana, extended
    (0x3400, 0x4DBF),  # CJK, extension A
    (0x4E00, 0x9FFF),  # CJK
    (0xA9E0, 0xA9FF),  # Myanmar, extended
    (0xAA60, 0xAA7F),  # Myanmar, extended
    (0xF900, 0xFAFF),  # CJK, compatibility
    (0xFF66, 0xFF9F),  # half-width katakana
    (0x20000, 0x3FFFF),  # CJK, extensions B and later
)
"""First and last code points of scripts that put no space between words."""

# Vowel signs and accents, no letters to Python's \w: without them a Hindi word falls apart.
_MARKS = (
    "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u0670\u0900-\u0963\u0966-\u0dff\u1ab0-\u1aff"
)
_SPACELESS = "".join(f"{chr(first)}-{chr(last)}" for first, last in SPACELESS_RANGES)
_ASCII_WORD = re.compile(r"[a-z0-9]{2,}")
_WORD = re.compile(f"[{_SPACELESS}]+|(?:[^\\W_{_SPACELESS}]|[{_MARKS}])+")
_IS_SPACELESS = re.compile(f"[{_SPACELESS}]")
_MAX_LENGTH = 30
_MAX_SHARE = 0.25
_PRIOR_MASS = 50.0


def count_words(text: str) -> tuple[list[str], list[int]]:
    """Return a text's distinct words in sorted order, and how often each stands in it.

    A word is a run of letters, marks and digits, lower-cased, of 2 to 30 characters and not all
    digits. Scripts without spaces (Han, kana, Thai, Lao, Khmer, Myanmar) give each two neighbouring
    characters as a word. Only the first 20,000 characters are read: they tell what a text is about,
    and they bound the cost of a very long one.
    """
    text = text[:MAX_CHARACTERS].lower()
    if text.isascii():
        found: Sequence[str] = _ASCII_WORD.findall(text)
    else:
        found = _words_of_any_script(text)
    counted = Counter(found)
    words = sorted(w for w in counted if 2 <= len(w) <= _MAX_LENGTH and not w.isdigit())
    return words, [counted[word] for word in words]


def _words_of_any_script(text: str) -> list[str]:
    found: list[str] = []
    for run in _WORD.findall(text):
        if _IS_SPACELESS.match(run):
            found.extend(first + second for first, second in pairwise(run))
        else:
            found.append(run)
    return found


def telling_words(
    clusters: npt.NDArray[np.int32],
    words_per_document: Sequence[Sequence[str]],
    counts_per_document: Sequence[Sequence[int]],
    *,
    num_clusters: int,
    top: int = 6,
) -> list[list[str]]:
    """Return the words that tell each cluster from the others, most telling first.

    The z-score of the log-odds ratio with an informative Dirichlet prior: Monroe, Colaresi & Quinn
    (2008), "Fightin' Words", eqs. 16 and 20 to 22, the prior being the corpus scaled to a mass of
    50, or a tenth of it. Departures: a word counts log(1 + times) in a document, so that one long
    list does not name a cluster; and words in more than a quarter of all documents (of few
    clusters: in more than 1.5 / C), or in one alone, are left out, so that stop-words do not.

    Args:
        clusters: N cluster numbers in [0, ``num_clusters``).
        words_per_document: Distinct words of each document, as :func:`count_words` gives them.
        counts_per_document: How often each of them stands in it.
        num_clusters: C.
        top: Words wanted for each cluster.

    Returns:
        C lists of at most ``top`` words, each more frequent in its cluster than elsewhere by over
        one standard error; empty for a cluster without such a word, as an only cluster is.

    Raises:
        ValueError: The three sequences differ in length, or a cluster number is out of range.
    """
    if not len(clusters) == len(words_per_document) == len(counts_per_document):
        lengths = (len(clusters), len(words_per_document), len(counts_per_document))
        msg = f"clusters, words and counts must be of one length, not {lengths}"
        raise ValueError(msg)
    if len(clusters) and not 0 <= min(clusters) <= max(clusters) < num_clusters:
        msg = f"clusters must lie in 0..{num_clusters - 1}: {min(clusters)}..{max(clusters)}"
        raise ValueError(msg)
    vocabulary = _vocabulary(words_per_document, max(_MAX_SHARE, 1.5 / max(num_clusters, 1)))
    if not vocabulary:
        return [[] for _ in range(num_clusters)]
    mass_CV = _mass_by_cluster(
        clusters, words_per_document, counts_per_document, vocabulary, num_clusters
    )
    words = list(vocabulary)
    telling: list[list[str]] = []
    for z in _log_odds(mass_CV):
        best = np.argsort(-z, kind="stable")[:top]
        telling.append([words[i] for i in best if z[i] > 1.0])
    return telling


def _vocabulary(words_per_document: Sequence[Sequence[str]], max_share: float) -> dict[str, int]:
    num_documents: Counter[str] = Counter()
    for words in words_per_document:
        num_documents.update(words)
    most = max(2.0, max_share * len(words_per_document))
    kept = sorted(word for word, number in num_documents.items() if 2 <= number <= most)
    return {word: i for i, word in enumerate(kept)}


def _mass_by_cluster(
    clusters: npt.NDArray[np.int32],
    words_per_document: Sequence[Sequence[str]],
    counts_per_document: Sequence[Sequence[int]],
    vocabulary: dict[str, int],
    num_clusters: int,
) -> npt.NDArray[np.float64]:
    rows: list[int] = []
    columns: list[int] = []
    counts: list[int] = []
    for cluster, words, times in zip(
        clusters.tolist(), words_per_document, counts_per_document, strict=True
    ):
        for word, count in zip(words, times, strict=True):
            column = vocabulary.get(word)
            if column is not None:
                rows.append(cluster)
                columns.append(column)
                counts.append(count)
    mass = sparse.coo_array(
        (np.log1p(np.asarray(counts, dtype=np.float64)), (rows, columns)),
        shape=(num_clusters, len(vocabulary)),
    )
    return np.asarray(mass.toarray(), dtype=np.float64)


def _log_odds(mass_CV: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return the z-score of each word in each cluster against all other clusters: shape (C, V)."""
    totals = mass_CV.sum(axis=0)
    if totals.size < 2:
        return np.zeros_like(mass_CV)  # the odds of the only word are against nothing
    prior = totals * min(0.1, _PRIOR_MASS / totals.sum())
    inside_CV = mass_CV + prior
    outside_CV = totals - mass_CV + prior
    rest_inside_CV = inside_CV.sum(axis=1, keepdims=True) - inside_CV
    rest_outside_CV = outside_CV.sum(axis=1, keepdims=True) - outside_CV
    delta_CV = np.log(inside_CV / rest_inside_CV) - np.log(outside_CV / rest_outside_CV)
    z_CV: npt.NDArray[np.float64] = delta_CV / np.sqrt(1.0 / inside_CV + 1.0 / outside_CV)
    return z_CV
