"""What a student sees of a text: which tokens and pairs of tokens it has, and some of its measures.

Tokens and pairs are hashed into a fixed number of columns, each text's square roots of counts with
length 1: common words do not drown the rest, and long texts are not larger. The measures are those
by which a person would tell prose from tables, menus and debris.

Shape letters: N = texts, H = columns of tokens and pairs, S = measures.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from samplemix_dagster.core.hashing import mix64

TOKEN_COLUMNS = 2048
PAIR_COLUMNS = 4096
_PACKED_BYTES = 8192
"""Of the beginning of a text, to tell how well it packs."""

Ids = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TextFeatures:
    """What is seen of N texts.

    Attributes:
        hashed_NH: Tokens and pairs, both with length 1 (or none), shape (N, H).
        measures_NS: Measures, each on a scale of its own, shape (N, S).
    """

    hashed_NH: npt.NDArray[np.float32]
    measures_NS: npt.NDArray[np.float64]


def text_features(texts: Sequence[str], tokens: Sequence[Sequence[int]]) -> TextFeatures:
    """Return what is seen of N texts.

    Args:
        texts: The texts; none is empty.
        tokens: Their tokens, as the reference's tokenizer has them.
    """
    ids = [np.asarray(one, dtype=np.uint64) for one in tokens]
    hashed_NH = np.zeros((len(texts), TOKEN_COLUMNS + PAIR_COLUMNS), dtype=np.float32)
    for row, own in enumerate(ids):
        hashed_NH[row, :TOKEN_COLUMNS] = _shares(own, TOKEN_COLUMNS)
        hashed_NH[row, TOKEN_COLUMNS:] = _shares(_pairs(own), PAIR_COLUMNS)
    measures = [_measures(text, own) for text, own in zip(texts, ids, strict=True)]
    return TextFeatures(
        hashed_NH=hashed_NH,
        measures_NS=np.array(measures, dtype=np.float64).reshape(len(texts), -1),
    )


def _pairs(ids: Ids) -> Ids:
    """Return a key for each token with the one after it."""
    with np.errstate(over="ignore"):
        return mix64(ids[:-1]) * np.uint64(3) + ids[1:]


def _shares(keys: Ids, num_columns: int) -> npt.NDArray[np.float64]:
    """Return square roots of the counts of hashed keys, with length 1; zeros where none is."""
    columns = (mix64(keys) % np.uint64(num_columns)).astype(np.int64)
    roots = np.sqrt(np.bincount(columns, minlength=num_columns))
    return np.asarray(roots / max(1.0, float(np.sqrt(keys.size))))


def _measures(text: str, ids: Ids) -> list[float]:
    raw = text.encode()
    shares = np.bincount(np.frombuffer(raw, dtype=np.uint8), minlength=256) / len(raw)
    words, lines = text.split(), text.split("\n")
    num_tokens, num_words = max(1, ids.size), len(words) + 1
    packed = raw[:_PACKED_BYTES]
    present = shares[shares > 0]
    lengths = np.array([len(line) for line in lines], dtype=np.float64)
    return [
        float(np.log(len(raw))),
        num_tokens / len(raw),
        np.unique(ids).size / num_tokens,
        np.unique(ids).size / float(np.sqrt(num_tokens)),
        np.unique(_pairs(ids)).size / num_tokens,
        -float((present * np.log2(present)).sum()),
        len(zlib.compress(packed, 1)) / len(packed),
        *(float(shares[first:stop].sum()) for first, stop in _BYTE_CLASSES),
        len(raw) / num_words,
        sum(word[:1].isupper() for word in words) / num_words,
        len(lines) / len(raw),
        float(lengths.mean()),
        float(np.mean(lengths == 0)),
        len(set(lines)) / len(lines),
        text.count(". ") / num_words,
    ]


_BYTE_CLASSES = ((48, 58), (65, 91), (97, 123), (32, 33), (10, 11), (128, 256), (33, 48), (58, 65))
"""Digits, capitals, small letters, spaces, ends of lines, other scripts, and two of punctuation."""
